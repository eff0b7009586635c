"""Charts as SVG, by hand: elements that escape whatever they are given.

Colours, strokes and fonts are classes, so that the page's style sheet paints a drawing for light,
dark and paper alike.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup, escape

from synctool.report.charts.description import (
    Area,
    Axis,
    Band,
    Bars,
    Chart,
    Dots,
    Line,
    Look,
    Panel,
)
from synctool.report.charts.palette import MODELS
from synctool.report.text import known, printable

Place = tuple[float, float]

_TITLE, _GAP, _BELOW = 20.0, 14.0, 46.0
_CHARACTER, _LARGE_CHARACTER = 6.7, 8.4
"""Width of a character of the labels; of charts along time, whose text is larger in narrow windows."""
_SECOND, _NAMES = 44.0, 92.0
"""Room at the right for the ticks of a second axis, and for the names of bands."""
_WIDE, _NARROW = 700.0, 300.0


def drawing(chart: Chart) -> Markup:
    """A chart as one element. Its name is its title; a screen reader does not read its parts."""
    left, right = _sides(chart)
    top = 4.0
    parts: list[Markup] = []
    frames: list[_Frame] = []
    for panel in chart.panels:
        top += _TITLE if panel.title or panel.second else 0.0
        frame = _Frame(left, top, right - left, panel.height, chart.x, panel.y)
        frames.append(frame)
        parts += _panel(panel, frame)
        top = frame.bottom + _GAP
    last = frames[-1]
    for value, label in chart.x.ticks:
        x = last.x(value)
        parts.append(element("path", class_="stroke", d=f"M{number(x)} {number(last.bottom)}v4"))
        parts.append(_text(label, x, last.bottom + 18, "tick middle"))
    middle = last.left + last.width / 2
    parts.append(_text(chart.x.title, middle, last.bottom + 38, "label middle"))
    if chart.readouts:  # the upright line that the script moves; hidden without one
        span = f"M0 {number(frames[0].top)}V{number(last.bottom)}"
        parts.append(element("path", class_="pointer", d=span, visibility="hidden"))
    size = " time" if chart.width > _WIDE else " square" if chart.width < _NARROW else ""
    height = last.bottom + _BELOW
    label = f"{chart.title}. {chart.description}" if chart.description else chart.title
    return element(
        "svg", *parts, class_=f"chart{size}", role="img", aria_label=label,
        view_box=f"0 0 {number(chart.width)} {number(height)}", width=chart.width, height=height,
    )  # fmt: skip


def readout(chart: Chart) -> str:
    """What the page's script tells of the moment under the pointer, as JSON; "" where that is nothing."""
    if not any(line.t_s for line in chart.readouts):
        return ""
    lines = [
        {"name": line.name, "t": line.t_s, "ms": line.offset_ms, "c": line.confidence}
        for line in chart.readouts
    ]
    data = {"x": _sides(chart), "end": round(chart.x.high, 3), "lines": lines}
    return json.dumps(data, separators=(",", ":"))


def swatch(look: Look) -> Markup:
    """A piece of a mark as the charts draw it."""
    shape = "M11 6h0" if look.role in ("dots", "weak", "large") else "M2 6h18"
    kind = "dots large weak" if look.role == "weak" else style(look)
    path = element("path", class_=kind, d=shape)
    return element(
        "svg", path, class_="swatch", view_box="0 0 22 12", width=22, height=12, aria_hidden="true"
    )


def interval_cell(
    values: Iterable[tuple[float, float, float, int]], axis: Axis, title: str
) -> Markup:
    """Values of several models with their intervals on one scale, small enough for a cell.

    Args:
        values: Value, both ends of its interval (NaN for none), and number of the model.
        axis: The scale.
        title: What the values are.
    """
    rows = list(values)
    height = 8.0 * len(rows) + 4
    frame = _Frame(5, 0, 170, height, axis, axis)
    edges = "".join(f"M{number(frame.x(end))} 0V{number(height)}" for end in (axis.low, axis.high))
    parts = [element("path", class_="grid", d=edges)]
    for row, (value, low, high, model) in enumerate(rows):
        y = 6.0 + 8 * row
        if known(low) and known(high):
            span = f"M{number(frame.x(low))} {number(y)}H{number(frame.x(high))}"
            parts.append(element("path", class_=style(Look("whisker", model)), d=span))
        dot = dots_of([(frame.x(value), y)])
        parts.append(element("path", class_=style(Look("large", model)), d=dot))
    return element(
        "svg", *parts, class_="whiskers", role="img", aria_label=f"{title} of the models on one scale",
        view_box=f"0 0 180 {number(height)}", width=180, height=height,
    )  # fmt: skip


def style(look: Look) -> str:
    """The classes of a mark."""
    role = {"weak": "dots weak", "large": "dots large", "thin": "line thin"}.get(
        look.role, look.role
    )
    if look.model is None:
        return role
    again = " again" if look.model // MODELS % 2 else ""
    return f"{role} m{look.model % MODELS}{again}"


def element(name: str, *content: str | Markup, **attributes: object) -> Markup:
    """One element; content and attributes are escaped unless they are markup already.

    Args:
        name: Name of the element.
        content: Text and elements.
        attributes: ``class_`` is ``class``, other underscores are dashes; None leaves one out, and
            numbers are written with at most two digits behind the point.
    """
    written = Markup("").join(
        Markup(' {}="{}"').format(
            "viewBox" if key == "view_box" else key.rstrip("_").replace("_", "-"), _attribute(value)
        )
        for key, value in attributes.items()
        if value is not None
    )
    inner = Markup("").join(
        part if isinstance(part, Markup) else escape(printable(part)) for part in content
    )
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), written, inner)


def number(value: float) -> str:
    """A coordinate, as short as it can be."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def path_of(points: Iterable[Place | None]) -> str:
    """Path data of a line that breaks at every None; a point alone is a stroke of no length."""
    words: list[str] = []
    pen_down = False
    for point in points:
        if point is None:
            pen_down = False
            continue
        words.append(f"{'L' if pen_down else 'M'}{number(point[0])} {number(point[1])}")
        if not pen_down:
            words.append("h0")
        pen_down = True
    return "".join(words)


def dots_of(points: Iterable[Place]) -> str:
    """Path data of dots, which round ends of strokes draw."""
    return "".join(f"M{number(x)} {number(y)}h0" for x, y in points)


@dataclass(frozen=True)
class _Frame:
    """A rectangle of a drawing that stands for ranges of two values."""

    left: float
    top: float
    width: float
    height: float
    x_axis: Axis
    y_axis: Axis

    @property
    def right(self) -> float:
        return self.left + self.width

    @property
    def bottom(self) -> float:
        return self.top + self.height

    def x(self, value: float) -> float:
        """Where a value stands from left to right; outside the range at the edge."""
        return self.left + self.width * _share(value, self.x_axis)

    def y(self, value: float) -> float:
        """Where a value stands from top to bottom; outside the range at the edge."""
        return self.bottom - self.height * _share(value, self.y_axis)

    def place(self, point: Place) -> Place:
        return self.x(point[0]), self.y(point[1])


def _sides(chart: Chart) -> tuple[float, float]:
    """Left and right edges of the axes of a chart."""
    longest = max(len(label) for panel in chart.panels for _, label in panel.y.ticks)
    left = 12 + (_LARGE_CHARACTER if chart.width > _WIDE else _CHARACTER) * longest
    second = _SECOND if any(panel.second for panel in chart.panels) else 0.0
    named = any(isinstance(m, Band) for panel in chart.panels for m in panel.marks)
    return round(left, 1), chart.width - max(20.0, second + (_NAMES if named else 0.0))


def _panel(panel: Panel, frame: _Frame) -> list[Markup]:
    bands = [mark for mark in panel.marks if isinstance(mark, Band)]
    parts = [_band(band, frame) for band in bands]
    for value, label in panel.y.ticks:
        kind = "grid zero" if value == 0 else "grid"
        y = frame.y(value)
        line = f"M{number(frame.left)} {number(y)}H{number(frame.right)}"
        parts += [
            element("path", class_=kind, d=line),
            _text(label, frame.left - 8, y + 4, "tick end"),
        ]
    aside = frame.right + 10
    if panel.second is not None:
        second = _Frame(
            frame.left, frame.top, frame.width, frame.height, frame.x_axis, panel.second
        )
        parts += [
            _text(label, frame.right + 30, second.y(value) + 4, "tick end")
            for value, label in panel.second.ticks
        ]
        parts.append(_text(panel.second.title, frame.right + 8, frame.top - 6, "label"))
        aside += 34
    parts += [
        _text(band.name, aside, frame.y((band.low + band.high) / 2) + 4, "label")
        for band in bands
        if band.name
    ]
    for mark in panel.marks:
        if not isinstance(mark, Band):
            parts += _mark(mark, frame)
    floor = f"M{number(frame.left)} {number(frame.bottom)}H{number(frame.right)}"
    parts.append(element("path", class_="axis", d=floor))
    if panel.title:
        parts.append(_text(panel.title, frame.left, frame.top - 6, "label"))
    if panel.remark:
        middle = frame.top + frame.height / 2
        parts.append(_text(panel.remark, frame.left + frame.width / 2, middle + 8, "remark"))
    return parts


def _mark(mark: Dots | Line | Area | Bars, frame: _Frame) -> list[Markup]:
    kind = style(mark.look)
    if isinstance(mark, Dots):
        shape = dots_of(map(frame.place, mark.points))
    elif isinstance(mark, Bars):
        zero = frame.y(0.0)
        return [
            element(
                "rect", class_=kind, x=frame.x(low), y=min(frame.y(tall), zero),
                width=frame.x(high) - frame.x(low), height=abs(zero - frame.y(tall)),
            )
            for low, high, tall in mark.bars
        ]  # fmt: skip
    else:
        places = [None if point is None else frame.place(point) for point in mark.points]
        shape = _closed(places, frame) if isinstance(mark, Area) else path_of(places)
    parts = [element("path", class_=kind, d=shape)] if shape else []
    if isinstance(mark, Line) and mark.name and (last := mark.points[-1]) is not None:
        parts.append(_text(mark.name, frame.x(last[0]), frame.y(last[1]) - 5, "label end"))
    return parts


def _closed(places: Iterable[Place | None], frame: _Frame) -> str:
    """Path data of what lies below a line that breaks at every None."""
    shape, run = "", []
    for place in [*places, None]:
        if place is not None:
            run.append(place)
        elif run:
            shape += f"{path_of(run)}V{number(frame.bottom)}H{number(run[0][0])}Z"
            run = []
    return shape


def _band(band: Band, frame: _Frame) -> Markup:
    top, bottom = frame.y(band.high), frame.y(band.low)
    return element(
        "rect", class_=f"band b-{band.verdict.replace(' ', '-')}", x=frame.left, y=top,
        width=frame.width, height=max(0.0, bottom - top),
    )  # fmt: skip


def _text(words: str, x: float, y: float, kind: str) -> Markup:
    return element("text", words, class_=kind, x=float(x), y=float(y))


def _attribute(value: object) -> str:
    return number(value) if isinstance(value, float) else printable(str(value))


def _share(value: float, axis: Axis) -> float:
    span = axis.high - axis.low
    return 0.5 if span == 0 else min(1.0, max(0.0, (value - axis.low) / span))
