"""How many short windows of a video have their best match at the true offset.

The task of the literature on sync networks (Chung, Chung & Kang, "Perfect match", ICASSP 2019; Kadandale
et al., "VocaLiST", Interspeech 2022): of 31 audio windows, at -15 to +15 frames round the true one, a
window of N frames must score best with one that is within a frame of it. Here the scores are those of the
whole video, averaged over the window: the network has seen more than the window, and nothing is cut out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

CANDIDATES = 15
"""Candidates on either side of the true offset: 31 in all."""
LENGTHS = (5, 7, 9, 11, 13, 15)
"""Frames of the windows."""
RIGHT_FRAMES = 1.0
_ROUNDING = 1e-6


def least_offset(truth_frames: float) -> int:
    """The largest offset K that a volume must have for all candidates round a truth to be in it."""
    return CANDIDATES + abs(round(truth_frames))


def right_windows(
    volume: np.ndarray, truth_frames: float, lengths: Sequence[int] = LENGTHS
) -> dict[int, tuple[int, int]]:
    """Count the windows, one from every frame on.

    Args:
        volume: Scores ``[2K+1, T]``, higher is better, NaN where there is none; K at least
            ``least_offset(truth_frames)``.
        truth_frames: The true offset.
        lengths: N, in frames.

    Returns:
        For every N how many windows are right, and how many there are: those in whose every frame all
        31 candidates have a score.

    Raises:
        ValueError: The volume is too narrow.
    """
    middle, centre = len(volume) // 2, round(truth_frames)
    if middle < least_offset(truth_frames):
        raise ValueError(f"K is {middle} and must be {least_offset(truth_frames)} or more")
    first = middle + centre - CANDIDATES
    rows = volume[first : first + 2 * CANDIDATES + 1].astype(np.float64)
    whole = np.isfinite(rows).all(0)
    sums = np.cumsum(np.pad(np.where(whole, rows, 0.0), ((0, 0), (1, 0))), axis=1)
    counts = np.cumsum(np.pad(whole, (1, 0)))
    offsets = np.arange(-CANDIDATES, CANDIDATES + 1) + centre
    right = np.abs(offsets - truth_frames) <= RIGHT_FRAMES + _ROUNDING
    found = {}
    for n in lengths:
        full = counts[n:] - counts[:-n] == n
        best = (sums[:, n:] - sums[:, :-n]).argmax(0)
        found[n] = (int((right[best] & full).sum()), int(full.sum()))
    return found
