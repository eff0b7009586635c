"""The offset along a whole video: per frame, in segments, and its drift."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from synctool.scoring.confidence import UNCALIBRATED, Calibration
from synctool.scoring.drift import CONFIDENT, Drift, find_drift
from synctool.scoring.offset import OffsetEstimate, estimate_offset
from synctool.scoring.overall import OverallOffset, judge_segments
from synctool.scoring.smoothing import local_peaks
from synctool.types import VIDEO_FPS, FrameSeries, Segment

WINDOW_S = 2.0


@dataclass(frozen=True)
class OffsetPath:
    """How the offset runs along a video.

    Attributes:
        offset_frames: Sub-frame offset round every 25 Hz frame, float32 ``[T]``, NaN without
            evidence; > 0: audio ahead.
        confidence: Probability that it is right within ±1 frame, float32 ``[T]``, NaN likewise.
        segments: Stretches of nearly one offset, in the order of time.
        drift: Slope of the offset; None with less than 20 s of confident video.
        estimate: The one offset that suits the whole best; None where nothing can be compared.
        overall: The offset to report for the whole, None likewise.
    """

    offset_frames: np.ndarray = field(repr=False, compare=False)
    confidence: np.ndarray = field(repr=False, compare=False)
    segments: tuple[Segment, ...] = ()
    drift: Drift | None = None
    estimate: OffsetEstimate | None = None
    overall: OverallOffset | None = None

    @property
    def drift_ms_per_min(self) -> float | None:
        """Drift in ms per minute, > 0: the audio gets ever further ahead."""
        return None if self.drift is None else self.drift.ms_per_min

    def series(self) -> FrameSeries:
        """The values per frame as plain numbers, None without evidence."""
        return FrameSeries(
            t_s=tuple(t / VIDEO_FPS for t in range(len(self.offset_frames))),
            offset_frames=_plain(self.offset_frames),
            confidence=_plain(self.confidence),
        )


def follow_offset(
    volume: np.ndarray, *, calibration: Calibration = UNCALIBRATED, window_s: float = WINDOW_S
) -> OffsetPath:
    """Follow the offset along a video.

    Args:
        volume: Scores ``[2K+1, T]`` like log-likelihoods, NaN where there is none.
        calibration: Turns the statistics of a window or a segment into a confidence.
        window_s: Length of the window round every frame, in seconds.
    """
    peaks = local_peaks(volume, calibration, window_s=window_s)
    whole = estimate_offset(volume)
    if whole is None:
        return OffsetPath(peaks.offset_frames, peaks.confidence)
    contrast = _contrast(whole, peaks.height, peaks.confidence)
    segments, overall = judge_segments(volume, whole, calibration, contrast=contrast)
    drift = find_drift(peaks.offset_frames, peaks.confidence, segments, window_s=window_s)
    return OffsetPath(
        peaks.offset_frames, peaks.confidence, segments, drift, estimate=whole, overall=overall
    )


def _contrast(whole: OffsetEstimate, height: np.ndarray, confidence: np.ndarray) -> float:
    """How far true peaks stand out: in confident windows, or in the video as a whole."""
    confident = height[confidence >= CONFIDENT]
    here = float(np.median(confident)) if len(confident) else 0.0
    return max(here, float(whole.curve[whole.row]))


def _plain(values: np.ndarray) -> tuple[float | None, ...]:
    return tuple(None if value != value else value for value in values.astype(float).tolist())
