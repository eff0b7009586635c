"""Accuracy against coverage: what is right among the surest answers (El-Yaniv & Wiener, JMLR 2010)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from synctool.evaluation.bootstrap import Interval


@dataclass(frozen=True)
class Curve:
    """One order of the answers.

    Attributes:
        name: What orders them.
        coverage: Share of the answers that are kept, rising, ``[N]``.
        accuracy: Share of these that are right, ``[N]``.
        scores: What they are ordered by, in the order that they came, ``[N]``.
        right: Whether each is right, likewise.
        people: Who is seen in each, likewise.
    """

    name: str
    coverage: np.ndarray
    accuracy: np.ndarray
    scores: np.ndarray
    right: np.ndarray
    people: np.ndarray

    @property
    def area_lost(self) -> float:
        """Mean share of wrong answers over all coverages (Geifman, Uziel & El-Yaniv, ICLR 2019)."""
        return float(1 - self.accuracy.mean())

    def at(self, coverage: float) -> float:
        """Accuracy where so much is kept."""
        return float(self.accuracy[max(0, round(coverage * len(self.accuracy)) - 1)])

    def plain(self) -> dict[str, Any]:
        """For JSON, in steps of a hundredth."""
        steps = [round(0.01 * n, 2) for n in range(1, 101)]
        return {
            "name": self.name,
            "area_lost": self.area_lost,
            "coverage": steps,
            "accuracy": [self.at(step) for step in steps],
        }


def selective(
    name: str, scores: Sequence[float], right: Sequence[bool], people: Sequence[str]
) -> Curve:
    """Keep the answers of the highest scores; equal ones in the order that they came."""
    values, good = np.asarray(scores, float), np.asarray(right, float)
    accuracy = _accuracy(values, good)
    coverage = np.arange(1, len(good) + 1) / len(good)
    return Curve(name, coverage, accuracy, values, good, np.asarray(people))


def more_area_lost(curve: Curve, base: Curve, *, draws: int = 400, seed: int = 0) -> Interval:
    """How much more area a curve loses than another of the same answers, with its 95 % interval by
    bootstrap over people."""
    rng = np.random.default_rng(seed)
    names = np.unique(base.people)
    own = {name: np.flatnonzero(base.people == name) for name in names}
    found = []
    for _ in range(draws):
        rows = np.concatenate([own[name] for name in rng.choice(names, len(names))])
        one, two = (_accuracy(c.scores[rows], c.right[rows]).mean() for c in (curve, base))
        found.append(two - one)
    low, high = np.quantile(found, (0.025, 0.975))
    return Interval(
        value=curve.area_lost - base.area_lost,
        low=float(low),
        high=float(high),
        drawn="people",
        units=len(names),
        count=len(base.scores),
    )


def _accuracy(scores: np.ndarray, right: np.ndarray) -> np.ndarray:
    order = np.argsort(-scores, kind="stable")
    return np.cumsum(right[order]) / np.arange(1, len(right) + 1)


def plot_curves(path: Path, groups: Sequence[Sequence[Curve]]) -> None:
    """Draw them.

    Args:
        path: ``.png`` or ``.svg``.
        groups: Curves of the same segments, a panel each.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(
        1,
        len(groups),
        figsize=(6 * len(groups), 4.5),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axes, curves in zip(panels[0], groups):
        for curve, style in zip(curves, ("-", "--", "-.", ":") * len(curves)):
            shown = curve.coverage >= 0.1
            axes.plot(
                100 * curve.coverage[shown], 100 * curve.accuracy[shown], style, label=curve.name
            )
        axes.set(xlabel="kept, % of all segments", xlim=(10, 100))
        axes.grid(alpha=0.3)
        axes.legend(loc="lower center", frameon=False, fontsize=8)
    panels[0][0].set(ylabel="right within a frame, %")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
