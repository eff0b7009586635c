"""Accuracy against coverage: what is right among the surest answers (El-Yaniv & Wiener, JMLR 2010)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Curve:
    """One order of the answers.

    Attributes:
        name: What orders them.
        coverage: Share of the answers that are kept, rising, ``[N]``.
        accuracy: Share of these that are right, ``[N]``.
    """

    name: str
    coverage: np.ndarray
    accuracy: np.ndarray

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


def selective(name: str, scores: Sequence[float], right: Sequence[bool]) -> Curve:
    """Keep the answers of the highest scores; equal ones in the order that they came."""
    order = np.argsort(-np.asarray(scores, float), kind="stable")
    good = np.asarray(right, float)[order]
    count = np.arange(1, len(good) + 1)
    return Curve(name, count / len(good), np.cumsum(good) / count)


def plot_curves(path: Path, curves: Sequence[Curve]) -> None:
    """Draw them.

    Args:
        path: ``.png`` or ``.svg``.
        curves: Each a line.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7.5, 4.5), layout="constrained")
    for curve, style in zip(curves, ("-", "--", "-.", ":") * len(curves)):
        shown = curve.coverage >= 0.1
        axes.plot(100 * curve.coverage[shown], 100 * curve.accuracy[shown], style, label=curve.name)
    axes.set(xlabel="kept, % of all segments", ylabel="right within a frame, %", xlim=(10, 100))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left", frameon=False, fontsize=8)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
