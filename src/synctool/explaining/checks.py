"""Whether an explanation explains anything: two checks with figures.

*Random weights* (Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018): the map of the same
network with its weights shuffled must be another one; a method whose map stays the same shows the image and
not the network.

*Masking*: pixels that the map names, made still, must cost more of the score than as many others do. The
others keep the map's own shape, moved about the crop, as a mask in one piece hurts less or more than
scattered pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from synctool.explaining.target import Target, still_crops

SHARE = 0.15
"""Share of the crop that is masked."""
RANDOM_MASKS = 16
UNLIKE = 0.5
"""Rank correlation below which two maps are not the same."""


@dataclass(frozen=True)
class MaskingCheck:
    """What masking costs, as a share of the score.

    Attributes:
        named: Of the pixels that the map names.
        random: Mean of as many others.
        random_low: Smallest of these.
        random_high: Largest of these.
        share: Share of the crop that is masked.
    """

    named: float
    random: float
    random_low: float
    random_high: float
    share: float = SHARE

    @property
    def passed(self) -> bool:
        """Whether the named pixels cost more than the mean of the others."""
        return self.named > self.random


@dataclass(frozen=True)
class RandomWeightsCheck:
    """Rank correlation of the map with that of the network with shuffled weights, -1..1."""

    correlation: float

    @property
    def passed(self) -> bool:
        """Whether the map is destroyed."""
        return abs(self.correlation) < UNLIKE


def check_masking(
    target: Target,
    heat: np.ndarray,
    *,
    share: float = SHARE,
    masks: int = RANDOM_MASKS,
    seed: int = 0,
) -> MaskingCheck:
    """Mask what a map names, and as much elsewhere.

    Args:
        target: What was explained.
        heat: The map ``[S, S]``.
        share: Share of the crop that is masked.
        masks: How many others.
        seed: Seed of their places.
    """
    side = len(heat)
    named = heat >= np.quantile(heat, 1 - share)
    if named.mean() > 1.5 * share:  # a map that is flat at its top
        order = np.argsort(heat.reshape(-1), kind="stable")[::-1]
        named = np.zeros(side * side, bool)
        named[order[: round(share * side * side)]] = True
        named = named.reshape(side, side)
    rng = np.random.default_rng(seed)
    whole = target.score(target.volume)
    still = still_crops(target.moment.crops)

    def cost(mask: np.ndarray) -> float:
        crops = target.moment.crops.copy()
        crops[:, mask] = still[:, mask]
        return (whole - target.score(target.volume_of(crops))) / max(abs(whole), 1e-9)

    others = []
    for _ in range(masks):
        moved = named
        while (moved & named).sum() > 0.5 * named.sum():
            moved = np.roll(named, tuple(rng.integers(0, side, 2)), (0, 1))
        others.append(cost(moved))
    return MaskingCheck(
        cost(named), float(np.mean(others)), min(others), max(others), float(named.mean())
    )


def check_random_weights(
    target: Target, heat: np.ndarray, again: Callable[[Target], np.ndarray], *, seed: int = 0
) -> RandomWeightsCheck:
    """Compare a map with that of the same network with shuffled weights. Needs PyTorch.

    Args:
        target: What was explained, by a network in PyTorch.
        heat: The map ``[S, S]``.
        again: Makes the map ``[S, S]`` of a target.
        seed: Seed of the shuffle.
    """
    from scipy.stats import spearmanr

    from synctool.explaining.gradients import random_weights

    with random_weights(target.model.network, seed=seed):
        shuffled = Target(target.model, target.moment, max_offset=target.max_offset)
        other = again(shuffled)
    if other.std() < 1e-12:
        return RandomWeightsCheck(0.0)
    found: Any = spearmanr(heat.reshape(-1), other.reshape(-1))
    return RandomWeightsCheck(float(found.statistic))
