"""The offset along a whole video: per frame, in segments, and its drift."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from synctool.scoring.confidence import UNCALIBRATED, Calibration
from synctool.scoring.drift import Drift, fit_drift, straightened
from synctool.scoring.offset import OffsetEstimate, estimate_offset
from synctool.scoring.offset_sets import moved
from synctool.scoring.overall import OverallOffset, judge_segments
from synctool.scoring.repeats import repeated_frames
from synctool.scoring.segments import Segmentation, find_segments
from synctool.scoring.smoothing import local_peaks
from synctool.types import VIDEO_FPS, FrameSeries, Segment

WINDOW_S = 2.0
CONFIDENT = 0.5
"""Windows and segments that count for the contrast and for the drift."""
LEAST_DRIFT_ROWS = 1.0
"""A drift that moves the audio by less over the whole video does not change its segments."""


@dataclass(frozen=True)
class OffsetPath:
    """How the offset runs along a video.

    Attributes:
        offset_frames: Sub-frame offset round every 25 Hz frame, float32 ``[T]``, NaN without
            evidence; > 0: audio ahead.
        confidence: Probability that it is right within ±1 frame, float32 ``[T]``, NaN likewise.
        segments: Segments of one offset, or of one drifting offset, in the order of time; the offset of a
            drifting one is that of its middle.
        drift: Slope of the offset; None with too little of confident video.
        estimate: The one offset that suits the whole best; None where nothing can be compared. Of a drifting
            video that of its middle.
        overall: The offset to report for the whole, likewise.
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

    @property
    def drift_interval_ms_per_min(self) -> tuple[float, float] | None:
        """Its 95 % interval."""
        return None if self.drift is None else (self.drift.low, self.drift.high)

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
    found = find_segments(volume, contrast=contrast)
    level, slope = volume, 0.0
    if (without := _without_drift(volume, found, contrast)) is not None:
        found, level, slope = without
        whole = estimate_offset(level) or whole
    segments, overall = judge_segments(
        level,
        found.segments,
        whole,
        calibration,
        repeated=repeated_frames(volume),
        contrast=contrast,
    )
    sure = [
        (round(s.start_s * VIDEO_FPS), round(s.end_s * VIDEO_FPS))
        for s in segments
        if s.confidence >= CONFIDENT
    ]
    return OffsetPath(
        peaks.offset_frames,
        peaks.confidence,
        tuple(_drifting(segment, slope, volume.shape[1]) for segment in segments),
        fit_drift(volume, sure),
        estimate=whole,
        overall=overall,
    )


def _without_drift(
    volume: np.ndarray, found: Segmentation, contrast: float
) -> tuple[Segmentation, np.ndarray, float] | None:
    """The segments of a video whose drift is taken out, where that explains it better than its segments do.

    Returns:
        The segments, the volume without its drift, and the drift in offset bins per frame; None where the
        video does not drift by an offset bin or more.
    """
    own, frames = _parts(found), volume.shape[1]
    best, chosen = 0.0, None
    for parts in (own, [(0, frames)]) if own else ():
        slope, other, level, drift = 0.0, found, volume, None
        for _ in range(
            2
        ):  # the drift, and once more the drift of the segments that are left without it
            drift = fit_drift(volume, parts, rivals=own)
            slope = drift.rows_per_frame if drift is not None and drift.ms_per_min else 0.0
            if abs(slope) * frames < LEAST_DRIFT_ROWS:
                break
            level = straightened(volume, slope)
            other = find_segments(level, contrast=contrast)
            parts = _parts(other)
        else:
            if drift is not None and drift.gain > best and 0 < len(parts) <= len(own):
                best, chosen = drift.gain, (other, level, slope)
    return chosen


def _parts(found: Segmentation) -> list[tuple[int, int]]:
    return [(s.start, s.stop) for s in found.segments]


def _drifting(segment: Segment, slope: float, frames: int) -> Segment:
    """A segment of a volume without its drift, with the offset that it has at its middle."""
    middle = (segment.start_s + segment.end_s) * VIDEO_FPS / 2
    by = slope * (middle - (frames - 1) / 2)
    return replace(
        segment,
        offset_frames=segment.offset_frames + by,
        offset_set=moved(segment.offset_set, by),
    )


def _contrast(whole: OffsetEstimate, height: np.ndarray, confidence: np.ndarray) -> float:
    """How far true peaks stand out: in confident windows, or in the video as a whole."""
    confident = height[confidence >= CONFIDENT]
    here = float(np.median(confident)) if len(confident) else 0.0
    return max(here, float(whole.curve[whole.row]))


def _plain(values: np.ndarray) -> tuple[float | None, ...]:
    return tuple(None if value != value else value for value in values.astype(float).tolist())
