"""Charts of metrics: accuracy by context, robustness by severity, reliability, moves of the audio."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from synctool.comparison.degradations import DEGRADATIONS
from synctool.evaluation.metric_specs import METRICS, Metric
from synctool.report.charts.description import (
    Axis,
    Bars,
    Chart,
    Dots,
    Line,
    Look,
    Mark,
    Panel,
    across,
    labelled,
    models_key,
    nice_ticks,
    whiskers,
)
from synctool.report.text import MINUS, known, printable
from synctool.scoring.confidence import ReliabilityBin

CONTEXT = re.compile(r"accuracy_1_frame@(\d+)")
"""Names of the metrics of windows, by their length in frames."""
_DISTURBED = re.compile(r"perturbation=(.+) level=(\d+)")
_SQUARE = 210.0
_ASIDE = 0.012
"""How far whiskers of two models at one place stand apart, of the width."""


@dataclass(frozen=True)
class _Value:
    """A value of a curve with its interval; NaN where there is none."""

    x: float
    value: float
    low: float
    high: float


def disturbed(metric: Metric) -> tuple[str, int] | None:
    """Perturbation and level of a metric's group, None for another group."""
    match = _DISTURBED.fullmatch(metric.group)
    return (match[1], int(match[2])) if match else None


def context_chart(metrics: Sequence[Metric], names: Sequence[str]) -> Chart | None:
    """Accuracy by length of the window, None where it was not measured.

    Args:
        metrics: Of all groups.
        names: Of the models, which have colours in this order.
    """
    curves: dict[str, list[_Value]] = {}
    for metric in metrics:
        match = CONTEXT.fullmatch(metric.name)
        if match and metric.group == "all" and metric.defined:
            curves.setdefault(metric.backbone, []).append(_value(int(match[1]), metric))
    if not curves:
        return None
    lengths = sorted({point.x for points in curves.values() for point in points})
    x = _levels({length: f"{length:g}" for length in lengths}, "frames in the window (25 a second)")
    spec = METRICS.get(f"accuracy_1_frame@{lengths[0]:g}")
    guides = [across(x, spec.chance, "chance")] if spec and spec.chance is not None else []
    title = "Windows within a frame of the truth"
    return Chart(
        "Accuracy by length of the window",
        _told(curves, x),
        x,
        (_shares(curves, names, x, 240.0, title, guides),),
        640.0,
        keys=models_key(names),
    )


def robustness_charts(metrics: Sequence[Metric], names: Sequence[str]) -> list[Chart]:
    """One chart a perturbation: the share within a frame of the truth, and the share answered.

    Args:
        metrics: Of all groups.
        names: Of the models, which have colours in this order.
    """
    right, silent = (_by_severity(metrics, name) for name in ("accuracy_1", "inconclusive_rate"))
    charts = []
    for what in dict.fromkeys([*right, *silent]):
        spec = DEGRADATIONS.get(what)
        severities = {
            p.x for found in (right, silent) for c in found.get(what, {}).values() for p in c
        }
        labels = {}
        for severity in sorted(severities):
            index = int(severity) - 1
            value = spec.levels[index] if spec and 0 <= index < len(spec.levels) else severity
            labels[severity] = "as is" if severity == 0 else f"{value:g}".replace("-", MINUS)
        x = _levels(labels, spec.unit if spec and spec.unit else "step")
        answered = {
            name: [_Value(p.x, 1 - p.value, 1 - p.high, 1 - p.low) for p in points]
            for name, points in silent.get(what, {}).items()
        }
        panels = [
            (found, title)
            for found, title in ((right.get(what, {}), "Within a frame"), (answered, "Answered"))
            if any(found.values())
        ]
        charts.append(
            Chart(
                f"Robustness by strength of {printable(what)}",
                ". ".join(f"{title}: {_told(found, x)}" for found, title in panels),
                x,
                tuple(_shares(found, names, x, 130.0, title) for found, title in panels),
                330.0,
                name=printable(what),
                keys=models_key(names),
            )
        )
    return charts


def reliability_charts(
    bins: Mapping[str, Sequence[ReliabilityBin]], names: Sequence[str]
) -> list[Chart]:
    """How often answers of each confidence are right, and how many there are; a chart a model.

    Args:
        bins: Not empty, in the order of their confidence, by model.
        names: Of the models, which have colours in this order.
    """
    charts = []
    for name, found in bins.items():
        if not found:
            continue
        model = names.index(name) if name in names else 0
        points = tuple((b.confidence, b.accuracy) for b in found)
        counts = tuple((b.low + 0.005, b.high - 0.005, float(b.count)) for b in found)
        most = max(b.count for b in found)
        x = Axis(0.0, 1.0, labelled((0.0, 0.5, 1.0), _short), "confidence")
        upper = (Line(((0.0, 0.0), (1.0, 1.0)), Look("guide")), *_curve(points, model))
        below = Axis(0.0, 1.1 * most, ((0.0, "0"), (float(most), str(most))))
        charts.append(
            Chart(
                f"Reliability of the confidence, {name}",
                "; ".join(
                    f"confidence {b.confidence:.2f}: {100 * b.accuracy:.0f} % right of {b.count}"
                    for b in found
                ),
                x,
                (
                    Panel(Axis(0.0, 1.0, labelled((0.0, 0.5, 1.0), _percent)), upper, _SQUARE,
                          "Right within a frame"),
                    Panel(below, (Bars(counts, Look("count", model)),), 40.0, "Trials"),
                ),
                280.0,
                name=name,
            )
        )  # fmt: skip
    return charts


def moves_chart(points: Sequence[tuple[float, float]], name: str, model: int) -> Chart:
    """Moves of the audio, in frames, and the moves that a model measures; right ones on the diagonal.

    Args:
        points: Move and measured move of each trial.
        name: Of the model.
        model: Its number.
    """
    most = max(1.0, *(abs(value) for point in points for value in point))
    near = sum(abs(measured - moved) <= 0.5 for moved, measured in points)
    said = f"{near} of {len(points)} moves are measured to within half a frame"
    ticks = labelled(nice_ticks(-most, most, 4), _short)
    marks: tuple[Mark, ...] = (
        Line(((-most, -most), (most, most)), Look("guide")),
        Dots(tuple(dict.fromkeys(points)), Look("large", model)),
    )
    return Chart(
        f"Moves of the audio and what {name} measures of them",
        said,
        Axis(-most, most, ticks, "moved, frames"),
        (Panel(Axis(-most, most, ticks), marks, _SQUARE, "Measured, frames"),),
        280.0,
        name=name,
        caption=f"{said}.",
    )


def _by_severity(metrics: Sequence[Metric], name: str) -> dict[str, dict[str, list[_Value]]]:
    """Perturbation -> model -> values of a metric by severity, from 0, the video as it is."""
    start: dict[str, Metric] = {}
    found: dict[str, dict[str, list[_Value]]] = {}
    for metric in metrics:
        group = disturbed(metric)
        if metric.name != name or group is None or not metric.defined:
            continue
        what, level = group
        if level == 0:
            start[metric.backbone] = metric
        else:
            models = found.setdefault(what, {})
            models.setdefault(metric.backbone, []).append(_value(level, metric))
    for models in found.values():
        for model, points in models.items():
            if model in start:
                points.append(_value(0, start[model]))
            points.sort(key=lambda point: point.x)
    return found


def _shares(
    curves: Mapping[str, Sequence[_Value]],
    names: Sequence[str],
    x: Axis,
    height: float,
    title: str,
    guides: Iterable[Line] = (),
) -> Panel:
    """Shares of 1 against another value, a curve a model, with intervals as whiskers."""
    marks: list[Mark] = [*guides]
    for name, values in curves.items():
        model = names.index(name) if name in names else 0
        aside = _ASIDE * (x.high - x.low) * (model - (len(names) - 1) / 2)
        spans = [(v.x + aside, v.low, v.high) for v in values if known(v.low) and known(v.high)]
        marks.append(whiskers(spans, model))
        marks += _curve([(v.x + aside, v.value) for v in values if known(v.value)], model)
    ticks = labelled((0.0, 0.25, 0.5, 0.75, 1.0), _percent)
    return Panel(Axis(0.0, 1.0, ticks), tuple(marks), height, title)


def _curve(points: Sequence[tuple[float, float]], model: int) -> tuple[Line, Dots]:
    return Line(tuple(points), Look("line", model)), Dots(tuple(points), Look("large", model))


def _levels(labels: Mapping[float, str], title: str) -> Axis:
    """An axis of a few values with labels, with room at both ends."""
    low, high = min(labels), max(labels)
    room = 0.04 * ((high - low) or 1.0)
    return Axis(low - room, high + room, tuple(labels.items()), title)


def _value(x: float, metric: Metric) -> _Value:
    return _Value(float(x), metric.value, metric.low, metric.high)


def _told(curves: Mapping[str, Sequence[_Value]], x: Axis) -> str:
    """The values of some curves in words."""
    labels = dict(x.ticks)
    return "; ".join(
        f"{name}: "
        + ", ".join(f"{labels[v.x]}: {_percent(v.value)}" for v in values if known(v.value))
        for name, values in curves.items()
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _short(value: float) -> str:
    return f"{value:.3g}".replace("-", MINUS)
