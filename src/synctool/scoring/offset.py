"""One offset for a whole segment of video, and how far it stands out from all others."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from synctool.scoring.rows import MIN_SHARE, curve_without_levels, searched_rows

CORRELATION_FRAMES = 5.0
"""Frames of which the scores are about as good as one independent observation."""
RIVAL_DISTANCE = 2
"""A rival of the peak is at least so many rows away: its neighbours share its evidence."""
_LEAST_SPREAD = 1e-3


@dataclass(frozen=True)
class OffsetEstimate:
    """The offset of a segment and the statistics of its peak.

    Attributes:
        offset_frames: Sub-frame offset; > 0: audio ahead.
        row: Row of the peak.
        margin: Mean of ``d_t``, the score of the peak row minus that of its best rival (the row
            with the best mean that is more than one frame away), in units of the scores.
        t_stat: ``mean(d) / (std(d) / sqrt(n_eff))``, with one independent observation in five
            frames.
        frames: Valid frames of the peak row.
        at_edge: Whether the peak is the first or the last of the searched rows: the true offset may
            lie beyond.
        curve: Mean score per row above the mean of all, ``[2K+1]`` float32; NaN for rows with too
            few valid frames.
        level: Mean score of the peak row itself, in units of the scores: networks that were trained with
            other people's audio score that lower in every row.
    """

    offset_frames: float
    row: int
    margin: float
    t_stat: float
    frames: int
    at_edge: bool
    curve: np.ndarray = field(repr=False, compare=False)
    level: float = 0.0

    @property
    def height(self) -> float:
        """Mean score of the peak above the mean of all rows, in units of the scores."""
        return float(self.curve[self.row])


def estimate_offset(volume: np.ndarray, *, min_share: float = MIN_SHARE) -> OffsetEstimate | None:
    """Find the one offset that suits a whole segment best.

    Args:
        volume: Scores ``[2K+1, T]`` like log-likelihoods, higher is better, NaN where there is
            none.
        min_share: A row counts when it has at least this share of the valid frames of the
            best-covered row.

    Returns:
        The estimate, or None when there is not one score.
    """
    curve, counts = curve_without_levels(volume)
    searched = np.flatnonzero(searched_rows(counts, min_share))
    if not len(searched):
        return None
    kept = np.full_like(curve, np.nan)
    kept[searched] = curve[searched]
    row = int(np.nanargmax(kept))
    margin, t_stat = _stand_out(volume, kept, row)
    return OffsetEstimate(
        offset_frames=float(row - len(volume) // 2 + _vertex_of_row(kept, row)),
        row=row,
        margin=margin,
        t_stat=t_stat,
        frames=int(counts[row]),
        at_edge=row in (searched[0], searched[-1]),
        curve=kept.astype(np.float32),
        level=float(np.nanmean(volume[row], dtype=np.float64)),
    )


def parabola_vertex(left: np.ndarray, peak: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Where the parabola through three neighbouring values has its top, from the middle one.

    Returns:
        Position in steps, within -0.5 to 0.5; 0 where a neighbour is missing or nothing is curved.
    """
    left, peak, right = (np.asarray(x, dtype=np.float64) for x in (left, peak, right))
    with np.errstate(invalid="ignore"):
        bend = left - 2 * peak + right
        usable = np.isfinite(bend) & (bend < 0)
        vertex = np.divide(0.5 * (left - right), bend, out=np.zeros_like(bend), where=usable)
    return np.clip(vertex, -0.5, 0.5)


def t_statistic(mean: ArrayLike, std: ArrayLike, frames: ArrayLike) -> np.ndarray:
    """``mean / (std / sqrt(n_eff))`` for correlated frames; finite where the spread is zero.

    Args:
        mean: Mean of the differences.
        std: Their standard deviation.
        frames: How many frames they come from (may be fractional, for weighted means).
    """
    mean, std = np.asarray(mean, dtype=np.float64), np.asarray(std, dtype=np.float64)
    spread = np.maximum(std, _LEAST_SPREAD * np.abs(mean))
    n_eff = np.maximum(np.asarray(frames) / CORRELATION_FRAMES, 1.0)
    return np.divide(mean * np.sqrt(n_eff), spread, out=np.zeros_like(mean), where=spread > 0)


def _vertex_of_row(curve: np.ndarray, row: int) -> float:
    if not 0 < row < len(curve) - 1:
        return 0.0
    return float(parabola_vertex(*curve[row - 1 : row + 2]))


def _stand_out(volume: np.ndarray, curve: np.ndarray, row: int) -> tuple[float, float]:
    """Margin and t of the peak against its best rival; zeros when there is no rival."""
    rivals = curve.copy()
    rivals[max(0, row - RIVAL_DISTANCE + 1) : row + RIVAL_DISTANCE] = np.nan
    if np.isnan(rivals).all():
        return 0.0, 0.0
    rival = int(np.nanargmax(rivals))
    difference = (volume[row] - volume[rival]).astype(np.float64)
    difference = difference[np.isfinite(difference)]
    if len(difference) < 2:  # rows of a short video that have no frame in common
        return float(curve[row] - curve[rival]), 0.0
    margin = float(difference.mean())
    return margin, float(t_statistic(margin, difference.std(ddof=1), len(difference)))
