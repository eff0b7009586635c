"""The charts of a page: offset over time, curves, reliability, whiskers.

Colours of models are those of Okabe & Ito ("Color universal design", 2008), which people with any
colour vision tell apart; every model has its own dashes as well.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from synctool.report.html.page import embedded_json
from synctool.report.html.parts import MINUS, Chart, known, plain
from synctool.report.html.svg import Axes, Drawing, dots_of, element, nice_ticks, number, path_of
from synctool.report.text import clock, printable
from synctool.scoring.confidence import ReliabilityBin
from synctool.scoring.verdict import DETECTABLE_MS, LEAST_CONFIDENCE, UNACCEPTABLE_MS
from synctool.types import FRAME_MS, FrameSeries, Segment

MODEL_CLASSES = 7
"""Different colours; the models after these get them again, with other dashes and smaller dots."""
_WIDTH = 880.0
_LEFT, _RIGHT, _TOP = 62.0, 104.0, 22.0
_OFFSET_HEIGHT, _GAP, _CONFIDENCE_HEIGHT, _BELOW = 232.0, 26.0, 56.0, 30.0
_LEAST_BAND = 13.0
_TICKS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600)


def model_class(index: int) -> str:
    """The class of a model's colour and dashes."""
    again = " again" if index // MODEL_CLASSES % 2 else ""
    return f"m{index % MODEL_CLASSES}{again}"


@dataclass(frozen=True)
class Line:
    """What one model found along a film.

    Attributes:
        name: Of the model.
        frames: Offset and confidence per frame.
        segments: Stretches that it found.
        kind: Class of its strokes.
    """

    name: str
    frames: FrameSeries
    segments: Sequence[Segment]
    kind: str


@dataclass(frozen=True)
class Point:
    """A value of a curve with its interval; NaN where there is none."""

    x: float
    value: float
    low: float = math.nan
    high: float = math.nan


def offset_chart(
    lines: Sequence[Line],
    *,
    title: str,
    duration_s: float,
    truth: Sequence[Segment] = (),
    remark: str = "",
    most_points: int = 1200,
) -> Chart:
    """Offset over time with the ranges of ITU-R BT.1359-1, and confidence below.

    Args:
        lines: One, drawn as dots with its segments, or several, drawn as lines.
        title: What it shows, for those who do not see it.
        duration_s: Length of the film.
        truth: True offsets by stretch, as far as they are known.
        remark: Words in the middle, for a film without an answer.
        most_points: Of a longer series the surest of each spot are drawn.
    """
    thin = [_thinned(line.frames, most_points) for line in lines]
    low, high = _offset_range(lines, thin, truth)
    end_s = max(duration_s, 1 / 25)
    upper = Axes(_LEFT, _TOP, _WIDTH - _LEFT - _RIGHT, _OFFSET_HEIGHT, (0, end_s), (low, high))
    lower = Axes(
        _LEFT, upper.bottom + _GAP, upper.width, _CONFIDENCE_HEIGHT, (0, end_s), (0.0, 1.0)
    )
    drawing = Drawing(
        _WIDTH, lower.bottom + _BELOW, title, _described(lines, duration_s), kind="chart time"
    )
    _bands(drawing, upper)
    ticks = nice_ticks(low, high)
    drawing.add(upper.grid_y(ticks, lambda ms: plain(ms, 0, sign=True)))
    drawing.text("ms, audio ahead ↑ behind ↓", 0, 12)
    for stretch in truth:
        drawing.add(_level(upper, stretch, "truth"))
    for line, frames in zip(lines, thin):
        drawing.add(*(_dots if len(lines) == 1 else _strokes)(upper, frames, line.kind))
        if len(lines) == 1:
            drawing.add(*(_level(upper, segment, "segment") for segment in line.segments))
    if remark:
        drawing.text(remark, upper.left + upper.width / 2, upper.top + upper.height / 2, "remark")
    drawing.add(lower.grid_y((0.0, 0.5, 1.0), lambda share: f"{share:g}"))
    for line, frames in zip(lines, thin):
        drawing.add(*_confidence(lower, frames, line.kind, area=len(lines) == 1))
    drawing.text("confidence", lower.right + 10, lower.top + 10, "label")
    drawing.add(lower.frame(), lower.grid_x(_time_ticks(end_s), _time_label(end_s)))
    drawing.text("time", _WIDTH, lower.bottom + 18, "label end")
    drawing.add(_pointer(upper, lower))
    unsure = len(lines) > 1 and any(any(_places(upper, frames, sure=False)) for frames in thin)
    return Chart(
        drawing.svg(),
        caption=f"Lines are thin where the confidence is below {LEAST_CONFIDENCE:g}."
        if unsure
        else "",
        legend=_legend(lines, thin, truth),
        data=_readout(lines, thin, upper, end_s) if any(f.t_s for f in thin) else Markup(""),
    )


def curves_chart(
    curves: Mapping[str, Sequence[Point]],
    kinds: Mapping[str, str],
    *,
    title: str,
    x_name: str,
    x_labels: Mapping[float, str],
    share: bool = True,
    y_name: str = "",
    chance: float | None = None,
    width: float = 420.0,
    height: float = 210.0,
) -> Chart:
    """A value against another, one curve per model, with intervals as whiskers.

    Args:
        curves: Points by name of the model.
        kinds: Classes of their strokes.
        title: What it shows.
        x_name: What stands from left to right.
        x_labels: Labels there, by value.
        share: Whether the values are shares of 1, shown in per cent from 0 to 100.
        y_name: What stands upright.
        chance: What guessing reaches, None where that is not known.
        width: In units of the drawing.
        height: Of the axes.
    """
    values = [v for c in curves.values() for p in c for v in (p.value, p.low, p.high) if known(v)]
    top = 1.0 if share else max([*values, 1e-9]) * 1.08
    bottom = 0.0 if share else min([0.0, *values])
    xs = sorted(x_labels)
    pad = 0.04 * ((xs[-1] - xs[0]) or 1.0)
    axes = Axes(52, 26, width - 72, height, (xs[0] - pad, xs[-1] + pad), (bottom, top))
    drawing = Drawing(width, axes.bottom + 44, title, _told(curves, x_labels, share=share))
    ticks = (0, 0.25, 0.5, 0.75, 1.0) if share else nice_ticks(bottom, top, 5)
    drawing.add(axes.grid_y(ticks, lambda y: f"{100 * y:.0f} %" if share else _short(y)))
    if chance is not None:
        drawing.add(_across(axes, chance, "chance"))
        drawing.text("chance", axes.right, axes.y(chance) - 5, "label end")
    drawing.add(axes.frame(), axes.grid_x(xs, lambda x: x_labels[x]))
    drawing.text(y_name, 0, 12)
    drawing.text(x_name, axes.left + axes.width / 2, axes.bottom + 38, "label middle")
    # Whiskers of several models at one place stand side by side.
    step = min(5.0, axes.width / (len(xs) * (len(curves) + 1)))
    for number_, (name, points) in enumerate(curves.items()):
        aside = step * (number_ - (len(curves) - 1) / 2)
        places = [
            (axes.x(p.x) + aside, axes.y(p.value)) if known(p.value) else None for p in points
        ]
        drawing.add(element("path", class_=f"line {kinds[name]}", d=path_of(places)))
        for point, place in zip(points, places):
            if place and known(point.low) and known(point.high):
                span = (
                    f"M{number(place[0])} {number(axes.y(point.low))}V{number(axes.y(point.high))}"
                )
                drawing.add(element("path", class_=f"whisker {kinds[name]}", d=span))
        drawing.add(
            element("path", class_=f"dots large {kinds[name]}", d=dots_of(filter(None, places)))
        )
    return Chart(drawing.svg(), legend=[(f"line {kinds[name]}", name) for name in curves])


def reliability_chart(bins: Sequence[ReliabilityBin], *, title: str, kind: str) -> Chart:
    """How often answers of some confidence are right; on the diagonal they are as good as they say.

    Args:
        bins: Confidence, accuracy and count of each.
        title: What it shows.
        kind: Class of the strokes.
    """
    axes = Axes(48, 14, 210, 210, (0.0, 1.0), (0.0, 1.0))
    told = "; ".join(
        f"confidence {b.confidence:.2f}: {100 * b.accuracy:.0f} % right of {b.count}" for b in bins
    )
    drawing = Drawing(276, 274, title, told, kind="chart square")
    drawing.add(axes.grid_y((0, 0.5, 1.0), lambda y: f"{100 * y:.0f} %"))
    drawing.add(axes.frame(), axes.grid_x((0.0, 0.5, 1.0), lambda x: f"{x:g}"))
    ends = f"M{number(axes.left)} {number(axes.bottom)}L{number(axes.right)} {number(axes.top)}"
    drawing.add(element("path", class_="chance", d=ends))
    most = max((b.count for b in bins), default=1)
    for entry in bins:
        left, right = axes.x(entry.low) + 1, axes.x(entry.high) - 1
        tall = 36 * entry.count / most
        drawing.add(
            element(
                "rect",
                class_=f"count {kind}",
                x=left,
                y=axes.bottom - tall,
                width=right - left,
                height=tall,
            )
        )
    places = [(axes.x(b.confidence), axes.y(b.accuracy)) for b in bins]
    drawing.add(element("path", class_=f"line {kind}", d=path_of(places)))
    drawing.add(element("path", class_=f"dots large {kind}", d=dots_of(places)))
    drawing.text("confidence", axes.left + axes.width / 2, axes.bottom + 38, "label middle")
    return Chart(drawing.svg())


def scatter_chart(points: Sequence[tuple[float, float]], *, title: str, kind: str) -> Chart:
    """Moves of the sound, in frames, and how far they were seen to go; right ones on the diagonal."""
    most = max(1.0, *(abs(value) for point in points for value in point))
    axes = Axes(48, 26, 210, 210, (-most, most), (-most, most))
    near = sum(abs(seen - moved) <= 0.5 for moved, seen in points)
    told = f"{near} of {len(points)} moves are seen to within half a frame"
    drawing = Drawing(276, 286, title, told, kind="chart square")
    ticks = nice_ticks(-most, most, 4)
    drawing.add(axes.grid_y(ticks, _short))
    drawing.add(axes.frame(), axes.grid_x(ticks, _short))
    ends = f"M{number(axes.left)} {number(axes.bottom)}L{number(axes.right)} {number(axes.top)}"
    drawing.add(element("path", class_="chance", d=ends))
    places = dict.fromkeys((round(axes.x(a), 1), round(axes.y(b), 1)) for a, b in points)
    drawing.add(element("path", class_=f"dots large {kind}", d=dots_of(places)))
    drawing.text("seen to move, frames", 0, 12)
    drawing.text("moved, frames", axes.left + axes.width / 2, axes.bottom + 38, "label middle")
    return Chart(drawing.svg(), caption=f"{told}.")


def whiskers(
    values: Sequence[tuple[float, float, float, str]],
    bounds: tuple[float, float],
    *,
    title: str,
) -> Markup:
    """Values of several models and their intervals on one scale, small enough for a cell.

    Args:
        values: Value, both ends of its interval (NaN for none), and the class of the strokes.
        bounds: Ends of the scale.
        title: What the values are.
    """
    height = 8.0 * len(values) + 4
    axes = Axes(5, 0, 170, height, bounds, (0.0, 1.0))
    drawing = Drawing(180, height, f"{title} of the models on one scale", kind="whiskers")
    edges = "".join(f"M{number(axes.x(end))} 0V{number(height)}" for end in bounds)
    drawing.add(element("path", class_="grid", d=edges))
    for row, (value, low, high, kind) in enumerate(values):
        y = 6.0 + 8 * row
        if known(low) and known(high):
            span = f"M{number(axes.x(low))} {number(y)}H{number(axes.x(high))}"
            drawing.add(element("path", class_=f"whisker {kind}", d=span))
        drawing.add(element("path", class_=f"dots large {kind}", d=dots_of([(axes.x(value), y)])))
    return drawing.svg()


# --------------------------------------------------------------------------- parts of the charts


def _thinned(frames: FrameSeries, most: int) -> FrameSeries:
    """At most so many frames: of every stretch the one of which the network is surest."""
    count = len(frames.t_s)
    if count <= most:
        return frames
    chosen = []
    for spot in range(most):
        stretch = range(spot * count // most, (spot + 1) * count // most)
        chosen.append(
            max(
                stretch,
                key=lambda i: -1.0 if not known(frames.confidence[i]) else frames.confidence[i],
            )
        )
    return FrameSeries(
        tuple(frames.t_s[i] for i in chosen),
        tuple(frames.offset_frames[i] for i in chosen),
        tuple(frames.confidence[i] for i in chosen),
    )


def _offset_range(
    lines: Sequence[Line], thin: Sequence[FrameSeries], truth: Sequence[Segment]
) -> tuple[float, float]:
    """In ms: the ranges of the ITU, everything that is to be seen, and a little more."""
    seen = [s.offset_frames for line in lines for s in line.segments]
    seen += [s.offset_frames for s in truth]
    for frames in thin:
        pairs = list(zip(frames.offset_frames, frames.confidence))
        sure = [o for o, c in pairs if known(o) and known(c) and c >= LEAST_CONFIDENCE]
        seen += sure or [o for o, _ in pairs if known(o)]
    values = [FRAME_MS * offset for offset in seen if known(offset)]
    low, high = min([UNACCEPTABLE_MS[0], *values]), max([UNACCEPTABLE_MS[1], *values])
    room = 0.12 * (high - low)
    return low - room, high + room


def _bands(drawing: Drawing, axes: Axes) -> None:
    low, high = axes.y_range
    for bottom, top, verdict in (
        (low, UNACCEPTABLE_MS[0], "unacceptable"),
        (UNACCEPTABLE_MS[0], DETECTABLE_MS[0], "detectable"),
        (DETECTABLE_MS[0], DETECTABLE_MS[1], "in sync"),
        (DETECTABLE_MS[1], UNACCEPTABLE_MS[1], "detectable"),
        (UNACCEPTABLE_MS[1], high, "unacceptable"),
    ):
        drawing.add(axes.band(bottom, top, f"band b-{verdict.replace(' ', '-')}"))
        if axes.y(bottom) - axes.y(top) >= _LEAST_BAND:
            middle = (axes.y(bottom) + axes.y(top)) / 2
            drawing.text(verdict, axes.right + 10, middle + 4, "label")


def _places(axes: Axes, frames: FrameSeries, *, sure: bool) -> list[tuple[float, float] | None]:
    """Where the offsets stand of which the network is sure, or of which it is not."""
    return [
        (axes.x(t), axes.y(offset * FRAME_MS))
        if known(offset) and (known(c) and c >= LEAST_CONFIDENCE) == sure
        else None
        for t, offset, c in zip(frames.t_s, frames.offset_frames, frames.confidence)
    ]


def _dots(axes: Axes, frames: FrameSeries, kind: str) -> list[Markup]:
    return [
        element(
            "path", class_=f"dots {look}", d=dots_of(filter(None, _places(axes, frames, sure=sure)))
        )
        for sure, look in ((False, "weak"), (True, kind))
    ]


def _strokes(axes: Axes, frames: FrameSeries, kind: str) -> list[Markup]:
    return [
        element("path", class_=f"line {look}", d=path_of(_places(axes, frames, sure=sure)))
        for sure, look in ((False, f"{kind} unsure"), (True, kind))
    ]


def _level(axes: Axes, segment: Segment, kind: str) -> Markup:
    y = number(axes.y(segment.offset_frames * FRAME_MS))
    x0, x1 = number(axes.x(segment.start_s)), number(axes.x(segment.end_s))
    return element("path", class_=kind, d=f"M{x0} {y}H{x1}")


def _confidence(axes: Axes, frames: FrameSeries, kind: str, *, area: bool) -> list[Markup]:
    places = [
        (axes.x(t), axes.y(c)) if known(c) else None for t, c in zip(frames.t_s, frames.confidence)
    ]
    parts = []
    if area:
        shape, run = "", []
        for place in [*places, None]:
            if place is not None:
                run.append(place)
            elif run:
                floor = number(axes.bottom)
                shape += f"{path_of(run)}V{floor}H{number(run[0][0])}Z"
                run = []
        parts.append(element("path", class_=f"area {kind}", d=shape))
    parts.append(element("path", class_=f"line thin {kind}", d=path_of(places)))
    parts.append(_across(axes, LEAST_CONFIDENCE, "chance"))
    return parts


def _across(axes: Axes, value: float, kind: str) -> Markup:
    y = number(axes.y(value))
    return element("path", class_=kind, d=f"M{number(axes.left)} {y}H{number(axes.right)}")


def _pointer(upper: Axes, lower: Axes) -> Markup:
    """The upright line that the script moves; hidden without one."""
    span = f"M0 {number(upper.top)}V{number(lower.bottom)}"
    return element("path", class_="pointer", d=span, visibility="hidden")


def _time_ticks(end_s: float) -> tuple[float, ...]:
    step = next((s for s in _TICKS_S if end_s <= 8 * s), end_s / 8)
    return tuple(index * step for index in range(int(end_s / step + 1e-9) + 1))


def _time_label(end_s: float):
    tenths = end_s <= 8 * 0.5
    return lambda s: clock(s) if tenths else clock(s).rpartition(".")[0]


def _legend(
    lines: Sequence[Line], thin: Sequence[FrameSeries], truth: Sequence[Segment]
) -> list[tuple[str, str]]:
    if len(lines) != 1:
        named = [(f"line {line.kind}", printable(line.name)) for line in lines]
        return [*named, *([("truth", "truth")] if truth else [])]
    legend = []
    pairs = list(zip(thin[0].offset_frames, thin[0].confidence))
    if any(known(o) and known(c) and c >= LEAST_CONFIDENCE for o, c in pairs):
        legend.append((f"dots large {lines[0].kind}", "per frame"))
    if any(known(o) and not (known(c) and c >= LEAST_CONFIDENCE) for o, c in pairs):
        legend.append(("dots large weak", f"per frame, confidence below {LEAST_CONFIDENCE:g}"))
    if lines[0].segments:
        legend.append(("segment", "segment"))
    return [*legend, *([("truth", "truth")] if truth else [])]


def _readout(
    lines: Sequence[Line], thin: Sequence[FrameSeries], axes: Axes, end_s: float
) -> Markup:
    """What the script shows of the frame under the pointer."""
    data = {
        "x": [axes.left, axes.right],
        "end": round(end_s, 3),
        "lines": [
            {
                "name": printable(line.name) if len(lines) > 1 else "",
                "t": [round(t, 2) for t in frames.t_s],
                "ms": [round(o * FRAME_MS) if known(o) else None for o in frames.offset_frames],
                "c": [round(c, 2) if known(c) else None for c in frames.confidence],
            }
            for line, frames in zip(lines, thin)
        ],
    }
    return embedded_json(json.dumps(data, separators=(",", ":")))


def _described(lines: Sequence[Line], duration_s: float) -> str:
    """What is to be seen, in words."""
    words = []
    for line in lines:
        seen = [o * FRAME_MS for o in line.frames.offset_frames if known(o)]
        name = f"{printable(line.name)}: " if len(lines) > 1 else ""
        if not seen:
            words.append(f"{name}no frame has an offset")
            continue
        middle = sorted(seen)[len(seen) // 2]
        words.append(
            f"{name}{len(seen)} of {len(line.frames.t_s)} frames have an offset, from "
            f"{plain(min(seen), 0, sign=True)} to {plain(max(seen), 0, sign=True)} ms, "
            f"median {plain(middle, 0, sign=True)} ms"
        )
    return f"Film of {clock(duration_s)}. " + "; ".join(words)


def _told(
    curves: Mapping[str, Sequence[Point]], x_labels: Mapping[float, str], *, share: bool
) -> str:
    """The values of some curves in words."""
    return "; ".join(
        f"{name}: "
        + ", ".join(
            f"{x_labels.get(p.x, f'{p.x:g}')}: "
            + (f"{100 * p.value:.0f} %" if share else _short(p.value))
            for p in points
            if known(p.value)
        )
        for name, points in curves.items()
    )


def _short(value: float) -> str:
    return f"{value:.3g}".replace("-", MINUS)
