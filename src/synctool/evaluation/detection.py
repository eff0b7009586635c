"""In sync or off sync: what is true of a trial, what a model says, and how strongly.

In sync is what ITU-R BT.1359-1 (1998) calls not detectable: audio at most 45 ms ahead and 125 ms behind.
It is the line that the verdict of ``detect`` draws, so that a model's decision and the truth mean the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synctool.comparison.degradations import DEGRADATIONS, offset_factor
from synctool.scoring.verdict import DETECTABLE_MS, LEAST_CONFIDENCE, judge
from synctool.types import FRAME_MS, Trial


@dataclass(frozen=True)
class TrueSegment:
    """A segment of video whose true offset is known, as it was presented."""

    start_s: float
    end_s: float
    offset_frames: float


def in_tolerance(offset_frames: np.ndarray) -> np.ndarray:
    """Whether offsets are in sync, as ``judge`` has it; bool of the same shape, False for NaN."""
    shown = np.rint(offset_frames * FRAME_MS)
    return (shown >= DETECTABLE_MS[0]) & (shown <= DETECTABLE_MS[1])


def is_in_tolerance(offset_frames: float) -> bool:
    """The same for one offset."""
    return judge(offset_frames * FRAME_MS) == "in sync"


def true_segments(trial: Trial) -> tuple[TrueSegment, ...]:
    """The true offsets of what was presented, in seconds of the video; empty where they are not known."""
    condition = trial.condition
    start_s = condition.start_s or 0.0
    end_s = start_s + trial.duration_s
    if not trial.label.segments:
        known = trial.truth_frames
        return () if known is None else (TrueSegment(start_s, end_s, known),)
    # A video that runs faster has its segments, and their offsets, shorter by as much.
    rescaled = condition.perturbation in DEGRADATIONS and condition.level > 0
    factor = offset_factor(condition.perturbation, condition.level) if rescaled else 1.0
    moved = (
        TrueSegment(
            max(start_s, s.start_s * factor),
            min(end_s, s.end_s * factor),
            s.offset_frames * factor + condition.moved_frames,
        )
        for s in trial.label.segments
    )
    return tuple(segment for segment in moved if segment.end_s > segment.start_s)


def truly_in_sync(trial: Trial) -> bool | None:
    """Whether all that was presented is in sync; None where that is not known."""
    segments = true_segments(trial)
    if not segments:
        return None
    return all(is_in_tolerance(segment.offset_frames) for segment in segments)


def in_sync_score(trial: Trial) -> float:
    """How strongly a model takes a video to be in sync, -1..1.

    Its confidence, with a minus where the best match or a confident segment lies outside the tolerance; 0
    where it has no match. Nothing is to be tuned: the threshold 0.5 of ``detect`` cuts the same order.
    """
    if trial.offset_frames is None or np.isnan(trial.confidence):
        return 0.0
    sure = [s.offset_frames for s in trial.segments if s.confidence >= LEAST_CONFIDENCE]
    inside = all(map(is_in_tolerance, (trial.offset_frames, *sure)))
    return trial.confidence if inside else -trial.confidence
