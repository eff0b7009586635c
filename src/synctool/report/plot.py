"""A picture of one film: the offset along time, and how sure it is.

Drawn with matplotlib's objects and the Agg canvas: no global state, no display.
"""

from __future__ import annotations

import os
import textwrap
from functools import lru_cache
from pathlib import Path

import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MultipleLocator

from synctool.errors import OutputError
from synctool.files import atomic_path
from synctool.report.text import clock, printable, shortened
from synctool.scoring.verdict import DETECTABLE_MS, LEAST_CONFIDENCE, UNACCEPTABLE_MS, sentence
from synctool.types import FRAME_MS, DetectResult

DPI = 150
FORMATS = ("png", "svg", "pdf", "jpg")
_SIZE_INCHES = (10.0, 6.0)
_MOST_POINTS = 3000
_TITLE_CHARACTERS = 90
_LINE_CHARACTERS = 115
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
_STRONG, _WEAK, _SEGMENT = "#1f5fa8", "#b9c4d0", "#d1495b"
_BANDS = {"in sync": "#dff0df", "detectable": "#fbf1cf", "unacceptable": "#f8dedd"}


def plot_result(result: DetectResult) -> Figure:
    """Draw one film: offset in ms and frames over time with the bands of the ITU, and confidence."""
    figure = Figure(figsize=_SIZE_INCHES, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    t_s, offset_ms, confidence = _points(result)
    _draw_offset(upper, result, t_s, offset_ms, confidence)
    _draw_confidence(lower, t_s, confidence)
    duration_s = max(result.source.duration_s, 1 / 25)
    lower.set_xlim(0, duration_s)
    lower.set_xlabel("time in the film (minutes:seconds)")
    step_s = next((s for s in _TICKS_S if duration_s <= 10 * s), duration_s / 10)
    lower.xaxis.set_major_locator(MultipleLocator(step_s))
    lower.xaxis.set_major_formatter(FuncFormatter(lambda s, _: _tick(s, tenths=step_s < 1)))
    _write_title(figure, result)
    return figure


def write_plot(result: DetectResult, path: str | os.PathLike[str]) -> None:
    """Draw one film into a file, atomically; the suffix chooses PNG (also without one), SVG or PDF.

    Raises:
        OutputError: The suffix is not known, or the file cannot be written.
    """
    kind = check_format(path)
    figure = plot_result(result)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=DPI, format=kind)


def check_format(path: str | os.PathLike[str]) -> str:
    """The format that the suffix of a plot asks for.

    Raises:
        OutputError: It is not known.
    """
    kind = Path(path).suffix.lower().lstrip(".").replace("jpeg", "jpg") or "png"
    if kind not in FORMATS:
        raise OutputError(
            f"cannot draw a plot as .{kind}",
            remedy=f"Give a name that ends in {', '.join('.' + name for name in FORMATS)}.",
        )
    return kind


def _points(result: DetectResult) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Time, offset in ms and confidence, NaN where unknown; of a long film the surest of each spot."""
    t_s, offset, confidence = (
        np.array([np.nan if value is None else value for value in values], dtype=float)
        for values in (result.frames.t_s, result.frames.offset_frames, result.frames.confidence)
    )
    if len(t_s) > _MOST_POINTS:
        surest = np.nan_to_num(confidence, nan=-1.0)
        spots = np.array_split(np.arange(len(t_s)), _MOST_POINTS)
        kept = np.array([spot[surest[spot].argmax()] for spot in spots])
        t_s, offset, confidence = t_s[kept], offset[kept], confidence[kept]
    return t_s, offset * FRAME_MS, confidence


def _draw_offset(
    axes: Axes,
    result: DetectResult,
    t_s: np.ndarray,
    offset_ms: np.ndarray,
    confidence: np.ndarray,
) -> None:
    with np.errstate(invalid="ignore"):
        strong = np.nan_to_num(confidence) >= LEAST_CONFIDENCE
    known = np.isfinite(offset_ms)
    shown = known if result.verdict == "inconclusive" else known & strong
    low, high = _limits(result, offset_ms[shown])
    axes.set_ylim(low, high)
    last_s = 0.85 * result.source.duration_s  # the names of the bands stand at the right
    there = [*offset_ms[known & (t_s > last_s)]]
    there += [s.offset_frames * FRAME_MS for s in result.segments if s.end_s > last_s]
    _draw_bands(axes, low, high, taken=there)
    axes.axhline(0, color="#667", linewidth=0.8)
    for chosen, colour, size, label in (
        (known & ~strong, _WEAK, 2.0, f"per frame, confidence below {LEAST_CONFIDENCE:g}"),
        (known & strong, _STRONG, 3.0, "per frame"),
    ):
        if chosen.any():
            axes.plot(
                t_s[chosen], offset_ms[chosen], ".", color=colour, markersize=size, label=label
            )
    for number, segment in enumerate(result.segments):
        y = segment.offset_frames * FRAME_MS
        label = "segment" if number == 0 else None
        axes.plot(
            [segment.start_s, segment.end_s], [y, y], color=_SEGMENT, linewidth=2, label=label
        )
    if axes.get_legend_handles_labels()[0]:
        axes.legend(
            loc="lower right", bbox_to_anchor=(1, 1), ncols=3, fontsize=8, markerscale=3,
            frameon=False, borderaxespad=0.2,
        )  # fmt: skip
    axes.set_ylabel("audio behind   ←   offset in ms   →   audio ahead")
    axes.set_title("shaded: ITU-R BT.1359-1", loc="left", fontsize=8, color="#556")
    frames = axes.secondary_yaxis(
        "right", functions=(lambda ms: ms / FRAME_MS, lambda frames: frames * FRAME_MS)
    )
    frames.set_ylabel("frames of 40 ms")
    _light(axes)
    if result.verdict == "inconclusive":
        said = "inconclusive" if known.any() else "nothing could be measured"
        axes.text(
            0.5, 0.5, said, transform=axes.transAxes, ha="center", va="center",
            fontsize=26, color="#334", alpha=0.5,
        )  # fmt: skip


def _limits(result: DetectResult, offsets_ms: np.ndarray) -> tuple[float, float]:
    """Range of the axis in ms: the bands, everything that is to be seen, and a little more."""
    sure = [*offsets_ms, *(s.offset_frames * FRAME_MS for s in result.segments)]
    if result.offset_frames is not None:
        sure.append(result.offset_frames * FRAME_MS)
    low, high = min([UNACCEPTABLE_MS[0], *sure]), max([UNACCEPTABLE_MS[1], *sure])
    room = 0.12 * (high - low)
    return low - room, high + room


def _draw_bands(axes: Axes, low: float, high: float, *, taken: list[float]) -> None:
    """Shade the ranges of ITU-R BT.1359-1 and name them at the right, clear of what is ``taken``."""
    for bottom, top, verdict in (
        (low, UNACCEPTABLE_MS[0], "unacceptable"),
        (UNACCEPTABLE_MS[0], DETECTABLE_MS[0], "detectable"),
        (DETECTABLE_MS[0], DETECTABLE_MS[1], "in sync"),
        (DETECTABLE_MS[1], UNACCEPTABLE_MS[1], "detectable"),
        (UNACCEPTABLE_MS[1], high, "unacceptable"),
    ):
        axes.axhspan(bottom, top, color=_BANDS[verdict], linewidth=0, zorder=0)
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


def _draw_confidence(axes: Axes, t_s: np.ndarray, confidence: np.ndarray) -> None:
    axes.axhline(LEAST_CONFIDENCE, color="#999", linewidth=0.8, linestyle="--")
    axes.fill_between(t_s, 0, confidence, color=_STRONG, alpha=0.25, linewidth=0)
    axes.plot(t_s, confidence, color=_STRONG, linewidth=0.9)
    axes.set_ylim(0, 1.02)
    axes.set_yticks([0, 0.5, 1])
    axes.set_ylabel("confidence")
    _light(axes)


def _light(axes: Axes) -> None:
    axes.grid(True, color="#8884", linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)


def _tick(seconds: float, *, tenths: bool) -> str:
    text = clock(max(0.0, seconds))
    return text if tenths else text.rpartition(".")[0]


def _write_title(figure: Figure, result: DetectResult) -> None:
    name = _drawable(
        shortened(printable(Path(result.input).name or result.input), _TITLE_CHARACTERS)
    )
    lines = textwrap.fill(sentence(result), _LINE_CHARACTERS)
    title = figure.suptitle(f"{name}\n{lines}", fontsize=10.5, fontfamily=_fonts())
    title.set_parse_math(False)


@lru_cache(maxsize=1)
def _fonts() -> list[str]:
    """matplotlib's own font, and others of this computer that know more characters."""
    here = {entry.name for entry in font_manager.fontManager.ttflist}
    return [_BASE_FONT, *(name for name in _MORE_FONTS if name in here)]


@lru_cache(maxsize=1)
def _known_characters() -> frozenset[int]:
    known: set[int] = set()
    for name in _fonts():
        font = font_manager.get_font(font_manager.findfont(name))
        known.update(font.get_charmap())
    return frozenset(known)


def _drawable(text: str) -> str:
    """The text with a box for every character that no font here can draw."""
    known = _known_characters()
    return "".join(c if ord(c) in known else "\N{WHITE SQUARE}" for c in text)
