"""Off sync by frame and by segment: what was found along a video against what is true there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from synctool.evaluation.detection import TrueSegment, in_tolerance, is_in_tolerance
from synctool.scoring.verdict import LEAST_CONFIDENCE
from synctool.types import VIDEO_FPS, FrameSeries, Segment


@dataclass(frozen=True)
class FrameCounts:
    """Frames of known truth, how many of them were decided, and how many of these rightly."""

    known: int
    decided: int
    right: int


NO_FRAMES = FrameCounts(0, 0, 0)


def frame_counts(frames: FrameSeries, truth: Sequence[TrueSegment]) -> FrameCounts:
    """Compare what was found per frame with the truth, both inside or outside the tolerance.

    A frame is decided if it has an offset with the confidence that a verdict needs.

    Args:
        frames: What was found.
        truth: True offsets by segment; frames between segments do not count.
    """
    if not frames.t_s or not truth:
        return NO_FRAMES
    middles = np.array(frames.t_s) + 0.5 / VIDEO_FPS
    true = np.full(len(middles), np.nan)
    for segment in truth:
        true[(middles >= segment.start_s) & (middles < segment.end_s)] = segment.offset_frames
    found = np.array(frames.offset_frames, float)
    sure = np.array(frames.confidence, float) >= LEAST_CONFIDENCE
    known = ~np.isnan(true)
    decided = known & sure & ~np.isnan(found)
    right = decided & (in_tolerance(found) == in_tolerance(true))
    return FrameCounts(int(known.sum()), int(decided.sum()), int(right.sum()))


def off_sync_seconds(found: Iterable[Segment], truth: Sequence[TrueSegment]) -> tuple[float, float]:
    """How long a video is off sync and was found to be, and how long it is either.

    Args:
        found: Segments of a video; those with less confidence than a verdict needs say nothing.
        truth: True offsets by segment; time between them does not count.

    Returns:
        Intersection and union, seconds.
    """
    wrong = [(s.start_s, s.end_s) for s in truth if not is_in_tolerance(s.offset_frames)]
    called = [
        (max(s.start_s, t.start_s), min(s.end_s, t.end_s))
        for s in found
        if s.confidence >= LEAST_CONFIDENCE and not is_in_tolerance(s.offset_frames)
        for t in truth
    ]
    both = [(max(a, c), min(b, d)) for a, b in wrong for c, d in called]
    return _covered(both), _covered(wrong + called)


def _covered(spans: Iterable[tuple[float, float]]) -> float:
    """Seconds in at least one of the spans."""
    total, until = 0.0, -np.inf
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total
