"""What a chart shows, as plain data: axes, marks, words; nothing of how it is drawn.

Lengths are in units of which a page shows one as a pixel at full size, and a plot 88 as an inch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from synctool.report.text import clock
from synctool.types import Verdict

Point = tuple[float, float]

Role = Literal[
    "dots",
    "weak",
    "large",
    "line",
    "thin",
    "whisker",
    "area",
    "count",
    "segment",
    "turn",
    "truth",
    "guide",
]
"""What a mark stands for, which chooses its strokes."""

_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)
_TICKS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600)
_MOST_TICKS = 8


@dataclass(frozen=True)
class Look:
    """How a mark looks.

    Attributes:
        role: What it stands for.
        model: Number of the model whose colour it has, None for a colour of the role's own.
    """

    role: Role
    model: int | None = None


@dataclass(frozen=True)
class Axis:
    """A range of values with its ticks.

    Attributes:
        low: Lower or left end.
        high: Upper or right end.
        ticks: Values inside, each with its label.
        title: What the values are; "" where the labels say so.
    """

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...] = ()
    title: str = ""


@dataclass(frozen=True)
class Dots:
    """Points that are not joined."""

    points: tuple[Point, ...]
    look: Look


@dataclass(frozen=True)
class Line:
    """A line through points, which breaks at every None.

    Attributes:
        points: In order.
        look: How it looks.
        name: Words at its right end.
    """

    points: tuple[Point | None, ...]
    look: Look
    name: str = ""


@dataclass(frozen=True)
class Area:
    """What lies between a line, which breaks at every None, and the lower end of the axis."""

    points: tuple[Point | None, ...]
    look: Look


@dataclass(frozen=True)
class Bars:
    """Upright bars from zero: left end, right end and value of each."""

    bars: tuple[tuple[float, float, float], ...]
    look: Look


@dataclass(frozen=True)
class Band:
    """A shaded range of the upright value, named at the right where ``name`` is not empty."""

    low: float
    high: float
    verdict: Verdict
    name: str = ""


Mark = Dots | Line | Area | Bars | Band


@dataclass(frozen=True)
class Panel:
    """A pair of axes with marks; panels of a chart stand below each other and share the x axis.

    Attributes:
        y: The upright axis.
        marks: From the lowest to the uppermost.
        height: Of the axes.
        title: Words above it, at the left.
        second: The range of ``y`` in another unit, whose ticks stand at the right.
        remark: Large words in the middle.
    """

    y: Axis
    marks: tuple[Mark, ...]
    height: float
    title: str = ""
    second: Axis | None = None
    remark: str = ""


@dataclass(frozen=True)
class Key:
    """An entry of the legend."""

    look: Look
    name: str


@dataclass(frozen=True)
class Readout:
    """What a page tells of the moment under the pointer, of one model: a value for each frame."""

    name: str
    t_s: tuple[float, ...]
    offset_ms: tuple[int | None, ...]
    confidence: tuple[float | None, ...]


@dataclass(frozen=True)
class Chart:
    """A chart.

    Attributes:
        title: What it shows.
        description: What is to be seen in it, for those who do not see it.
        x: The axis that all panels share.
        panels: From top to bottom.
        width: Of the whole.
        name: Which of several charts of a kind it is.
        keys: The legend.
        caption: A sentence on how to read it.
        readouts: What a page tells under the pointer, one a model.
    """

    title: str
    description: str
    x: Axis
    panels: tuple[Panel, ...]
    width: float
    name: str = ""
    keys: tuple[Key, ...] = ()
    caption: str = ""
    readouts: tuple[Readout, ...] = ()


def across(axis: Axis, value: float, name: str = "") -> Line:
    """A dashed line at a value, from one end of the x axis to the other."""
    return Line(((axis.low, value), (axis.high, value)), Look("guide"), name)


def whiskers(spans: Iterable[tuple[float, float, float]], model: int) -> Line:
    """Upright strokes: where each stands, and its lower and upper end."""
    points: list[Point | None] = []
    for x, low, high in spans:
        points += [(x, low), (x, high), None]
    return Line(tuple(points), Look("whisker", model))


def labelled(values: Iterable[float], label: Callable[[float], str]) -> tuple:
    """Ticks at values, each with its label."""
    return tuple((value, label(value)) for value in values)


def nice_ticks(low: float, high: float, most: int = 6) -> tuple[float, ...]:
    """Round values between two bounds, at most about ``most`` of them."""
    span = high - low
    if not (math.isfinite(span) and span > 0):
        return (low,) if math.isfinite(low) else ()
    size = 10.0 ** math.floor(math.log10(span / most))
    step = next((size * nice for nice in _NICE if span / (size * nice) <= most), size * 10)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return tuple(index * step for index in range(first, last + 1))


def time_axis(duration_s: float) -> Axis:
    """From the beginning of a video to its end."""
    end_s = max(duration_s, 1 / 25)
    step = next((s for s in _TICKS_S if end_s <= _MOST_TICKS * s), end_s / _MOST_TICKS)
    values = [index * step for index in range(int(end_s / step + 1e-9) + 1)]

    def label(seconds: float) -> str:
        return clock(seconds) if step < 1 else clock(seconds).rpartition(".")[0]

    return Axis(0.0, end_s, labelled(values, label), "time, minutes:seconds")


def models_key(names: Sequence[str], role: Role = "line") -> tuple[Key, ...]:
    """A legend of models, in order."""
    return tuple(Key(Look(role, number), name) for number, name in enumerate(names))
