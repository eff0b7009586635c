"""What a video lacks, told and counted once it has been read to its end."""

from __future__ import annotations

import os
from collections.abc import Callable

from synctool.media import joined
from synctool.media.announced import counted_s, length_s
from synctool.media.decode import StreamDecoder
from synctool.media.opening import OpenedVideo
from synctool.media.spans import contradiction
from synctool.media.unread import Unread

_NOTABLE_LACK_S = 0.5
"""Parts of a playlist may be so much longer or shorter than it says."""


def judge_completeness(
    opened: OpenedVideo,
    decoder: StreamDecoder,
    unread: Unread,
    *,
    announced_s: float,
    ends_s: float,
    reached: int,
    warn: Callable[[str], None],
) -> None:
    """Tell and count what was not read.

    Args:
        opened: The video.
        decoder: Has decoded it.
        unread: Counts what is lost.
        announced_s: Length that the container announces of all its streams.
        ends_s: Where the video ends.
        reached: Position of the last packet that was read.
        warn: Told what is worth a remark.
    """
    intervals_s = {"video": decoder.rate.interval_s, "audio": decoder.audio_lasts_s}
    for kind, interval_s in intervals_s.items():
        unread.ended(kind, interval_s)
    if unread.seconds:
        warn(f"{unread.seconds:.1f} s of the video could not be decoded")
    _count_joined(opened, decoder, unread, ends_s=ends_s, reached=reached, warn=warn)
    measured_s = _measured_s(decoder, announced_s)
    if measured_s and ends_s < 0.9 * measured_s - 1.0:
        warn("the video is shorter than its header says: it may be cut off")
        for kind in decoder.clocks:
            unread.at_least_after(kind, measured_s - ends_s)
    _count_missing(decoder, unread, missing_s=opened.missing_s, lack_s=measured_s - ends_s)
    if wrong := contradiction(opened.container.format.name, decoder.spans):
        warn(wrong)


def _count_missing(
    decoder: StreamDecoder, unread: Unread, *, missing_s: float, lack_s: float
) -> None:
    """Count the parts of a playlist that are not there.

    Args:
        decoder: Has decoded the video.
        unread: Counts what is lost.
        missing_s: How long the missing parts are.
        lack_s: How much shorter the video is than the playlist says; the rest lacks in between.
    """
    at_ends_s = min(missing_s, max(lack_s, 0.0))
    for kind in decoder.clocks:
        if at_ends_s > _NOTABLE_LACK_S:
            unread.at_least_after(kind, at_ends_s)
        if missing_s - at_ends_s > _NOTABLE_LACK_S:
            unread.between(kind, missing_s - at_ends_s)


def _count_joined(
    opened: OpenedVideo,
    decoder: StreamDecoder,
    unread: Unread,
    *,
    ends_s: float,
    reached: int,
    warn: Callable[[str], None],
) -> None:
    """Tell and count a second file behind the first one, by its share of the bytes."""
    path = opened.path
    if path is None:
        return
    begins = joined.second_file(path, opened.container.format.name)
    if begins is None or reached >= begins:
        return
    behind = os.path.getsize(path) - begins
    warn(
        f"another file of {behind} bytes is joined to the end of this one; players show the first one "
        "only, and it was not read"
    )
    for kind in decoder.clocks:
        unread.add(kind, ends_s * behind / begins)


def _measured_s(decoder: StreamDecoder, whole_s: float) -> float:
    """Length that the container announces of the measured streams: another one may be longer."""
    own_s = [length_s(stream) for stream in decoder.streams.values()]
    known_s = [seconds for seconds in own_s if seconds]
    announced_s = min(whole_s, max(known_s)) if len(known_s) == len(own_s) else whole_s
    video = decoder.streams.get("video")
    in_frames_s = None if video is None else counted_s(video)
    return max(announced_s, in_frames_s or 0.0)
