"""How much each model of an ensemble counts: by the likelihood of the truth on people not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from synctool.scoring.offset_sets import fit_density, mean_log_likelihood
from synctool.training.calibration import Example, KnownSegment

_STEPS = 4
"""Shares are multiples of a quarter."""
_SHAPED = 400
"""Segments that decide; more change nothing."""


def fit_weights(segments: Sequence[KnownSegment]) -> tuple[float, ...]:
    """Weights of the models' scores under which the true offsets are most likely.

    The scores of each model are first brought to one height: that of its right peaks.

    Args:
        segments: With the scores of all models; those with another's audio, or of still faces, take no part.

    Raises:
        ValueError: There are none.
    """
    own = [s for s in segments if not (s.foreign or s.still) and s.tolerance_frames <= 1]
    own = own[:: max(1, len(own) // _SHAPED)]
    count = len(own[0].volumes) if own else 0
    heights = [_height([e for s in own if (e := s.example(s.volumes[n]))]) for n in range(count)]
    best: tuple[float, tuple[float, ...]] | None = None
    for shares in product(range(_STEPS + 1), repeat=count):
        if sum(shares) != _STEPS:
            continue
        weights = tuple(share / _STEPS / height for share, height in zip(shares, heights))
        examples = weighted_examples(own, weights)
        estimates, truths = [e.estimate for e in examples], [e.truth_frames for e in examples]
        likelihood = mean_log_likelihood(fit_density(estimates, truths), estimates, truths)
        if best is None or likelihood > best[0]:
            best = likelihood, weights
    if best is None:
        raise ValueError("no segments to weigh models on")
    total = sum(best[1])
    return tuple(weight / total for weight in best[1])


def weighted_examples(segments: Sequence[KnownSegment], weights: Sequence[float]) -> list[Example]:
    """The estimates of models together."""
    found = (segment.example(weighted(segment.volumes, weights)) for segment in segments)
    return [example for example in found if example is not None]


def weighted(volumes: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    """Scores of models together, ``[2K+1, T]``; a model without weight does not count at all."""
    counted = [w * volume for w, volume in zip(weights, volumes, strict=True) if w]
    return np.asarray(np.sum(counted, axis=0, dtype=np.float32))


def _height(examples: Sequence[Example]) -> float:
    heights = [e.estimate.height for e in examples if e.correct]
    return max(float(np.median(heights)), 1e-6) if heights else 1.0
