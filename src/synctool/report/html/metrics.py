"""Metrics on the page of ``compare``: tables with intervals, and the curves made of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from synctool.comparison.degradations import PERTURBATIONS
from synctool.evaluation.metric_specs import FAMILIES, METRICS, Metric, MetricSpec
from synctool.report.html.charts import Point, curves_chart, whiskers
from synctool.report.html.parts import (
    MINUS,
    NOTHING,
    Cell,
    Chart,
    Column,
    Table,
    known,
    percent,
    plain,
)
from synctool.report.text import printable

_CONTEXT = re.compile(r"accuracy_1_frame@(\d+)")
_DISTURBED = re.compile(r"perturbation=(.+) level=(\d+)")
_BREAKDOWN = (
    *("accuracy_1_frame@5", "accuracy_1", "mae_ms", "inconclusive_rate", "roc_auc", "f1"),
    *("frame_accuracy", "segment_iou", "ece", "piece_consistency", "lse_c", "lse_d"),
)
"""Metrics of a breakdown, as far as they are known."""
_COUNTED = {"frame_accuracy": "frames", "frame_coverage": "frames"}
_ROBUST = ("accuracy_1", "inconclusive_rate")


@dataclass(frozen=True)
class MetricRow:
    """One metric of all models.

    Attributes:
        title: Of the metric.
        definition: What it is.
        cells: Value, interval and basis for each model, in their order.
        picture: All of them on one scale.
        basis: What the figures rest on.
    """

    title: str
    definition: str
    cells: Sequence[tuple[str, str, str]]
    picture: Markup
    basis: str


@dataclass(frozen=True)
class Definition:
    """What a metric is, and where it comes from."""

    title: str
    definition: str
    source: str


def metric_families(
    metrics: Sequence[Metric], kinds: Mapping[str, str]
) -> list[tuple[str, list[MetricRow]]]:
    """Metrics of all trials together, by family, as far as they are defined.

    Args:
        metrics: Of all groups.
        kinds: Class of the strokes of each model, in the order of the columns.
    """
    found: dict[str, list[MetricRow]] = {}
    overall = [m for m in metrics if m.group == "all" and m.defined]
    for name, alike in _by_name(overall).items():
        spec = _spec(name, alike[0])
        family = FAMILIES.get(spec.family, "Other metrics")
        found.setdefault(family, []).append(_row(spec, alike, kinds))
    return list(found.items())


def definitions(metrics: Iterable[Metric]) -> list[Definition]:
    """What the metrics are that the page shows, each once."""
    shown = dict.fromkeys(m.name for m in metrics if m.defined)
    return [
        Definition(spec.title, spec.definition, spec.source)
        for name, spec in METRICS.items()
        if name in shown
    ]


def context_chart(metrics: Sequence[Metric], kinds: Mapping[str, str]) -> Chart | None:
    """Accuracy by length of the window, None where it was not measured."""
    curves: dict[str, list[Point]] = {}
    for metric in metrics:
        match = _CONTEXT.fullmatch(metric.name)
        if match and metric.group == "all" and metric.defined:
            curves.setdefault(metric.backbone, []).append(_point(int(match[1]), metric))
    if not curves:
        return None
    lengths = sorted({point.x for points in curves.values() for point in points})
    spec = METRICS.get(f"accuracy_1_frame@{lengths[0]:g}")
    return curves_chart(
        {name: sorted(points, key=lambda p: p.x) for name, points in curves.items()},
        kinds,
        title="Accuracy by length of the window",
        x_name="frames in the window (25 a second)",
        x_labels={length: f"{length:g}" for length in lengths},
        y_name="windows within a frame of the truth",
        chance=spec.chance if spec else None,
        width=640.0,
        height=240.0,
    )


def robustness_charts(
    metrics: Sequence[Metric], kinds: Mapping[str, str]
) -> list[tuple[str, str, Chart]]:
    """One chart per perturbation: its name, what it does, and what becomes of the models."""
    name = next(
        (n for n in _ROBUST if any(m.name == n and m.defined and _level(m) for m in metrics)), None
    )
    if name is None:
        return []
    start: dict[str, Metric] = {}
    found: dict[str, dict[str, list[Point]]] = {}
    for metric in metrics:
        disturbed = _level(metric)
        if metric.name != name or disturbed is None or not metric.defined:
            continue
        what, level = disturbed
        if level == 0:
            start[metric.backbone] = metric
        else:
            models = found.setdefault(what, {})
            models.setdefault(metric.backbone, []).append(_point(level, metric))
    charts = []
    for what, models in found.items():
        for model, points in models.items():
            if model in start:
                points.append(_point(0, start[model]))
            points.sort(key=lambda point: point.x)
        charts.append((*_told(what), _robustness_chart(what, models, kinds, name)))
    return charts


def breakdowns(metrics: Sequence[Metric]) -> list[Table]:
    """Tables by person, source, language and condition, as far as somebody asked for them."""
    groups: dict[str, list[Metric]] = {}
    for metric in metrics:
        kind, equals, _ = metric.group.partition("=")
        if equals and _level(metric) is None and metric.defined:
            groups.setdefault(kind, []).append(metric)
    return [_breakdown(kind, found) for kind, found in groups.items()]


def figure(value: float, unit: str) -> str:
    """A value as people read it."""
    if not known(value):
        return NOTHING
    if unit == "share":
        return percent(value, 1)
    digits = 1 if unit == "ms" else 0 if abs(value) >= 100 else 3
    words = {"s/s": " ×"}.get(unit, f" {unit}" if unit else "")
    return f"{plain(value, digits)}{words}"


def _row(spec: MetricSpec, metrics: Sequence[Metric], kinds: Mapping[str, str]) -> MetricRow:
    by_model = {metric.backbone: metric for metric in metrics}
    cells = [
        (figure(m.value, spec.unit), _interval(m, spec.unit), _basis(m))
        if (m := by_model.get(name))
        else (NOTHING, "", "")
        for name in kinds
    ]
    values = [(m.value, m.low, m.high, kinds[m.backbone]) for m in metrics if m.backbone in kinds]
    bases = dict.fromkeys(_basis(m) for m in metrics)
    return MetricRow(
        title=spec.title,
        definition=spec.definition,
        cells=cells,
        picture=whiskers(values, _bounds(spec, metrics), title=spec.title),
        basis="; ".join(bases),
    )


def _bounds(spec: MetricSpec, metrics: Sequence[Metric]) -> tuple[float, float]:
    """The scale on which values of one metric are drawn side by side."""
    if spec.unit == "share":
        return 0.0, 1.0
    ends = [v for m in metrics for v in (m.value, m.low, m.high) if known(v)]
    return min(0.0, *ends), max(0.0, *ends) or 1.0


def _interval(metric: Metric, unit: str) -> str:
    if not (known(metric.low) and known(metric.high)):
        return ""
    low, high = figure(metric.low, unit), figure(metric.high, unit)
    bare = high.rstrip("%×sMiB ")
    return f"{low.rstrip('%×msMiB ')} to {bare.removesuffix(' m')}"


def _basis(metric: Metric) -> str:
    """What a figure rests on."""
    what = "windows" if _CONTEXT.fullmatch(metric.name) else _COUNTED.get(metric.name, "trials")
    words = f"{metric.count} {what}"
    if metric.drawn:
        words += f", {metric.units} {metric.drawn} drawn"
    return words


def _robustness_chart(
    what: str, models: Mapping[str, Sequence[Point]], kinds: Mapping[str, str], name: str
) -> Chart:
    spec = PERTURBATIONS.get(what)
    levels = sorted({point.x for points in models.values() for point in points})
    labels = {}
    for level in levels:
        index = int(level) - 1
        value = spec.levels[index] if spec and 0 <= index < len(spec.levels) else None
        words = f"{level:g}" if value is None else f"{value:g}".replace("-", MINUS)
        labels[level] = "none" if level == 0 else words
    chart = curves_chart(
        models,
        kinds,
        title=f"{METRICS[name].title} by strength of {what}",
        x_name=spec.unit if spec and spec.unit else "step",
        x_labels=labels,
        y_name="within a frame" if name == "accuracy_1" else METRICS[name].title,
        width=330.0,
        height=150.0,
    )
    return replace(chart, legend=())  # one for all of them stands above


def _told(what: str) -> tuple[str, str]:
    spec = PERTURBATIONS.get(what)
    return printable(what), spec.summary if spec else ""


def _breakdown(kind: str, metrics: Sequence[Metric]) -> Table:
    names = [name for name in _BREAKDOWN if any(m.name == name for m in metrics)]
    columns = [Column(kind.capitalize()), Column("Model")]
    columns += [Column(_spec(n, None).title, True, _spec(n, None).definition) for n in names]
    found: dict[tuple[str, str], dict[str, Metric]] = {}
    for metric in metrics:
        key = metric.group.partition("=")[2], metric.backbone
        found.setdefault(key, {})[metric.name] = metric
    rows = []
    for (group, model), values in found.items():
        row = [Cell(printable(group), kind="name"), Cell(printable(model))]
        row += [_metric_cell(values.get(name), _spec(name, None).unit) for name in names]
        rows.append(row)
    return Table(f"by-{kind}", f"By {kind}", columns, rows, choices=(1,))


def _metric_cell(metric: Metric | None, unit: str) -> Cell:
    if metric is None or not known(metric.value):
        return Cell(NOTHING, sort=None, kind="number none")
    return Cell(figure(metric.value, unit), sort=metric.value, kind="number")


def _level(metric: Metric) -> tuple[str, int] | None:
    match = _DISTURBED.fullmatch(metric.group)
    return (match[1], int(match[2])) if match else None


def _point(x: float, metric: Metric) -> Point:
    return Point(float(x), metric.value, metric.low, metric.high)


def _by_name(metrics: Iterable[Metric]) -> dict[str, list[Metric]]:
    found: dict[str, list[Metric]] = {}
    for metric in metrics:
        found.setdefault(metric.name, []).append(metric)
    return found


def _spec(name: str, metric: Metric | None) -> MetricSpec:
    """What a metric is; one that nobody described keeps its name."""
    better = metric.higher_is_better if metric else None
    return METRICS.get(name) or MetricSpec(name, "", "", "", better, "")
