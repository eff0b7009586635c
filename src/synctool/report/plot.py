"""A picture of one film: the offset along time, and how sure it is.

Drawn with matplotlib's objects and the Agg canvas: no global state, no display.
"""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from synctool.report.drawing import (
    draw_bands,
    drawable,
    fonts,
    light,
    new_figure,
    save_figure,
    time_axis,
)
from synctool.report.plot_format import check_format
from synctool.report.text import printable, shortened
from synctool.scoring.verdict import LEAST_CONFIDENCE, UNACCEPTABLE_MS, sentence
from synctool.types import FRAME_MS, DetectResult

_SIZE_INCHES = (10.0, 6.0)
_MOST_POINTS = 3000
_TITLE_CHARACTERS = 90
_LINE_CHARACTERS = 115
_STRONG, _WEAK, _SEGMENT = "#1f5fa8", "#b9c4d0", "#d1495b"


def plot_result(result: DetectResult) -> Figure:
    """Draw one film: offset in ms and frames over time with the bands of the ITU, and confidence."""
    figure = new_figure(*_SIZE_INCHES)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    t_s, offset_ms, confidence = _points(result)
    _draw_offset(upper, result, t_s, offset_ms, confidence)
    _draw_confidence(lower, t_s, confidence)
    time_axis(lower, result.source.duration_s)
    _write_title(figure, result)
    return figure


def write_plot(result: DetectResult, path: str | os.PathLike[str]) -> None:
    """Draw one film into a file, atomically; the suffix chooses PNG (also without one), SVG or PDF.

    Raises:
        OutputError: The suffix is not known, or the file cannot be written.
    """
    check_format(path)
    save_figure(plot_result(result), path)


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
    draw_bands(axes, low, high, taken=there)
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
    light(axes)
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


def _draw_confidence(axes: Axes, t_s: np.ndarray, confidence: np.ndarray) -> None:
    axes.axhline(LEAST_CONFIDENCE, color="#999", linewidth=0.8, linestyle="--")
    axes.fill_between(t_s, 0, confidence, color=_STRONG, alpha=0.25, linewidth=0)
    axes.plot(t_s, confidence, color=_STRONG, linewidth=0.9)
    axes.set_ylim(0, 1.02)
    axes.set_yticks([0, 0.5, 1])
    axes.set_ylabel("confidence")
    light(axes)


def _write_title(figure: Figure, result: DetectResult) -> None:
    name = drawable(
        shortened(printable(Path(result.input).name or result.input), _TITLE_CHARACTERS)
    )
    lines = textwrap.fill(sentence(result), _LINE_CHARACTERS)
    title = figure.suptitle(f"{name}\n{lines}", fontsize=10.5, fontfamily=fonts())
    title.set_parse_math(False)
