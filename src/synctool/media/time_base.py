"""Timeline 0 of a video: the earlier start of its two streams, moved back to the grid of the frame, so
that constant 25 fps material is read frame for frame."""

from __future__ import annotations

import math

from av import AudioStream, VideoStream

from synctool.media.timeline import LONGEST_GAP_S
from synctool.types import VIDEO_FPS

FRAME_S = 1.0 / VIDEO_FPS
EPSILON_S = 1e-4
"""Times that differ by less are the same."""


def starts_s(video: VideoStream | None, audio: AudioStream | None) -> dict[str, float | None]:
    """Where each stream starts in its own time; None if the container does not tell or cannot be right."""
    starts: dict[str, float | None] = {}
    for stream in (video, audio):
        if stream is not None:
            start, unit = stream.start_time, stream.time_base
            starts[stream.type] = (
                float(start * unit) if start is not None and unit is not None else None
            )
    known_s = [start for start in starts.values() if start is not None]
    if known_s and max(known_s) - min(known_s) > LONGEST_GAP_S:
        return dict.fromkeys(starts)
    return starts


def timeline_origin_s(starts: dict[str, float | None]) -> float | None:
    """The streams' own time that becomes timeline 0; None if the container does not tell."""
    video_s, audio_s = starts.get("video"), starts.get("audio")
    if video_s is None or audio_s is None:
        return video_s if video_s is not None else audio_s
    lead_frames = math.ceil((video_s - min(video_s, audio_s)) * VIDEO_FPS - EPSILON_S)
    return video_s - lead_frames * FRAME_S
