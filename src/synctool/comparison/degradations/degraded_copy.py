"""Writing the degraded copy of a video: which part of it each degradation changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from synctool.comparison.degradations.audio_degradations import at_speed, audio_change
from synctool.comparison.degradations.face_degradations import face_change
from synctool.comparison.degradations.image_degradations import image_change
from synctool.comparison.degradations.random_state import chance
from synctool.comparison.degradations.table import degradation
from synctool.comparison.degradations.timing_degradations import time_change
from synctool.faces.detector import FaceDetector
from synctool.media.rewrite import NEAR_LOSSLESS, VideoCoding, check_target, rewrite
from synctool.types import PLAYED, StreamSelection

_IMAGE = ("resolution", "blur", "low-light")
_FACES = ("mouth", "head")
_OF_GRAIN = VideoCoding("libx264", {"preset": "ultrafast", "crf": "20"})
"""Noise fills a disk when it is kept exactly, and is as strong at this rate."""


_VIDEO_CODECS = {
    "h264": VideoCoding("libx264", {"preset": "veryfast"}),
    # One frame at a time, so that every machine writes the same; x265 is silent only if told.
    "h265": VideoCoding(
        "libx265", {"preset": "ultrafast", "x265-params": "log-level=none:frame-threads=1"}
    ),
}


def write_copy(
    video: Path,
    out: Path,
    name: str,
    level: int,
    *,
    seed: int,
    streams: StreamSelection = PLAYED,
    allow_external: bool = False,
    detector: FaceDetector | None = None,
) -> Path:
    """Write the copy; see ``synctool.comparison.degradations.write_degraded``."""
    row = degradation(name)
    value = row.value(level)
    check_target(out)
    rng = chance(seed, name, level)
    reading = {"streams": streams, "allow_external": allow_external}
    if row.changes == "sound":
        rewrite(video, out, audio=audio_change(name, level, seed=seed), **reading)
    elif name in _VIDEO_CODECS:
        codec = _VIDEO_CODECS[name]
        coding = replace(codec, options={**codec.options, "crf": f"{value:g}"})
        rewrite(video, out, coding=coding, **reading)
    elif name in _IMAGE:
        change = image_change(name, value, rng)
        rewrite(
            video,
            out,
            frames=lambda frames: (frame.changed(change) for frame in frames),
            coding=_OF_GRAIN if name == "low-light" else NEAR_LOSSLESS,
            **reading,
        )
    elif name in _FACES:
        frames = face_change(name, value, rng, video, detector=detector, **reading)
        rewrite(video, out, frames=frames, **reading)
    else:
        speed = value / 100 if row.changes == "both" else 1.0
        rewrite(
            video,
            out,
            frames=time_change(name, value, rng),
            audio=(lambda audio: at_speed(audio, speed)) if speed != 1 else None,
            fps=value if name == "fps" else None,
            **reading,
        )
    return out
