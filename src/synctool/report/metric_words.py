"""Metrics as people read them, for terminal and pages."""

from __future__ import annotations

from synctool.evaluation.metric_specs import METRICS, Metric, MetricSpec
from synctool.report.charts.curves import CONTEXT
from synctool.report.text import NOTHING, known, plain

_UNITS = {"share": (1, " %"), "ms": (1, " ms"), "MiB": (0, " MiB"), "s/s": (1, " ×"), "": (3, "")}
"""Digits behind the point, and the sign, by unit of a metric."""
_COUNTED = {"frame_accuracy": "frames", "frame_coverage": "frames"}


def spec_of(name: str) -> MetricSpec:
    """What a metric is; one that nobody described keeps its name."""
    return METRICS.get(name) or MetricSpec(name, "", "", "", None, "")


def metric_value(metric: Metric) -> str:
    """The value with its unit: ``87.3 %``."""
    return NOTHING if not known(metric.value) else _number(metric, metric.value) + _unit(metric)[1]


def metric_interval(metric: Metric) -> str:
    """The interval without the unit: ``80.1 to 93.4``; "" where there is none."""
    if not (known(metric.low) and known(metric.high)):
        return ""
    return f"{_number(metric, metric.low)} to {_number(metric, metric.high)}"


def basis(metric: Metric) -> str:
    """What a figure rests on: ``40 trials, 8 people drawn``."""
    what = "windows" if CONTEXT.fullmatch(metric.name) else _COUNTED.get(metric.name, "trials")
    drawn = f", {_several(metric.units, metric.drawn)} drawn" if metric.drawn else ""
    return f"{_several(metric.count, what)}{drawn}"


def _several(number: int, things: str) -> str:
    """``2 clips``, ``1 clip``, ``1 person``."""
    one = {"people": "person"}.get(things, things.removesuffix("s"))
    return f"{number} {one if number == 1 else things}"


def _number(metric: Metric, value: float) -> str:
    factor = 100 if spec_of(metric.name).unit == "share" else 1
    return plain(factor * value, _unit(metric)[0])


def _unit(metric: Metric) -> tuple[int, str]:
    return _UNITS[spec_of(metric.name).unit]
