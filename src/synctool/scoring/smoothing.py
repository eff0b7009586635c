"""The best offset round every frame, from a window that slides along the video.

Everything is done for some thousands of columns at once; a video of two hours takes seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import convolve1d

from synctool.scoring.confidence import Calibration
from synctool.scoring.offset import RIVAL_DISTANCE, parabola_vertex, t_statistic
from synctool.scoring.rows import MIN_SHARE, blocks, frame_levels
from synctool.types import VIDEO_FPS

LEAST_FILLED = 0.2
"""Share of the window's weight that must fall on valid frames."""


@dataclass(frozen=True)
class LocalPeaks:
    """The best offset round every frame; all arrays are float32 ``[T]``, NaN without evidence.

    Attributes:
        offset_frames: Sub-frame offset; > 0: audio ahead.
        confidence: Probability that it is right within ±1 frame.
        height: Score of the peak above the mean of all rows, in units of the scores.
    """

    offset_frames: np.ndarray
    confidence: np.ndarray
    height: np.ndarray


def local_peaks(volume: np.ndarray, calibration: Calibration, *, window_s: float) -> LocalPeaks:
    """Slide a Hann window along a score volume and take the peak of every place.

    Missing values have no weight. A frame without any score of its own gets no offset, even where
    its neighbours have one.

    Args:
        volume: Scores ``[2K+1, T]``, NaN where there is none.
        calibration: Turns the statistics of a window into a confidence, as for a whole video.
        window_s: Length of the window in seconds.
    """
    radius = max(1, round(window_s * VIDEO_FPS / 2))
    weights = np.hanning(2 * radius + 3)[1:-1].astype(np.float32)
    results = np.full((3, volume.shape[1]), np.nan, dtype=np.float32)
    for part in blocks(volume.shape[1]):
        results[:, part] = _peaks_of_block(_with_halo(volume, part, radius), weights, calibration)
    return LocalPeaks(*results)


def _with_halo(volume: np.ndarray, part: slice, radius: int) -> np.ndarray:
    """The columns of ``part`` and ``radius`` more on both sides, NaN beyond the video's ends."""
    start, stop = part.start - radius, part.stop + radius
    missing = (max(0, -start), max(0, stop - volume.shape[1]))
    columns = volume[:, max(0, start) : stop]
    return np.pad(columns, ((0, 0), missing), constant_values=np.nan)


def _peaks_of_block(
    scores: np.ndarray, weights: np.ndarray, calibration: Calibration
) -> np.ndarray:
    """Offset, confidence and height ``[3, B]`` from scores ``[R, B + len(weights) - 1]``."""
    levels = frame_levels(scores)
    scores = scores - levels
    smooth, usable = _smooth(scores, weights)
    rows, columns = smooth.shape
    radius, column = len(weights) // 2, np.arange(columns)
    alive = usable.any(axis=0) & np.isfinite(scores[:, radius : radius + columns]).any(axis=0)
    peak = smooth.argmax(axis=0)
    height = smooth[peak, column]
    neighbours = [
        np.where((row >= 0) & (row < rows), smooth[np.clip(row, 0, rows - 1), column], np.nan)
        for row in (peak - 1, peak + 1)
    ]
    offset = peak - rows // 2 + parabola_vertex(neighbours[0], height, neighbours[1])
    for distance in range(1 - RIVAL_DISTANCE, RIVAL_DISTANCE):
        smooth[np.clip(peak + distance, 0, rows - 1), column] = -np.inf
    margin, t_stat, frames = _stand_out(scores, weights, peak, smooth.argmax(axis=0))
    at_edge = (peak == usable.argmax(axis=0)) | (peak == rows - 1 - usable[::-1].argmax(axis=0))
    level = height + _smooth(levels[None], weights)[0][0]
    confidence = calibration.probability(
        t_stat, margin, frames, at_edge, np.where(alive, height, 0.0), np.where(alive, level, 0.0)
    )
    return np.where(alive, np.stack([offset, confidence, height]), np.nan)


def _smooth(scores: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted means along time ``[R, B]``, ``-inf`` where not usable, and what is usable."""
    valid = np.isfinite(scores)
    sums = _along_time(np.where(valid, scores, np.float32(0)), weights)
    filled = _along_time(valid.astype(np.float32), weights)
    least = np.maximum(MIN_SHARE * filled.max(axis=0), LEAST_FILLED * weights.sum())
    usable = filled >= least
    return np.divide(sums, filled, out=np.full_like(sums, -np.inf), where=usable), usable


def _along_time(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted sums where the whole window lies inside: ``[R, B + len(weights) - 1] -> [R, B]``."""
    radius = len(weights) // 2
    return convolve1d(values, weights, axis=1, mode="constant")[:, radius : -radius or None]


def _stand_out(
    scores: np.ndarray, weights: np.ndarray, peak: np.ndarray, rival: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weighted margin, t and number of frames of peak against rival round every frame, ``[B]``."""
    columns = len(peak)
    total, squares, first, second = np.zeros((4, columns))
    flat, place = scores.ravel(), np.arange(columns)
    at_peak, at_rival = (row * scores.shape[1] + place for row in (peak, rival))
    for step, weight in enumerate(weights):
        difference = flat[at_peak + step] - flat[at_rival + step]
        here = np.where(np.isfinite(difference), weight, 0.0)
        difference = np.nan_to_num(difference, posinf=0.0, neginf=0.0)
        total += here
        squares += here * here
        first += here * difference
        second += here * difference * difference
    filled = total > 0
    mean = np.divide(first, total, out=np.zeros(columns), where=filled)
    mean_square = np.divide(second, total, out=np.zeros(columns), where=filled)
    std = np.sqrt(np.maximum(mean_square - mean * mean, 0.0))
    frames = np.divide(total * total, squares, out=np.ones(columns), where=filled)  # Kish's size
    return mean, t_statistic(mean, std, frames), frames
