"""How the learning rate goes over a run; each is a function of the step, so that a run can resume."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_BEGINNING = 0.05
_END = 1e-3
"""Least rate, relative to the greatest."""


def _falling(done: float) -> float:
    """Half a cosine from 1 to nearly 0 (Loshchilov & Hutter 2017)."""
    return max(0.5 * (1 + math.cos(math.pi * done)), _END)


def _level(_: float) -> float:
    return 1.0


SHAPES: dict[str, Callable[[float], float]] = {
    "one-cycle": _falling,
    "cosine": _falling,
    "plateau": _level,
    "constant": _level,
}
"""Share of the greatest rate by the part of the run that is done after the warm-up, 0..1."""

WARMUP = {"one-cycle": 0.1}
"""Share of the run over which the rate rises unless said otherwise: one-cycle (Smith & Topin 2018)
is defined by its rise, the others start at full rate."""


@dataclass(frozen=True)
class Schedule:
    """Length and learning rate of a run.

    Attributes:
        epochs: Passes over the training data.
        steps_per_epoch: Steps of the optimizer in one round.
        learning_rate: The greatest.
        weight_decay: Of AdamW (Loshchilov & Hutter 2019); norms and biases have none.
        clip_norm: Longest gradient; 0 for any.
        shape: ``one-cycle``, ``cosine``, ``plateau`` or ``constant``.
        warmup: Share of the run over which the rate rises, 0..1; None takes the shape's own.
    """

    epochs: int
    steps_per_epoch: int
    learning_rate: float
    weight_decay: float = 0.02
    clip_norm: float = 1.0
    shape: str = "one-cycle"
    warmup: float | None = None

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.epochs * self.steps_per_epoch

    def rate(self, step: int) -> float:
        """The learning rate of a step, from 0."""
        share = WARMUP.get(self.shape, 0.0) if self.warmup is None else self.warmup
        warm = max(1, int(self.steps * share)) if share > 0 else 0
        if step < warm:
            return self.learning_rate * (_BEGINNING + (1 - _BEGINNING) * step / warm)
        done = (step - warm) / max(1, self.steps - warm)
        return self.learning_rate * SHAPES[self.shape](done)


class Plateau:
    """Halves the rate when the validation score has not risen for some epochs.

    Args:
        patience: Epochs without a better score before the rate is halved.
        factor: What the rate is multiplied by.
    """

    def __init__(self, *, patience: int = 3, factor: float = 0.5) -> None:
        self._patience = patience
        self._factor = factor
        self.scale = 1.0
        self._best = -math.inf
        self._waited = 0

    def see(self, score: float) -> None:
        """Take in the score of an epoch."""
        if score > self._best:
            self._best, self._waited = score, 0
            return
        self._waited += 1
        if self._waited >= self._patience:
            self.scale = max(self.scale * self._factor, _END)
            self._waited = 0

    def state_dict(self) -> dict[str, Any]:
        """What a continued run needs."""
        return {"scale": self.scale, "best": self._best, "waited": self._waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load what ``state_dict`` gave."""
        self.scale, self._best = float(state["scale"]), float(state["best"])
        self._waited = int(state["waited"])


class Patience:
    """Ends a run whose validation score no longer rises.

    Args:
        epochs: Epochs without a better score before the end; 0 for never.
    """

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self.waited = 0

    def see(self, *, better: bool) -> bool:
        """Take in an epoch; True when it was the last."""
        self.waited = 0 if better else self.waited + 1
        return self.over

    @property
    def over(self) -> bool:
        """Whether it has waited long enough."""
        return 0 < self._epochs <= self.waited
