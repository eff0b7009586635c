"""What chance makes of a long video: how strong the best of many segments is where no offset is right.

Whoever searches two hours for the span of time that fits best finds one that fits well, also under a
voice-over. So a segment is not judged alone, but against the other segments of its video: those that
disagree with it show how many chance makes there, and how strong.

Under chance, segments fall on any offset, and what a segment gains beyond the least that the search asks
for is exponential, about. The segments of one offset then add up to a compound Poisson variable. Its rate
and scale come from the segments that disagree and from a prior that was measured on foreign audio; the
answer is a family-wise error rate, over all segments and all offsets.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import gammaincc, gammaln, xlogy

AGREEING_FRAMES = 1.0
"""Segments whose offsets differ by at most this agree."""
LEAST_GAIN = 12.0
"""Natural log-odds that a segment gains at least: what coming and going cost in the search."""
TYPICAL_GAIN = 10.0
"""Mean gain beyond that of chance segments, on foreign audio (docs/results.md, "Foreign audio")."""
EVEN_CHANCE = 0.03
"""Family-wise error rate at which a group of segments is as likely right as made by chance."""
_PRIOR_SEGMENTS = 3.0
_ESTABLISHED = 0.05
_LEAST_SCATTER = 6
_GROUP_ROWS = 3
_MOST_ROUNDS = 20


def chance_of_groups(
    offset_frames: Sequence[float] | np.ndarray, gains: Sequence[float], *, rows: int
) -> np.ndarray:
    """How likely chance alone makes, anywhere in the video, a group as strong as that of each segment.

    Args:
        offset_frames: Offsets of the segments ``[N]``.
        gains: Log-odds that each gains in the search over "no evidence" ``[N]``.
        rows: Offset bins searched, 2K+1.

    Returns:
        float64 ``[N]`` in 0..1; segments that agree have about the same value.
    """
    offsets = np.asarray(offset_frames, dtype=float)
    beyond = np.maximum(np.asarray(gains, dtype=float) - LEAST_GAIN, 0.0)
    maybe = _perhaps_chance(beyond)
    return np.array([_chance(i, offsets, beyond, maybe, rows) for i in range(len(offsets))])


def probability_not_chance(chance: np.ndarray | float) -> np.ndarray:
    """Probability in 0..1 that a group is more than chance, from its family-wise error rate."""
    odds = EVEN_CHANCE / np.maximum(np.asarray(chance, dtype=float), 1e-12)
    return odds / (1 + odds)


def _perhaps_chance(beyond: np.ndarray) -> np.ndarray:
    """Which segments chance may have made, bool ``[N]``; the others are too strong for that.

    Parts of a video that was cut from several disagree, and each is right: they must not pass for a sign
    that chance is strong in this video.
    """
    maybe = np.ones(len(beyond), bool)
    scale = TYPICAL_GAIN
    for _ in range(_MOST_ROUNDS):
        before = maybe
        maybe = beyond < scale * np.log((len(beyond) + 1) / _ESTABLISHED)
        scale = _scale(beyond[maybe])
        if (maybe == before).all():
            break
    return maybe


def _scale(beyond: np.ndarray) -> float:
    """Mean gain of chance segments beyond the least, from the prior and those that are known."""
    total = _PRIOR_SEGMENTS * TYPICAL_GAIN + beyond.sum()
    return float(total / (_PRIOR_SEGMENTS + len(beyond)))


def _chance(
    index: int, offsets: np.ndarray, beyond: np.ndarray, maybe: np.ndarray, rows: int
) -> float:
    """Family-wise error rate of the group round one segment: by its sum, or by its strongest."""
    own = np.abs(offsets - offsets[index]) <= AGREEING_FRAMES
    others = maybe & ~own
    scale, count = _scale(beyond[others]), others.sum() + 1.0
    expected = count * _GROUP_ROWS / max(rows - _GROUP_ROWS, _GROUP_ROWS)
    uneven = _unevenness(offsets[others], beyond[others], offsets[index], rows)
    total = beyond[own].sum() / (scale * uneven)
    by_sum = max(rows / _GROUP_ROWS, 1.0) * _tail_of_sum(expected / uneven, total)
    by_strongest = -np.expm1(-count * np.exp(-beyond[own].max() / scale))
    return float(min(1.0, 2 * min(by_sum, by_strongest)))


def _unevenness(offsets: np.ndarray, beyond: np.ndarray, own: float, rows: int) -> float:
    """How much more the groups of other offsets vary than chance segments on any offset would, at least 1.

    A rhythm that video and audio share favours some offsets, wherever the audio comes from.
    """
    if len(offsets) < _LEAST_SCATTER:
        return 1.0
    half = rows // 2
    edges = np.arange(-half - 0.5, half + _GROUP_ROWS, _GROUP_ROWS)
    middles = (edges[:-1] + edges[1:]) / 2
    sums = np.histogram(offsets, edges, weights=beyond)[0]
    sums = sums[np.abs(middles - own) > _GROUP_ROWS]
    usual = np.square(beyond).sum() / max(len(sums), 1)
    return float(max(1.0, sums.var(ddof=1) / usual)) if len(sums) > 2 and usual > 0 else 1.0


def _tail_of_sum(rate: float, total: float) -> float:
    """Probability that a Poisson number of exponential variables of mean 1 add up to ``total``."""
    if total <= 0:
        return 1.0
    most = int(rate + 10 * np.sqrt(rate) + total) + 20
    count = np.arange(1, most)
    weights = np.exp(xlogy(count, rate) - rate - gammaln(count + 1))
    return float((weights * gammaincc(count, total)).sum())
