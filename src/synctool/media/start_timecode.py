"""The timecode of a file's first frame, where it has one (SMPTE ST 12-1; in MP4 and MOV a ``tmcd`` track)."""

from __future__ import annotations

import re

from av.container import InputContainer
from av.stream import Stream

_FORM = re.compile(r"\d{2}:\d{2}:\d{2}[:;.]\d{2,3}")


def start_timecode(container: InputContainer, video: Stream | None) -> str:
    """The timecode as the file says it: of the video stream, of a timecode track, or of all; else empty."""
    tracks = [stream for stream in container.streams if stream.type == "data"]
    told = [stream.metadata for stream in (video, *tracks) if stream is not None]
    for metadata in (*told, container.metadata):
        text = metadata.get("timecode", "")
        if _FORM.fullmatch(text):
            return text
    return ""
