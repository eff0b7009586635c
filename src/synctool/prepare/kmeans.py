"""k-means: Lloyd's rounds after k-means++ (Arthur & Vassilvitskii 2007), in NumPy."""

from __future__ import annotations

import numpy as np

_ROWS = 16_384
"""Rows compared with all centres at a time."""


def kmeans(rows: np.ndarray, count: int, *, rounds: int, rng: np.random.Generator) -> np.ndarray:
    """Centres of clusters.

    A centre that loses all of its rows moves to the row that lies farthest from its own.

    Args:
        rows: float ``[N, D]``, N at least ``count``.
        count: K.
        rounds: Most rounds; it ends before where no row changes its cluster.
        rng: Random generator.

    Returns:
        float32 ``[K, D]``.
    """
    rows = np.ascontiguousarray(rows, np.float32)
    centres = _spread(rows, count, rng)
    before: np.ndarray | None = None
    for _ in range(rounds):
        labels, distances = nearest_centres(rows, centres)
        if before is not None and np.array_equal(labels, before):
            break
        before = labels
        order = np.argsort(labels, kind="stable")
        counts = np.bincount(labels, minlength=count)
        filled = counts > 0
        starts = (np.cumsum(counts) - counts)[filled]
        centres[filled] = np.add.reduceat(rows[order], starts) / counts[filled, None]
        empty = np.flatnonzero(~filled)
        centres[empty] = rows[np.argsort(-distances, kind="stable")[: empty.size]]
    return centres


def nearest_centres(rows: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nearest centre of every row.

    Args:
        rows: float ``[N, D]``.
        centres: float32 ``[K, D]``.

    Returns:
        int ``[N]``, and the squared distances, float32 ``[N]``.
    """
    labels = np.zeros(len(rows), np.intp)
    distances = np.zeros(len(rows), np.float32)
    lengths = (centres**2).sum(1)
    for start in range(0, len(rows), _ROWS):
        part = rows[start : start + _ROWS].astype(np.float32)
        apart = lengths - 2 * (part @ centres.T)
        found = apart.argmin(1)
        labels[start : start + _ROWS] = found
        nearest = np.take_along_axis(apart, found[:, None], 1)[:, 0] + (part**2).sum(1)
        distances[start : start + _ROWS] = nearest.clip(0)
    return labels, distances


def _spread(rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """First centres, each drawn with the squared distance from those before as its chance."""
    chosen = np.zeros((count, rows.shape[1]), np.float32)
    chosen[0] = rows[rng.integers(len(rows))]
    apart = ((rows - chosen[0]) ** 2).sum(1).astype(np.float64)
    for i in range(1, count):
        total = apart.sum()
        even = np.full(len(rows), 1 / len(rows))
        at = rng.choice(len(rows), p=apart / total if total > 0 else even)
        chosen[i] = rows[at]
        np.minimum(apart, ((rows - chosen[i]) ** 2).sum(1), out=apart)
    return chosen
