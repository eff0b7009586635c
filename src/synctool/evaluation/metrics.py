"""The figures of a comparison: every metric of every model, over all trials and by group.

What each means, and where it comes from, is in ``metric_specs`` and in ``docs/metrics.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from synctool.errors import UsageError
from synctool.evaluation.agreement import Agreement, agreement
from synctool.evaluation.bootstrap import (
    UNDEFINED,
    Interval,
    Units,
    mean_of,
    median_of,
    ratio_of,
    units_of,
)
from synctool.evaluation.languages import tone_of
from synctool.evaluation.metric_specs import (
    CONTEXTS,
    FAMILIES,
    METRICS,
    TOLERANCES,
    Metric,
    MetricSpec,
)
from synctool.evaluation.model_names import model_names
from synctool.evaluation.ranking import average_precision, roc_auc
from synctool.evaluation.reliability import calibration_error, reliability
from synctool.evaluation.trial_columns import Columns, Kept, columns, in_one_order, kept
from synctool.types import FRAME_MS, Trial

__all__ = [
    "FAMILIES",
    "GROUPINGS",
    "METRICS",
    "Agreement",
    "Metric",
    "MetricSpec",
    "agreement",
    "model_names",
    "reliability",
    "summarise",
]

GROUPINGS = ("person", "source", "language", "tone", "voicing", "condition", "perturbation")
"""What figures can be broken down by."""
VOICING = ((0.6, "under 60 %"), (0.8, "60 to 80 %"), (1.01, "over 80 %"))
"""Groups of ``voicing``: upper ends of the share of the speech that is voiced, and their names."""
_ROUNDING = 1e-9
_NOTHING_DONE = "perturbation=none level=0"


def summarise(trials: Iterable[Trial], *, by: Sequence[str] = ()) -> list[Metric]:
    """Every metric of every model, over all trials and by group.

    Videos that were degraded take part in the groups of their perturbation, and of
    ``condition=perturbed``, and in no other.

    Args:
        trials: In any order; they are read once, and little is kept of each.
        by: What to break down by, of ``GROUPINGS``. Trials that do not say are in no such group.

    Returns:
        Models in the order of their first trials; of each all groups, of each all of ``METRICS`` in
        their order. A metric that cannot be measured is NaN, of 0 trials.

    Raises:
        UsageError: ``by`` has a word that is not among ``GROUPINGS``.
    """
    for word in by:
        if word not in GROUPINGS:
            raise UsageError(
                f"figures cannot be broken down by {word!r}",
                remedy=f"Choose from: {', '.join(GROUPINGS)}.",
            )
    models: dict[tuple[str, str], list[Kept]] = {}
    for trial in trials:
        models.setdefault((trial.backbone, trial.weights), []).append(kept(trial))
    names = model_names(models)
    found = []
    for model, unordered in models.items():
        of_model = in_one_order(unordered)
        table = columns(of_model)
        for group, members in _groups(of_model, by):
            here = table.only(np.array(members, int))
            for name, spec in METRICS.items():
                estimate = _MEASURES[name](here)
                found.append(Metric.of(name, spec, estimate, backbone=names[model], group=group))
    return found


# --------------------------------------------------------------------------- groups


def _groups(trials: Sequence[Kept], by: Sequence[str]) -> Iterator[tuple[str, list[int]]]:
    """Names of groups with the numbers of their trials, ``all`` first."""
    yield "all", [i for i, trial in enumerate(trials) if not trial.condition.perturbation]
    for word in dict.fromkeys(by):
        groups: dict[tuple, list[int]] = {}
        for i, trial in enumerate(trials):
            key = _key(word, trial)
            if key is not None:
                groups.setdefault(key, []).append(i)
        for key in sorted(groups):
            yield key[-1], groups[key]


def _key(word: str, trial: Kept) -> tuple | None:
    """Place in the order and name of a trial's group; None if it is in none."""
    condition = trial.condition
    if word == "condition":
        return (f"condition={condition.kind}",)
    if word == "perturbation":
        if condition.perturbation:
            group = f"perturbation={condition.perturbation} level={condition.level}"
            return condition.perturbation, condition.level, group
        # Where the curves of all perturbations begin.
        return ("", 0, _NOTHING_DONE) if condition.kind == "plain" else None
    if word == "voicing":
        if condition.perturbation or trial.voiced_share is None:
            return None
        place = next(i for i, (end, _) in enumerate(VOICING) if trial.voiced_share < end)
        return place, f"voicing={VOICING[place][1]}"
    said = tone_of(trial.language) if word == "tone" else getattr(trial, word)
    return (f"{word}={said}",) if said and not condition.perturbation else None


# --------------------------------------------------------------------------- measures

Measure = Callable[[Columns], Interval]


def _units(here: Columns, chosen: np.ndarray) -> Units:
    return units_of(here.person[chosen], here.film[chosen])


def _mean(here: Columns, values: np.ndarray, *, share: bool = False) -> Interval:
    """Mean of the values that are not NaN."""
    chosen = ~np.isnan(values)
    return mean_of(values[chosen], _units(here, chosen), share=share)


def _where(condition: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.where(condition, values, np.nan)


def _errors(here: Columns) -> np.ndarray:
    return here.offset - here.truth


def _within(here: Columns, frames: float) -> np.ndarray:
    """1 where the best match is so near the truth, else 0, also where there is none."""
    return (np.abs(_errors(here)) <= frames + _ROUNDING).astype(float)


def _window_accuracy(here: Columns, *, length: int) -> Interval:
    right, windows = here.windows[:, length].T
    shares = np.divide(right, windows, out=np.full(len(here), np.nan), where=windows > 0)
    return replace(_mean(here, shares, share=True), count=int(windows.sum()))


def _accuracy(here: Columns, *, frames: float) -> Interval:
    known = ~here.failed & ~np.isnan(here.truth)
    return _mean(here, _where(known, _within(here, frames)), share=True)


def _answered_accuracy(here: Columns) -> Interval:
    known = here.answered & ~np.isnan(_errors(here))
    return _mean(here, _where(known, _within(here, 1)), share=True)


def _mae_ms(here: Columns) -> Interval:
    return _mean(here, np.abs(_errors(here)) * FRAME_MS)


def _median_ae_ms(here: Columns) -> Interval:
    errors = np.abs(_errors(here)) * FRAME_MS
    chosen = ~np.isnan(errors)
    return median_of(errors[chosen], _units(here, chosen))


def _bias_ms(here: Columns) -> Interval:
    return _mean(here, _errors(here) * FRAME_MS)


def _inconclusive_rate(here: Columns) -> Interval:
    return _mean(here, _where(~here.failed, ~here.answered), share=True)


def _failure_rate(here: Columns) -> Interval:
    return _mean(here, here.failed.astype(float), share=True)


def _decision(measure: Measure) -> Measure:
    """Of trials whose truth is known; undefined unless some are in sync and some are not."""

    def measured(here: Columns) -> Interval:
        known = here.only(~np.isnan(here.in_sync))
        if len(np.unique(known.in_sync)) < 2:
            return UNDEFINED
        return measure(known)

    return measured


def _roc_auc(here: Columns) -> Interval:
    return roc_auc(here.in_sync > 0, here.score, units_of(here.person, here.film))


def _average_precision(here: Columns) -> Interval:
    return average_precision(here.in_sync > 0, here.score, units_of(here.person, here.film))


def _precision(here: Columns) -> Interval:
    return _mean(here, _where(here.called_in_sync, here.in_sync), share=True)


def _recall(here: Columns) -> Interval:
    return _mean(here, _where(here.in_sync > 0, here.called_in_sync), share=True)


def _f1(here: Columns) -> Interval:
    called, true = here.called_in_sync.astype(float), here.in_sync
    units = units_of(here.person, here.film)
    return ratio_of(2 * called * true, called + true, units, share=True)


def _frame_share(here: Columns, *, part: int, of: int) -> Interval:
    parts, wholes = here.frames[:, part], here.frames[:, of]
    shares = np.divide(parts, wholes, out=np.full(len(here), np.nan), where=wholes > 0)
    return replace(_mean(here, shares, share=True), count=int(wholes.sum()))


def _segment_iou(here: Columns) -> Interval:
    both, either = here.off_sync_s.T
    shares = np.divide(both, either, out=np.full(len(here), np.nan), where=either > 0)
    return _mean(here, shares, share=True)


def _ece(here: Columns) -> Interval:
    known = here.only(~np.isnan(_errors(here)) & ~np.isnan(here.confidence))
    units = units_of(known.person, known.film)
    return calibration_error(known.confidence, _within(known, 1), units)


def _brier(here: Columns) -> Interval:
    known = ~np.isnan(_errors(here))
    return _mean(here, _where(known, (here.confidence - _within(here, 1)) ** 2), share=True)


def _shift_mae_ms(here: Columns) -> Interval:
    return _mean(here, np.abs(here.shift_error) * FRAME_MS)


def _shift_max_ms(here: Columns) -> Interval:
    return _largest(np.abs(here.shift_error) * FRAME_MS)


def _shift_accuracy(here: Columns) -> Interval:
    near = np.abs(here.shift_error) <= 0.5 + _ROUNDING
    return _mean(here, _where(~np.isnan(here.shift_error), near), share=True)


def _speed(here: Columns) -> Interval:
    chosen = ~here.failed & (here.seconds > 0)
    return ratio_of(here.duration_s[chosen], here.seconds[chosen], _units(here, chosen))


def _largest(values: np.ndarray) -> Interval:
    """Without an interval: what was drawn again cannot be larger."""
    kept_values = values[~np.isnan(values)]
    if not len(kept_values):
        return UNDEFINED
    return Interval(float(kept_values.max()), count=len(kept_values))


_MEASURES: Mapping[str, Measure] = {
    **{
        f"accuracy_1_frame@{n}": partial(_window_accuracy, length=i) for i, n in enumerate(CONTEXTS)
    },
    **{f"accuracy_{k}": partial(_accuracy, frames=k or 0.5) for k in TOLERANCES},
    "answered_accuracy_1": _answered_accuracy,
    "mae_ms": _mae_ms,
    "median_ae_ms": _median_ae_ms,
    "bias_ms": _bias_ms,
    "inconclusive_rate": _inconclusive_rate,
    "failure_rate": _failure_rate,
    "roc_auc": _decision(_roc_auc),
    "average_precision": _decision(_average_precision),
    "precision": _decision(_precision),
    "recall": _decision(_recall),
    "f1": _decision(_f1),
    "frame_accuracy": partial(_frame_share, part=2, of=1),
    "frame_coverage": partial(_frame_share, part=1, of=0),
    "segment_iou": _segment_iou,
    "ece": _ece,
    "brier": _brier,
    "lse_c": lambda here: _mean(here, here.lse_c),
    "lse_d": lambda here: _mean(here, here.lse_d),
    "piece_consistency": lambda here: _mean(here, here.piece_agrees, share=True),
    "shift_mae_ms": _shift_mae_ms,
    "shift_max_ms": _shift_max_ms,
    "shift_accuracy_0": _shift_accuracy,
    "speed": _speed,
    "memory_mb": lambda here: _largest(here.memory_mb),
}
