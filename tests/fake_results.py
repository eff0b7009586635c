"""Results of made-up videos."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from synctool.types import DetectResult, FrameSeries, Segment, Source, Track


def series(*offsets: float | None, confidence: float = 0.9) -> FrameSeries:
    """Values per frame, None without evidence."""
    return FrameSeries(
        t_s=tuple(t / 25 for t in range(len(offsets))),
        offset_frames=offsets,
        confidence=tuple(None if offset is None else confidence for offset in offsets),
    )


def made_result(name: str = "talk.mp4", **changes: Any) -> DetectResult:
    """A video of four seconds with the audio 3 frames ahead, or whatever ``changes`` says."""
    result = DetectResult(
        input=name,
        backbone="fcn-cls",
        weights="fcn-cls.v2 sha256:0123",
        synctool="0.1.0",
        source=Source(4.0, 25.0, 0.0, 0.02, 1920, 1080, 48_000),
        offset_frames=3.0,
        confidence=0.98,
        verdict="unacceptable",
        reason=None,
        coverage=0.97,
        drift_ms_per_min=0.0,
        syncnet_confidence=10.0,
        min_distance=5.4,
        segments=(Segment(0.0, 4.0, 3.0, 0.98),),
        tracks=(Track(0, 0.0, 4.0, (10.0, 20.0, 100.0, 120.0), True, 3.0, 0.98),),
        frames=series(*[3.0] * 90, *[None] * 10),
        timing_s={"decode": 0.1, "total": 0.5},
        max_offset=15,
    )
    return replace(result, **changes)


def inconclusive(reason: str, **changes: Any) -> DetectResult:
    """A video without an answer."""
    nothing = {
        "offset_frames": None,
        "confidence": 0.0,
        "verdict": "inconclusive",
        "reason": reason,
        "segments": (),
        "frames": series(*[None] * 100),
    }
    return made_result(**{**nothing, **changes})
