"""What a container announces before anything is decoded: how long it is, and from where on."""

from __future__ import annotations

import re

import av
from av.container import InputContainer
from av.stream import Stream

AVI = "avi"
"""FFmpeg's name of that container."""
_FROM_ZERO = {"matroska", "webm", "nut"}
"""Formats in which FFmpeg gives the end of the last frame for the duration, wherever the first one is."""


def announced_start_s(container: InputContainer) -> float:
    """Where the first stream starts, in the container's own time; 0 where that is not told."""
    return float((container.start_time or 0) / av.time_base)


def announced_length_s(container: InputContainer) -> float:
    """Time from the first frame to the end of the last one; 0 where that is not told."""
    length_s = float((container.duration or 0) / av.time_base)
    start_s = announced_start_s(container)
    if _FROM_ZERO & set(container.format.name.split(",")) and 0 < start_s < length_s:
        length_s -= start_s
    return max(length_s, 0.0)


def length_s(stream: Stream) -> float | None:
    """How long a track lasts, as far as the container tells."""
    told = re.fullmatch(r"(\d+):(\d+):(\d+\.?\d*)", stream.metadata.get("DURATION", ""))
    if told is None:  # Matroska gives all tracks the length of the longest, but for this tag
        if not stream.duration or not stream.time_base:
            return None
        return float(stream.duration * stream.time_base)
    hours, minutes, seconds = (float(part) for part in told.groups())
    return 3600 * hours + 60 * minutes + seconds


def counted_s(stream: Stream) -> float | None:
    """The length of an AVI's frames by its header, also where the file is cut off; None for all else.

    FFmpeg gives the length that the size of the file allows.
    """
    if stream.container.format.name != AVI or stream.type != "video":
        return None
    return float(stream.frames / stream.average_rate) if stream.average_rate else None
