"""Drift: an offset that grows along the video, as from a wrong sample rate.

The robust slope of Theil and Sen over windows with a confident offset. A video cut from parts with
different offsets does not drift: slopes are taken within the parts only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synctool.types import FRAME_MS, VIDEO_FPS, Segment

LEAST_CONFIDENT_S = 20.0
"""Seconds of confident video without which nothing is said about drift."""
CONFIDENT = 0.5
JUMP_FRAMES = 0.75
"""Windows that are further apart than their neighbours by this much belong to different parts."""
_NEAR_SEGMENT_FRAMES = 2.0
_LEAST_WINDOWS = 5
_MOST_WINDOWS = 400
_SIDE_WINDOWS = 3


@dataclass(frozen=True)
class Drift:
    """Slope of the offset; > 0: the audio gets ever further ahead.

    Attributes:
        ms_per_min: The slope, 0 where its interval does not exclude 0.
        low: Lower end of its 95 % interval.
        high: Upper end.
    """

    ms_per_min: float
    low: float
    high: float


def find_drift(
    offset_frames: np.ndarray,
    confidence: np.ndarray,
    segments: tuple[Segment, ...],
    *,
    window_s: float,
) -> Drift | None:
    """Measure the drift of a video.

    Args:
        offset_frames: Offset per frame ``[T]`` from windows of ``window_s``, NaN where unknown.
        confidence: Its confidence ``[T]``.
        segments: Segments of the video; only what lies near the offset of its segment counts.
        window_s: Length of the windows; one value per window is used.

    Returns:
        The drift, or None with less than 20 s of confident windows.
    """
    step = max(1, round(window_s * VIDEO_FPS))
    at = np.arange(step // 2, len(offset_frames), step)
    expected = _offset_of_segments(at, segments)
    with np.errstate(invalid="ignore"):
        near = np.abs(offset_frames[at] - expected) <= _NEAR_SEGMENT_FRAMES
        at = at[near & (confidence[at] >= CONFIDENT)]
    parts = [part for part in _parts(at, offset_frames[at]) if len(part[0]) >= _LEAST_WINDOWS]
    if sum(len(part[0]) for part in parts) * step < LEAST_CONFIDENT_S * VIDEO_FPS:
        return None
    from scipy.stats import theilslopes  # slow to import, and few videos are long enough

    slopes, precision = [], []
    for frames, offsets in parts:
        minutes, ms = _thinned(frames / (60.0 * VIDEO_FPS)), _thinned(offsets * FRAME_MS)
        slope, _, low, high = theilslopes(ms, minutes)
        slopes.append((slope, low, high))
        precision.append(len(frames) * minutes.var())
    slope, low, high = np.average(slopes, axis=0, weights=precision)
    return Drift(0.0 if low <= 0 <= high else float(slope), float(low), float(high))


def _offset_of_segments(at: np.ndarray, segments: tuple[Segment, ...]) -> np.ndarray:
    expected = np.full(len(at), np.nan)
    for segment in segments:
        inside = (at >= segment.start_s * VIDEO_FPS) & (at < segment.end_s * VIDEO_FPS)
        expected[inside] = segment.offset_frames
    return expected


def _parts(at: np.ndarray, offsets: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Cut where the offset jumps: where it changes by more than it usually does on its way."""
    if not len(at):
        return []
    change = np.array(
        [
            np.median(offsets[i : i + _SIDE_WINDOWS])
            - np.median(offsets[max(0, i - _SIDE_WINDOWS) : i])
            for i in range(1, len(at))
        ]
    )
    usual = np.median(change) if len(change) else 0.0
    cuts = 1 + np.flatnonzero(np.abs(change - usual) > JUMP_FRAMES)
    return list(zip(np.split(at, cuts), np.split(offsets, cuts), strict=True))


def _thinned(values: np.ndarray) -> np.ndarray:
    """At most some hundred values, each the mean of its neighbours (slopes are taken in pairs)."""
    if len(values) <= _MOST_WINDOWS:
        return np.asarray(values, dtype=float)
    return np.array([part.mean() for part in np.array_split(values, _MOST_WINDOWS)], dtype=float)
