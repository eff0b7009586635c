"""Sums along the rows of score volumes, a few thousand columns at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

BLOCK_COLUMNS = 8192
"""Columns taken at once: bounds the memory beside the volume itself."""
MIN_SHARE = 0.4
"""A row counts when it has this share of the valid frames of the best-covered row."""


def blocks(length: int, size: int = BLOCK_COLUMNS) -> Iterator[slice]:
    """Cut ``range(length)`` into slices of at most ``size``."""
    for start in range(0, length, size):
        yield slice(start, min(start + size, length))


def row_means(volume: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and number of the valid values of every row.

    Args:
        volume: ``[R, T]``, NaN where there is no value.

    Returns:
        Means ``[R]`` float64 (NaN for a row without values) and counts ``[R]`` int64.
    """
    sums = np.zeros(len(volume))
    counts = np.zeros(len(volume), dtype=np.int64)
    for part in blocks(volume.shape[1]):
        values = volume[:, part]
        valid = np.isfinite(values)
        sums += np.where(valid, values, 0).sum(axis=1, dtype=np.float64)
        counts += valid.sum(axis=1)
    return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0), counts


def frame_levels(values: np.ndarray) -> np.ndarray:
    """Mean of every frame's valid values: ``[R, T] -> [T]``, NaN where it has none."""
    valid = np.isfinite(values)
    counts = valid.sum(axis=0)
    sums = np.where(valid, values, 0).sum(axis=0)
    return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


def without_levels(values: np.ndarray) -> np.ndarray:
    """Subtract from every frame the mean of its valid values; ``[R, T]``, NaN stays NaN."""
    return values - frame_levels(values)


def curve_without_levels(volume: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What each row scores above the others, free of what each frame scores on its own.

    Near the ends of a video not every row has a value in every frame. A plain mean would then
    compare rows over different frames, and frames differ in level by more than rows do (silence
    scores low everywhere). This is the least-squares fit of ``score[k, t] = row[k] + frame[t]`` to
    the valid values, with the frames eliminated from the normal equations; where nothing is
    missing it is the plain mean up to a constant.

    Args:
        volume: ``[R, T]``, NaN where there is no value.

    Returns:
        ``row`` ``[R]`` float64 with mean 0 over the rows that have values (NaN for the others),
        and the number of valid values ``[R]`` int64.
    """
    rows = len(volume)
    gain, counts = np.zeros(rows), np.zeros(rows, dtype=np.int64)
    shared = np.zeros((rows, rows))  # frames that two rows share, each over its number of rows
    for part in blocks(volume.shape[1]):
        values = without_levels(volume[:, part])
        valid = np.isfinite(values)
        filled = valid.sum(axis=0)
        gain += np.where(valid, values, 0).sum(axis=1, dtype=np.float64)
        counts += valid.sum(axis=1)
        partial = (filled > 0) & (filled < rows)
        present = valid[:, partial].astype(np.float64)
        shared += (present / filled[partial]) @ present.T + (filled == rows).sum() / rows
    seen = counts > 0
    gain[seen] -= gain[seen].sum() / max(seen.sum(), 1)  # nothing but rounding errors
    # Only differences between rows are determined: the ridge takes the smallest solution.
    ridge = 1e-9 * (counts.max(initial=0) + 1)
    curve = np.linalg.solve(np.diag(counts + ridge) - shared, gain)
    return np.where(seen, curve - curve[seen].sum() / max(seen.sum(), 1), np.nan), counts


def searched_rows(counts: np.ndarray, min_share: float = MIN_SHARE) -> np.ndarray:
    """Which rows have enough valid frames to be compared with the best-covered one, ``[R]``."""
    return (counts > 0) & (counts >= min_share * counts.max(initial=0))
