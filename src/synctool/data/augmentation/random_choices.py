"""Which augmentations one window gets, and chance of its own for each."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from synctool.data.augmentation.table import AUGMENTATIONS, AugmentSettings

_FIRST_ROWS = 39
"""Rows with chance from the window's own; those added since derive theirs, so that runs can go on."""
_LATER_ROWS = (3, 5, 1)
"""How many rows were added at a time."""
_PLACE = {row.name: i for i, row in enumerate(AUGMENTATIONS)}


class Dice:
    """Thrown once for a window.

    Args:
        settings: How often and how hard each augmentation acts.
        rng: Random generator; as much is taken from it whatever the settings.
        amount: Overall strength, 0..1; 0 does nothing at all.

    Attributes:
        amount: Overall strength.
        policy: Number of operations and magnitude of ``randaugment``.
    """

    def __init__(
        self, settings: AugmentSettings, rng: np.random.Generator, *, amount: float = 1.0
    ) -> None:
        odds, self._strengths = _vectors(settings)
        thrown, seeds = rng.random(_FIRST_ROWS), rng.integers(2**63, size=_FIRST_ROWS)
        first = seeds
        for batch, rows in enumerate(_LATER_ROWS):
            later = np.random.default_rng(int(first[batch]))
            thrown = np.concatenate([thrown, later.random(rows)])
            seeds = np.concatenate([seeds, later.integers(2**63, size=rows)])
        self._seeds = seeds
        self.amount = amount
        self.policy = settings.policy
        self._hit = (thrown < np.where(_RAMPED, odds * amount, odds)) & (amount > 0)

    def hit(self, name: str) -> bool:
        """Whether the window gets an augmentation."""
        return bool(self._hit[_PLACE[name]])

    def of(self, name: str) -> np.random.Generator | None:
        """Chance for an augmentation, None where the window does not get it."""
        i = _PLACE[name]
        # Of its own, so that the others stay as they are when one is switched off.
        return np.random.default_rng(int(self._seeds[i])) if self._hit[i] else None

    def strength(self, name: str) -> float:
        """Factor of the size of an augmentation that happens now and then."""
        return self._strengths[_PLACE[name]]

    def size(self, name: str) -> float:
        """The same for one that always happens, and grows with the overall strength."""
        return self._strengths[_PLACE[name]] * self.amount


_RAMPED = np.array([row.ramped for row in AUGMENTATIONS])


@lru_cache(maxsize=16)
def _vectors(settings: AugmentSettings) -> tuple[np.ndarray, list[float]]:
    """Probabilities and strengths in the order of the table."""
    doses = [settings.dose(row.name) for row in AUGMENTATIONS]
    odds = np.array([d.probability if d.strength > 0 else 0.0 for d in doses])
    return odds, [d.strength for d in doses]
