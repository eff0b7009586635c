"""Metrics on the page of ``compare``: tables with intervals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from synctool.evaluation.metric_specs import FAMILIES, METRICS, Metric, MetricSpec
from synctool.report.charts.curves import disturbed
from synctool.report.charts.description import Axis
from synctool.report.charts.svg import interval_cell
from synctool.report.metric_words import basis, metric_interval, metric_value, spec_of
from synctool.report.tables import UNKNOWN, Cell, Column, Table, model_cell
from synctool.report.text import NOTHING, known, printable

_BREAKDOWN = (
    *("accuracy_1_frame@5", "accuracy_1", "mae_ms", "inconclusive_rate", "roc_auc", "f1"),
    *("frame_accuracy", "segment_iou", "ece", "piece_consistency", "lse_c", "lse_d"),
)
"""Metrics of a breakdown, as far as they are known."""


@dataclass(frozen=True)
class MetricRow:
    """One metric of all models.

    Attributes:
        title: Of the metric.
        definition: What it is.
        cells: Value, interval and basis for each model, in their order.
        drawing: All of them on one scale.
        basis: What the figures rest on.
    """

    title: str
    definition: str
    cells: Sequence[tuple[str, str, str]]
    drawing: Markup
    basis: str


@dataclass(frozen=True)
class Definition:
    """What a metric is, and where it comes from."""

    title: str
    definition: str
    source: str


def metric_families(
    metrics: Sequence[Metric], numbers: Mapping[str, int]
) -> list[tuple[str, list[MetricRow]]]:
    """Metrics of all trials together, by family, as far as they are defined.

    Args:
        metrics: Of all groups.
        numbers: Of the models, in the order of the columns.
    """
    found: dict[str, list[MetricRow]] = {}
    overall = [m for m in metrics if m.group == "all" and m.defined]
    for name, alike in _by_name(overall).items():
        spec = spec_of(name)
        family = FAMILIES.get(spec.family, "Other metrics")
        found.setdefault(family, []).append(_row(spec, alike, numbers))
    return list(found.items())


def definitions(metrics: Iterable[Metric]) -> list[Definition]:
    """What the metrics are that the page shows, each once."""
    shown = dict.fromkeys(m.name for m in metrics if m.defined)
    return [
        Definition(spec.title, spec.definition, spec.source)
        for name, spec in METRICS.items()
        if name in shown
    ]


def breakdowns(metrics: Sequence[Metric], numbers: Mapping[str, int]) -> list[Table]:
    """Tables by person, source, language and condition, as far as somebody asked for them."""
    groups: dict[str, list[Metric]] = {}
    for metric in metrics:
        kind, equals, _ = metric.group.partition("=")
        if equals and disturbed(metric) is None and metric.defined:
            groups.setdefault(kind, []).append(metric)
    return [_breakdown(kind, found, numbers) for kind, found in groups.items()]


def _row(spec: MetricSpec, metrics: Sequence[Metric], numbers: Mapping[str, int]) -> MetricRow:
    by_model = {metric.backbone: metric for metric in metrics}
    cells = [
        (metric_value(m), metric_interval(m), basis(m))
        if (m := by_model.get(name))
        else (NOTHING, "", "")
        for name in numbers
    ]
    values = [
        (m.value, m.low, m.high, numbers[m.backbone]) for m in metrics if m.backbone in numbers
    ]
    bases = dict.fromkeys(map(basis, metrics))
    return MetricRow(
        title=spec.title,
        definition=spec.definition,
        cells=cells,
        drawing=interval_cell(values, _scale(spec, metrics), spec.title),
        basis="; ".join(bases),
    )


def _scale(spec: MetricSpec, metrics: Sequence[Metric]) -> Axis:
    """The scale on which values of one metric are drawn side by side."""
    if spec.unit == "share":
        return Axis(0.0, 1.0)
    ends = [v for m in metrics for v in (m.value, m.low, m.high) if known(v)]
    return Axis(min(0.0, *ends), max(0.0, *ends) or 1.0)


def _breakdown(kind: str, metrics: Sequence[Metric], numbers: Mapping[str, int]) -> Table:
    names = [name for name in _BREAKDOWN if any(m.name == name for m in metrics)]
    columns = [Column(kind.capitalize()), Column("Model")]
    columns += [Column(spec_of(n).title, True, spec_of(n).definition) for n in names]
    found: dict[tuple[str, str], dict[str, Metric]] = {}
    for metric in metrics:
        key = metric.group.partition("=")[2], metric.backbone
        found.setdefault(key, {})[metric.name] = metric
    rows = []
    for (group, model), values in found.items():
        row = [Cell(printable(group), kind="name"), model_cell(model, numbers.get(model, 0))]
        row += [_metric_cell(values.get(name)) for name in names]
        rows.append(row)
    return Table(f"by-{kind}", f"By {kind}", columns, rows, choices=(1,))


def _metric_cell(metric: Metric | None) -> Cell:
    if metric is None or not known(metric.value):
        return UNKNOWN
    return Cell(metric_value(metric), sort=metric.value, kind="number")


def _by_name(metrics: Iterable[Metric]) -> dict[str, list[Metric]]:
    found: dict[str, list[Metric]] = {}
    for metric in metrics:
        found.setdefault(metric.name, []).append(metric)
    return found
