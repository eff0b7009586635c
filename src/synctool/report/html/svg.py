"""SVG by hand: elements that escape whatever they are given, and a pair of axes.

Colours, strokes and fonts are classes, so that the page's style sheet paints a drawing for light,
dark and paper alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup, escape

from synctool.report.text import printable

_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)


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
            "viewBox" if key == "view_box" else key.rstrip("_").replace("_", "-"), _value(value)
        )
        for key, value in attributes.items()
        if value is not None
    )
    inner = Markup("").join(escape(_text_of(part)) for part in content)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), written, inner)


def number(value: float) -> str:
    """A coordinate, as short as it can be."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def path_of(points: Iterable[tuple[float, float] | None]) -> str:
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


def dots_of(points: Iterable[tuple[float, float]]) -> str:
    """Path data of dots, which round ends of strokes draw."""
    return "".join(f"M{number(x)} {number(y)}h0" for x, y in points)


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


def swatch(kind: str) -> Markup:
    """A piece of a line as the charts draw it."""
    shape = "M11 6h0" if "dots" in kind else "M2 6h18"
    path = element("path", class_=kind, d=shape)
    return element(
        "svg", path, class_="swatch", view_box="0 0 22 12", width=22, height=12, aria_hidden="true"
    )


@dataclass(frozen=True)
class Axes:
    """A rectangle of a drawing that stands for ranges of two values.

    Attributes:
        left: Its left edge, in units of the drawing.
        top: Its upper edge.
        width: Its width.
        height: Its height.
        x_range: Values at its left and right edges.
        y_range: Values at its lower and upper edges.
    """

    left: float
    top: float
    width: float
    height: float
    x_range: tuple[float, float]
    y_range: tuple[float, float]

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """Its lower edge."""
        return self.top + self.height

    def x(self, value: float) -> float:
        """Where a value stands from left to right; outside the range at the edge."""
        return self.left + self.width * _share(value, self.x_range)

    def y(self, value: float) -> float:
        """Where a value stands from top to bottom; outside the range at the edge."""
        return self.bottom - self.height * _share(value, self.y_range)

    def grid_y(self, ticks: Iterable[float], label: Callable[[float], str]) -> Markup:
        """Horizontal lines with their labels at the left."""
        parts = []
        for tick in ticks:
            y = self.y(tick)
            kind = "grid zero" if tick == 0 else "grid"
            parts.append(
                element(
                    "path", class_=kind, d=f"M{number(self.left)} {number(y)}H{number(self.right)}"
                )
            )
            parts.append(_text(label(tick), self.left - 8, y + 4, "tick end"))
        return Markup("").join(parts)

    def grid_x(self, ticks: Sequence[float], label: Callable[[float], str]) -> Markup:
        """Labels below the axes, each with a short stroke."""
        parts = []
        for tick in ticks:
            x = self.x(tick)
            parts.append(
                element("path", class_="stroke", d=f"M{number(x)} {number(self.bottom)}v4")
            )
            parts.append(_text(label(tick), x, self.bottom + 18, "tick middle"))
        return Markup("").join(parts)

    def band(self, low: float, high: float, kind: str) -> Markup:
        """A shaded range of the upright value."""
        top, bottom = self.y(high), self.y(low)
        return element(
            "rect", class_=kind, x=self.left, y=top, width=self.width, height=max(0.0, bottom - top)
        )

    def frame(self) -> Markup:
        """The line below."""
        return element(
            "path",
            class_="axis",
            d=f"M{number(self.left)} {number(self.bottom)}H{number(self.right)}",
        )


@dataclass
class Drawing:
    """A picture that grows part by part.

    Args:
        width: Width in units of the drawing, which are pixels at full size.
        height: Height.
        title: What it shows, for those who do not see it.
        description: What is to be seen in it.
    """

    width: float
    height: float
    title: str
    description: str = ""
    kind: str = "chart"
    _parts: list[Markup] = field(default_factory=list)

    def add(self, *parts: Markup) -> None:
        """Put elements on top of what is there."""
        self._parts += parts

    def text(self, words: str, x: float, y: float, kind: str = "label", **more: object) -> None:
        """Write words; ``kind`` holds ``middle`` or ``end`` for where ``x`` is, else the start."""
        self.add(_text(words, x, y, kind, **more))

    def svg(self) -> Markup:
        """The whole element. Its name is its title; a reader of screens does not read its parts."""
        label = f"{self.title}. {self.description}" if self.description else self.title
        return element(
            "svg",
            *self._parts,
            class_=self.kind,
            role="img",
            aria_label=label,
            view_box=f"0 0 {number(self.width)} {number(self.height)}",
            width=self.width,
            height=self.height,
        )


def _text(words: str, x: float, y: float, kind: str, **more: object) -> Markup:
    return element("text", words, class_=kind, x=x, y=y, **more)


def _value(value: object) -> str:
    return number(value) if isinstance(value, float) else printable(str(value))


def _text_of(part: str | Markup) -> str | Markup:
    return part if isinstance(part, Markup) else printable(part)


def _share(value: float, bounds: tuple[float, float]) -> float:
    low, high = bounds
    return 0.5 if high == low else min(1.0, max(0.0, (value - low) / (high - low)))
