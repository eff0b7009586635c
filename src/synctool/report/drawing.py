"""What the pictures share: the bands of the ITU, a time axis, fonts for any name, and files.

Drawn with matplotlib's objects and the Agg canvas: no global state, no display.
"""

from __future__ import annotations

import os
from functools import lru_cache

from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MultipleLocator

from synctool.files import atomic_path
from synctool.report.plot_format import check_format
from synctool.report.text import clock
from synctool.scoring.verdict import DETECTABLE_MS, UNACCEPTABLE_MS

DPI = 150
BANDS = {"in sync": "#dff0df", "detectable": "#fbf1cf", "unacceptable": "#f8dedd"}
"""Colours of the verdicts."""
_LEAST_LABEL = 0.035
_TICKS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600)
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


def new_figure(width: float, height: float) -> Figure:
    """An empty white figure of that size in inches, with a canvas."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure, atomically; the suffix chooses the format, PNG without one.

    Raises:
        OutputError: The suffix is not known, or the file cannot be written.
    """
    kind = check_format(path)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=DPI, format=kind)


def draw_bands(axes: Axes, low: float, high: float, *, taken: list[float]) -> None:
    """Shade the ranges of ITU-R BT.1359-1 and name them at the right, clear of what is ``taken``.

    Args:
        axes: Where; offsets in ms go up.
        low: Lower end of the axis.
        high: Upper end.
        taken: Offsets that are drawn at the right edge.
    """
    for bottom, top, verdict in (
        (low, UNACCEPTABLE_MS[0], "unacceptable"),
        (UNACCEPTABLE_MS[0], DETECTABLE_MS[0], "detectable"),
        (DETECTABLE_MS[0], DETECTABLE_MS[1], "in sync"),
        (DETECTABLE_MS[1], UNACCEPTABLE_MS[1], "detectable"),
        (UNACCEPTABLE_MS[1], high, "unacceptable"),
    ):
        axes.axhspan(bottom, top, color=BANDS[verdict], linewidth=0, zorder=0)
        if top - bottom < _LEAST_LABEL * (high - low):
            continue
        edge = min(_LEAST_LABEL / 2 * (high - low), (top - bottom) / 2)
        places = (bottom + top) / 2, top - edge, bottom + edge
        clear = 2 * edge  # enough; the middle is the best of those that have it
        y = max(places, key=lambda y: min((clear, *(abs(y - other) for other in taken))))
        axes.text(
            0.992, y, verdict, transform=axes.get_yaxis_transform(),
            ha="right", va="center", fontsize=8, color="#556", zorder=1,
        )  # fmt: skip


def time_axis(axes: Axes, duration_s: float) -> None:
    """Let an axis run from the beginning of a film to its end."""
    lasts_s = max(duration_s, 1 / 25)
    axes.set_xlim(0, lasts_s)
    axes.set_xlabel("time in the film (minutes:seconds)")
    step_s = next((s for s in _TICKS_S if lasts_s <= 10 * s), lasts_s / 10)
    axes.xaxis.set_major_locator(MultipleLocator(step_s))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda s, _: _tick(s, tenths=step_s < 1)))


def light(axes: Axes) -> None:
    """A faint grid, and no frame at the top and the right."""
    axes.grid(True, color="#8884", linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)


def _tick(seconds: float, *, tenths: bool) -> str:
    text = clock(max(0.0, seconds))
    return text if tenths else text.rpartition(".")[0]


@lru_cache(maxsize=1)
def fonts() -> list[str]:
    """matplotlib's own font, and others of this computer that know more characters."""
    here = {entry.name for entry in font_manager.fontManager.ttflist}
    return [_BASE_FONT, *(name for name in _MORE_FONTS if name in here)]


@lru_cache(maxsize=1)
def _known_characters() -> frozenset[int]:
    known: set[int] = set()
    for name in fonts():
        font = font_manager.get_font(font_manager.findfont(name))
        known.update(font.get_charmap())
    return frozenset(known)


def drawable(text: str) -> str:
    """The text with a box for every character that no font here can draw."""
    known = _known_characters()
    return "".join(c if ord(c) in known else "\N{WHITE SQUARE}" for c in text)
