"""Charts as figures of matplotlib, for files; with its objects and the Agg canvas: no display."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from typing import Any

import matplotlib
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, FigureBase
from matplotlib.lines import Line2D

from synctool.files import atomic_path
from synctool.report.charts.description import (
    Area,
    Band,
    Bars,
    Chart,
    Dots,
    Line,
    Look,
    Mark,
    Panel,
)
from synctool.report.charts.palette import LIGHT, MODELS

DPI = 150
UNITS_PER_INCH = 88.0
_COLUMNS = 3
_AROUND, _TITLE, _LINE = 58.0, 24.0, 22.0
"""Heights of what stands around the axes, in units of a chart."""
_MARKERS = "osD^vPX"
_DASHES = ("-", (0, (6, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)), "--", (0, (9, 2)), ":")
_STYLES: dict[str, dict[str, Any]] = {
    "dots": {"marker": ".", "linestyle": "", "markersize": 3.0},
    "weak": {"marker": ".", "linestyle": "", "markersize": 2.0, "color": LIGHT["weak"]},
    "large": {"linestyle": "", "markersize": 4.5},
    "line": {"linewidth": 1.4},
    "thin": {"linewidth": 0.9},
    "whisker": {"linewidth": 1.0, "alpha": 0.75},
    "segment": {"linewidth": 1.6, "color": LIGHT["segment"]},
    "turn": {"linewidth": 6.0, "solid_capstyle": "butt", "color": LIGHT["soft"]},
    "truth": {"linewidth": 1.2, "linestyle": (0, (1, 2)), "color": LIGHT["truth"]},
    "guide": {"linewidth": 0.8, "linestyle": (0, (3, 4)), "color": LIGHT["soft"]},
}
_BASE_FONT = "DejaVu Sans"  # comes with matplotlib
_MORE_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans Arabic",
    "Noto Sans Devanagari",
    "Microsoft YaHei",
    "PingFang SC",
    "Hiragino Sans",
    "Arial Unicode MS",
    "Segoe UI Symbol",
    "Noto Emoji",
)


def figure_of(charts: Sequence[Chart], *, heading: Sequence[str] = ()) -> Figure:
    """Draw charts of one kind, side by side where there are several.

    Args:
        charts: At least one; several have one legend.
        heading: Lines above all.
    """
    with matplotlib.rc_context(_settings()):
        columns = min(_COLUMNS, len(charts))
        rows = -(-len(charts) // columns)
        characters = int(columns * charts[0].width / 6.8)
        lines = [
            part
            for line in (*heading, charts[0].caption)
            for part in textwrap.wrap(drawable(line), characters)
        ]
        height = rows * max(map(_height, charts)) + _LINE * (len(lines) + 1)
        figure = Figure(
            figsize=(columns * charts[0].width / UNITS_PER_INCH, height / UNITS_PER_INCH),
            layout="constrained",
            facecolor="white",
        )
        FigureCanvasAgg(figure)
        for place, chart in zip(figure.subfigures(rows, columns, squeeze=False).flat, charts):
            if chart.name:
                place.suptitle(drawable(chart.name), fontsize=10)
            _draw(place, chart)
        if lines:
            figure.suptitle("\n".join(lines), fontsize=10.5)
        _legend(figure, charts[0])
    return figure


def save_figure(figure: Figure, path: str | os.PathLike[str], kind: str) -> None:
    """Write a figure, atomically.

    Args:
        figure: What to write.
        path: File.
        kind: Format: png, svg, pdf, jpg.

    Raises:
        OutputError: The file cannot be written.
    """
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=DPI, format=kind)


def _settings() -> Any:
    """Defaults of the texts that are made: no formulas in names, and fonts for any name."""
    return {"text.parse_math": False, "font.family": list(fonts()), "font.size": 9.0}


def _height(chart: Chart) -> float:
    return _AROUND + sum(panel.height + _TITLE for panel in chart.panels)


def _draw(place: FigureBase, chart: Chart) -> None:
    heights = [panel.height for panel in chart.panels]
    grid = place.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)
    for axes, panel in zip(grid[:, 0], chart.panels, strict=True):
        axes.set_xlim(chart.x.low, chart.x.high)
        axes.set_xticks(*_ticks(chart.x.ticks))
        _draw_panel(axes, panel)
    last = grid[-1, 0]
    last.set_xlabel(chart.x.title)


def _draw_panel(axes: Axes, panel: Panel) -> None:
    axes.set_ylim(panel.y.low, panel.y.high)
    axes.set_yticks(*_ticks(panel.y.ticks))
    axes.grid(True, color="#8884", linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    if panel.y.low < 0 < panel.y.high:
        axes.axhline(0, color="#667", linewidth=0.8)
    aside = 6
    if panel.second is not None:
        twin = axes.twinx()
        twin.set_ylim(panel.second.low, panel.second.high)
        twin.set_yticks(*_ticks(panel.second.ticks))
        twin.tick_params(length=0)
        twin.spines[:].set_visible(False)
        twin.set_title(panel.second.title, loc="right", fontsize=8, color=LIGHT["soft"])
        aside = 28
    for mark in panel.marks:
        _draw_mark(axes, mark, aside)
    if panel.title:
        axes.set_title(drawable(panel.title), loc="left", fontsize=9)
    if panel.remark:
        axes.text(
            0.5, 0.5, panel.remark, transform=axes.transAxes, ha="center", va="center",
            fontsize=min(26.0, panel.height / 8), color="#334", alpha=0.5,
        )  # fmt: skip


def _draw_mark(axes: Axes, mark: Mark, aside: float) -> None:
    if isinstance(mark, Band):
        colour = LIGHT[f"b-{mark.verdict.replace(' ', '-')}"]
        axes.axhspan(mark.low, mark.high, color=colour, linewidth=0, zorder=0)
        axes.annotate(
            mark.name, (1, (mark.low + mark.high) / 2), (aside, 0), xycoords=("axes fraction", "data"),
            textcoords="offset points", va="center", fontsize=8, color=LIGHT["soft"],
        )  # fmt: skip
    elif isinstance(mark, Bars):
        axes.bar(
            [low for low, _, _ in mark.bars],
            [tall for _, _, tall in mark.bars],
            [high - low for low, high, _ in mark.bars],
            align="edge",
            color=_colour(mark.look),
        )
    elif isinstance(mark, Area):
        x, y = _columns(mark.points)
        axes.fill_between(
            x, axes.get_ylim()[0], y, color=_colour(mark.look), alpha=0.25, linewidth=0
        )
    elif mark.points:
        axes.plot(*_columns(mark.points), clip_on=mark.look.role != "large", **_style(mark.look))
        if isinstance(mark, Line) and mark.name and (last := mark.points[-1]) is not None:
            axes.annotate(
                mark.name, last, (0, 2), textcoords="offset points", ha="right", va="bottom",
                fontsize=8, color=LIGHT["soft"],
            )  # fmt: skip


def _legend(figure: Figure, chart: Chart) -> None:
    if not chart.keys:
        return
    dotted = {
        mark.look.model
        for panel in chart.panels
        for mark in panel.marks
        if isinstance(mark, Dots) and mark.look.role == "large"
    }
    lines = [Line2D([], [], **_sample(key.look, dotted)) for key in chart.keys]
    names = [drawable(key.name).lstrip("_") or "?" for key in chart.keys]  # "_" would hide an entry
    figure.legend(
        lines,
        names,
        loc="outside lower center",
        ncols=min(len(names), 4),
        handlelength=4.0,  # the longest pattern of dashes, twice
        frameon=False,
        fontsize=8.5,
    )


def _sample(look: Look, dotted: Collection[int | None]) -> dict[str, Any]:
    """The style of a piece of a mark; ``dotted`` are the models whose lines have dots on them."""
    if look.role == "line" and look.model in dotted:
        return {
            **_style(look),
            "marker": _style(Look("large", look.model))["marker"],
            "markersize": 4.5,
        }
    return {**_style(look), **({"markersize": 6.0} if look.role in ("weak", "large") else {})}


def _style(look: Look) -> dict[str, Any]:
    style = dict(_STYLES[look.role])
    if look.model is not None:
        style["color"] = _colour(look)
        if look.role == "large":
            style["marker"] = _MARKERS[look.model % len(_MARKERS)]
        elif look.role == "line":
            style["linestyle"] = _DASHES[look.model % len(_DASHES)]
    return style


def _colour(look: Look) -> str:
    return LIGHT[f"m{(look.model or 0) % MODELS}"]


def _ticks(ticks: Iterable[tuple[float, str]]) -> tuple[list[float], list[str]]:
    pairs = list(ticks)
    return [value for value, _ in pairs], [label for _, label in pairs]


def _columns(points: Iterable[tuple[float, float] | None]) -> tuple[list[float], list[float]]:
    whole = [point if point is not None else (float("nan"),) * 2 for point in points]
    return [x for x, _ in whole], [y for _, y in whole]


@lru_cache(maxsize=1)
def fonts() -> tuple[str, ...]:
    """matplotlib's own font, and others of this computer that know more characters."""
    here = {entry.name for entry in font_manager.fontManager.ttflist}
    return (_BASE_FONT, *(name for name in _MORE_FONTS if name in here))


@lru_cache(maxsize=1)
def _known_characters() -> frozenset[int]:
    known_here: set[int] = set()
    for name in fonts():
        font = font_manager.get_font(font_manager.findfont(name))
        known_here.update(font.get_charmap())
    return frozenset(known_here)


def drawable(text: str) -> str:
    """The text with a box for every character that no font here can draw."""
    here = _known_characters()
    return "".join(c if ord(c) in here else "\N{WHITE SQUARE}" for c in text)
