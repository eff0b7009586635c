"""How well a score ranks trials: area under the ROC curve, average precision.

Equal scores are treated as scikit-learn does. Resampling needs the figures for hundreds of weightings at
once, which are computed here in one go; the figure itself is that of the weights one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from synctool.evaluation.bootstrap import UNDEFINED, Interval, Units, interval_of


def roc_auc(truth: np.ndarray, score: np.ndarray, units: Units) -> Interval:
    """Area under the ROC curve with its interval; undefined where there is one class only.

    Args:
        truth: bool ``[N]``.
        score: float ``[N]``, higher for true.
        units: What is drawn together.
    """
    return _ranked(_roc_auc, truth, score, units)


def average_precision(truth: np.ndarray, score: np.ndarray, units: Units) -> Interval:
    """Average precision likewise."""
    return _ranked(_average_precision, truth, score, units)


def _ranked(
    statistic: Callable[[np.ndarray, np.ndarray], np.ndarray],
    truth: np.ndarray,
    score: np.ndarray,
    units: Units,
) -> Interval:
    if truth.all() or not truth.any():
        return UNDEFINED
    order = np.argsort(-score, kind="stable")
    falling = -score[order]
    starts = np.flatnonzero(np.concatenate([[True], np.diff(falling) > 0]))
    right = truth[order].astype(float)

    def drawn(weights: np.ndarray) -> np.ndarray:
        true = np.add.reduceat(weights * right, starts, axis=1)
        false = np.add.reduceat(weights * (1 - right), starts, axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return statistic(true, false)

    value = float(drawn(np.ones((1, right.size)))[0])
    sorted_units = Units(units.index[order], units.count, units.drawn)
    return interval_of(drawn, sorted_units, value=value, share=True)


def _roc_auc(true: np.ndarray, false: np.ndarray) -> np.ndarray:
    """Of how many are true and false at each score, highest first, ``[D, S]``; half for equal scores."""
    below = false.sum(1, keepdims=True) - false.cumsum(1)
    return (true * (below + 0.5 * false)).sum(1) / (true.sum(1) * false.sum(1))


def _average_precision(true: np.ndarray, false: np.ndarray) -> np.ndarray:
    found = true.cumsum(1)
    precision = found / np.maximum(found + false.cumsum(1), 1)
    return (true * precision).sum(1) / true.sum(1)
