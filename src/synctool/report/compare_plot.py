"""Pictures of a comparison: offsets over time side by side, and the metrics as curves.

:func:`compare_figure`      one film through all models, a row each
:func:`context_figure`      windows of a few frames: how often right, by their length
:func:`reliability_figure`  confidence against how often it was right
:func:`robustness_figure`   right, and answered, by what was done to the film and how strongly
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from synctool.evaluation.metric_specs import METRICS, Metric
from synctool.evaluation.reliability import reliability
from synctool.report.compare_rows import brief_names, is_right, model_of, names_of, plain_trials
from synctool.report.drawing import (
    draw_bands,
    drawable,
    fonts,
    light,
    new_figure,
    save_figure,
    time_axis,
)
from synctool.report.text import printable, shortened
from synctool.scoring.verdict import LEAST_CONFIDENCE, UNACCEPTABLE_MS, in_words
from synctool.types import FRAME_MS, Trial

COLOURS = (
    *("#1f5fa8", "#d1495b", "#2e8b57", "#8a5fbf", "#c77d0a"),
    *("#17909c", "#7a4b2a", "#5b6470"),
)
"""One a model, in order; told apart by markers as well, for whoever cannot by colour."""
_MARKERS = "osD^vPX*"
_FAINT = "#b9c4d0"
_MOST_POINTS = 3000
_TITLE_CHARACTERS = 90
_REASON_CHARACTERS = 110
_NAME_CHARACTERS = 40
_CONTEXT = re.compile(r"accuracy_1_frame@(\d+)")
_COLUMNS = 3
_LONGEST_STEM = 120


# ----------------------------------------------------------------------------------- one film


def compare_figure(trials: Sequence[Trial]) -> Figure:
    """Draw one film: for each model its offset per frame over time, with the bands of the ITU.

    Args:
        trials: One a model, of one film under one condition.

    Raises:
        ValueError: There are none.
    """
    if not trials:
        raise ValueError("no trials to draw")
    figure = new_figure(10.0, 1.4 + 1.9 * len(trials))
    rows = figure.subplots(len(trials), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    names = names_of(trials)
    brief = brief_names(names.values(), _NAME_CHARACTERS)
    low, high = _limits_ms(trials)
    for axes, trial in zip(rows, trials, strict=True):
        axes.set_ylim(low, high)
        _draw_model(axes, trial, brief[names[model_of(trial)]], low, high)
    figure.supylabel("audio behind  ←  ms  →  audio ahead", fontsize=9.5)
    time_axis(rows[-1], max(trial.duration_s for trial in trials))
    for axes in rows[:-1]:
        axes.set_xlabel("")
    _write_title(figure, trials[0])
    return figure


def _draw_model(axes: Axes, trial: Trial, name: str, low: float, high: float) -> None:
    t_s, offset_ms, sure = _points(trial)
    late = t_s > 0.85 * trial.duration_s  # the names of the bands stand at the right
    draw_bands(axes, low, high, taken=[*offset_ms[late & np.isfinite(offset_ms)]])
    axes.axhline(0, color="#667", linewidth=0.8)
    for chosen, colour, size in ((~sure, _FAINT, 2.0), (sure, COLOURS[0], 3.0)):
        if chosen.any():
            axes.plot(t_s[chosen], offset_ms[chosen], ".", color=colour, markersize=size)
    for start_s, end_s, true_ms in _truth(trial):
        axes.plot(
            [start_s, end_s], [true_ms] * 2, color="k", linewidth=1.0, linestyle="--", zorder=3
        )
    for segment in trial.segments:
        y = segment.offset_frames * FRAME_MS
        axes.plot([segment.start_s, segment.end_s], [y, y], color=COLOURS[1], linewidth=1.6)
    title = axes.set_title(_said(trial, name), loc="left", fontsize=9, fontfamily=fonts())
    title.set_parse_math(False)
    if trial.error is not None:
        axes.text(0.5, 0.5, "failed", transform=axes.transAxes, ha="center", va="center",
                  fontsize=20, color="#334", alpha=0.5)  # fmt: skip
    light(axes)


def _points(trial: Trial) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Time, offset in ms and whether it is sure, of the frames that have an offset."""
    t_s, offset, confidence = (
        np.array([np.nan if value is None else value for value in values], dtype=float)
        for values in (trial.frames.t_s, trial.frames.offset_frames, trial.frames.confidence)
    )
    known = np.isfinite(offset)
    t_s, offset, confidence = t_s[known], offset[known], np.nan_to_num(confidence[known], nan=-1.0)
    if len(t_s) > _MOST_POINTS:
        spots = np.array_split(np.arange(len(t_s)), _MOST_POINTS)
        kept = np.array([spot[confidence[spot].argmax()] for spot in spots])
        t_s, offset, confidence = t_s[kept], offset[kept], confidence[kept]
    return t_s, offset * FRAME_MS, confidence >= LEAST_CONFIDENCE


def _limits_ms(trials: Iterable[Trial]) -> tuple[float, float]:
    """Range of the axis: the bands, what is sure, what is true, and a little more."""
    shown: list[float] = [*UNACCEPTABLE_MS]
    for trial in trials:
        _, offset_ms, sure = _points(trial)
        shown += [*offset_ms[sure]]
        shown += [s.offset_frames * FRAME_MS for s in trial.segments]
        shown += [true_ms for _, _, true_ms in _truth(trial)]
        if trial.answered and trial.offset_frames is not None:
            shown.append(trial.offset_frames * FRAME_MS)
    room = 0.12 * (max(shown) - min(shown))
    return min(shown) - room, max(shown) + room


def _truth(trial: Trial) -> list[tuple[float, float, float]]:
    """Begin, end and true offset in ms of what is known about the film."""
    if trial.label.segments:
        moved = trial.condition.moved_frames
        return [
            (s.start_s, s.end_s, (s.offset_frames + moved) * FRAME_MS) for s in trial.label.segments
        ]
    if trial.truth_frames is None:
        return []
    return [(0.0, trial.duration_s, trial.truth_frames * FRAME_MS)]


def _said(trial: Trial, name: str) -> str:
    if trial.error is not None:
        said = trial.error
    elif trial.answered and trial.offset_frames is not None:
        words = in_words(trial.offset_frames * FRAME_MS)
        said = f"audio {words}, confidence {trial.confidence:.2f}, {trial.verdict}"
    else:
        said = f"inconclusive: {trial.reason or 'the evidence does not carry an answer'}"
    return drawable(shortened(f"{printable(name)}: {printable(said)}", _REASON_CHARACTERS))


def _write_title(figure: Figure, trial: Trial) -> None:
    name = shortened(printable(Path(trial.film).name or trial.film), _TITLE_CHARACTERS)
    known = ", dashed: the known offset" if _truth(trial) else ""
    about = (
        f"dots: per frame (faint: confidence below {LEAST_CONFIDENCE:g}), lines: segments{known}, "
        "shaded: ITU-R BT.1359-1"
    )
    title = figure.suptitle(f"{drawable(name)}\n{about}", fontsize=9.5, fontfamily=fonts())
    title.set_parse_math(False)


# ----------------------------------------------------------------------------------- metrics


def context_figure(metrics: Iterable[Metric]) -> Figure | None:
    """Share of windows whose best match is within a frame of the truth, over their length.

    Whiskers are 95% intervals. None where no metric ``accuracy_1_frame@N`` of all trials is defined.
    """
    curves: dict[str, list[tuple[int, Metric]]] = {}
    for metric in metrics:
        named = _CONTEXT.fullmatch(metric.name)
        if named and metric.group == "all" and np.isfinite(metric.value):
            curves.setdefault(metric.backbone, []).append((int(named[1]), metric))
    if not curves:
        return None
    figure = new_figure(7.0, 4.4)
    axes = figure.subplots()
    for number, points in enumerate(curves.values()):
        points.sort(key=lambda point: point[0])
        spread = 0.06 * (number - (len(curves) - 1) / 2)  # whiskers must not cover one another
        axes.errorbar(
            [frames + spread for frames, _ in points],
            [metric.value for _, metric in points],
            yerr=_whiskers([metric for _, metric in points]),
            capsize=3, **_style(number),
        )  # fmt: skip
    chance = METRICS[next(iter(curves.values()))[0][1].name].chance
    axes.axhline(chance, color="#999", linewidth=0.8, linestyle=":")
    axes.text(
        0.99, chance + 0.01, "guessing", transform=axes.get_yaxis_transform(),
        ha="right", va="bottom", fontsize=8, color="#556",
    )  # fmt: skip
    axes.set_xticks(sorted({frames for points in curves.values() for frames, _ in points}))
    axes.set_xlabel("frames of 40 ms in a window")
    axes.set_ylabel("windows within a frame of the truth")
    _shares(axes)
    _name_lines(figure, axes, curves)
    figure.suptitle("Accuracy by context (whiskers: 95% intervals)", fontsize=10.5)
    return figure


def reliability_figure(trials: Sequence[Trial]) -> Figure | None:
    """How often answers of each confidence are right, and how many there are of it.

    None where no trial has an offset and a known truth.
    """
    tables = {name: bins for name, bins in reliability(trials).items() if bins}
    if not tables:
        return None
    figure = new_figure(6.0, 6.2)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.plot([0, 1], [0, 1], color="#999", linewidth=0.8, linestyle=":")
    width = 0.09 / len(tables)
    for number, bins in enumerate(tables.values()):
        upper.plot(
            [b.confidence for b in bins], [b.accuracy for b in bins], **_style(number)
        )  # fmt: skip
        begin = (number - (len(tables) - 1) / 2) * width
        lower.bar(
            [(b.low + b.high) / 2 + begin for b in bins], [b.count for b in bins], width,
            color=COLOURS[number % len(COLOURS)],
        )  # fmt: skip
    upper.set_ylabel("right within a frame")
    _shares(upper)
    lower.set_xlim(0, 1)
    lower.set_xlabel("confidence")
    lower.set_ylabel("trials")
    light(lower)
    _name_lines(figure, upper, tables)
    figure.suptitle("Reliability of the confidence (dotted: perfect)", fontsize=10.5)
    return figure


def robustness_figure(trials: Sequence[Trial]) -> Figure | None:
    """Two rows a perturbation, over its severity: share within a frame of the truth, share answered.

    Severity 0 is the film as it is. A failed trial counts as neither right nor answered. None where
    nothing was perturbed.
    """
    curves = _robustness(trials)
    if not curves:
        return None
    columns = min(_COLUMNS, len(curves))
    blocks = -(-len(curves) // columns)
    figure = new_figure(3.4 * columns + 0.6, 3.9 * blocks + 0.6)
    grid = figure.subplots(2 * blocks, columns, sharey=True, squeeze=False)
    for place, (name, models) in enumerate(curves.items()):
        block, column = divmod(place, columns)
        upper, lower = grid[2 * block, column], grid[2 * block + 1, column]
        levels = sorted({level for points in models.values() for level in points})
        for number, points in enumerate(models.values()):
            spread = 0.05 * (number - (len(models) - 1) / 2)  # lines must not hide one another
            for axes, which in ((upper, 0), (lower, 1)):
                at = [level for level in levels if level in points]
                values = [points[level][which] for level in at]
                axes.plot([level + spread for level in at], values, **_style(number))
        unit = _unit(trials, name)
        upper.set_title(f"{name} ({unit})" if unit else name, fontsize=9.5)
        upper.set_xticks(levels, [""] * len(levels))
        lower.set_xticks(levels, [_level(trials, name, level) for level in levels], fontsize=8)
        for axes in (upper, lower):
            axes.set_xlim(min(levels) - 0.2, max(levels) + 0.2)
            _shares(axes)
        if column == 0:
            upper.set_ylabel("within a frame")
            lower.set_ylabel("answered")
    for spare in range(len(curves), columns * blocks):
        block, column = divmod(spare, columns)
        grid[2 * block, column].set_visible(False)
        grid[2 * block + 1, column].set_visible(False)
    _name_lines(figure, grid[0, 0], next(iter(curves.values())))
    figure.suptitle("Robustness: mild to severe", fontsize=10.5)
    return figure


def _robustness(
    trials: Sequence[Trial],
) -> dict[str, dict[str, dict[int, tuple[float, float]]]]:
    """Perturbation -> model -> severity -> share within a frame (NaN if not known) and answered."""
    names = names_of(trials)
    done: dict[str, None] = {
        t.condition.perturbation: None for t in trials if t.condition.kind == "perturbed"
    }
    found: dict[str, dict[str, dict[int, tuple[float, float]]]] = {}
    for perturbation in done:
        mine = [t for t in trials if t.condition.perturbation == perturbation]
        films = {t.film for t in mine}
        mine += [t for t in trials if t.condition.kind == "plain" and t.film in films]
        for model, name in names.items():
            levels: dict[int, list[Trial]] = {}
            for trial in mine:
                if model_of(trial) == model:
                    levels.setdefault(trial.condition.level, []).append(trial)
            found.setdefault(perturbation, {})[name] = {
                level: _right_and_answered(here) for level, here in sorted(levels.items())
            }
    return found


def _right_and_answered(trials: Sequence[Trial]) -> tuple[float, float]:
    right = [is_right(t) for t in trials if t.truth_frames is not None]
    answered = [t.error is None and t.answered for t in trials]
    return float(np.mean(right)) if right else float("nan"), float(np.mean(answered))


def _level(trials: Iterable[Trial], perturbation: str, level: int) -> str:
    """The severity as a number of its unit: ``-5``; ``as is`` for the film itself."""
    if level == 0:
        return "as\nis"
    for trial in trials:
        at = trial.condition
        if (at.perturbation, at.level) == (perturbation, level) and at.value is not None:
            return f"{at.value:g}"
    return str(level)


def _unit(trials: Iterable[Trial], perturbation: str) -> str:
    units = (t.condition.unit for t in trials if t.condition.perturbation == perturbation)
    return next(units, "")


# ----------------------------------------------------------------------------------- into files


def write_compare_plot(
    trials: Sequence[Trial],
    metrics: Sequence[Metric],
    path: str | os.PathLike[str],
    *,
    folder: bool,
) -> list[Path]:
    """Draw a comparison into files, atomically.

    Args:
        trials: All of them.
        metrics: Their metrics.
        path: A file (PNG, SVG, PDF by its suffix) for the offsets of the first film; or a folder that
            is there, for those of every film, ``NAME.png``, and ``metrics-context.png``,
            ``metrics-reliability.png`` and ``metrics-robustness.png``, where they can be drawn.
        folder: Which of the two.

    Returns:
        What was written.

    Raises:
        OutputError: The suffix is not known, or a file cannot be written.
    """
    films = plain_trials(trials)
    if not folder:
        first = next(iter(films.values()), None) or list(trials)[:1]
        save_figure(compare_figure(first), path)
        return [Path(path)]
    figures = {
        "metrics-context": context_figure(metrics),
        "metrics-reliability": reliability_figure(trials),
        "metrics-robustness": robustness_figure(trials),
    }
    taken = {name.casefold() for name in figures}
    written = []
    for film, here in films.items():
        target = Path(path) / f"{_free_name(film, taken)}.png"
        save_figure(compare_figure(here), target)
        written.append(target)
    for name, figure in figures.items():
        if figure is not None:
            target = Path(path) / f"{name}.png"
            save_figure(figure, target)
            written.append(target)
    return written


def _free_name(film: str, taken: set[str]) -> str:
    """A file name for a film that no other has, also where letters' case is not told apart."""
    stem = Path(film).name or "film"
    stem = os.fsencode(stem)[:_LONGEST_STEM].decode("utf-8", "ignore") or "film"
    name, number = stem, 1
    while name.casefold() in taken:
        number += 1
        name = f"{stem}-{number}"
    taken.add(name.casefold())
    return name


# ----------------------------------------------------------------------------------- small parts


def _style(number: int) -> dict[str, object]:
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": _MARKERS[number % len(_MARKERS)],
        "markersize": 4.5,
        "linewidth": 1.4,
    }


def _whiskers(metrics: Sequence[Metric]) -> np.ndarray:
    """``[2, N]``: how far the interval reaches below and above each value; 0 where there is none."""
    ends = np.array(
        [[metric.value - metric.low, metric.high - metric.value] for metric in metrics], float
    )
    return np.nan_to_num(np.maximum(ends, 0)).T


def _legends(names: Iterable[str]) -> list[str]:
    """Names for a legend, which takes an underscore at the beginning for a secret."""
    brief = brief_names(names, _NAME_CHARACTERS).values()
    return [drawable(name).lstrip("_") or "?" for name in brief]


def _shares(axes: Axes) -> None:
    axes.set_ylim(-0.02, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    light(axes)


def _name_lines(figure: Figure, axes: Axes, names: Iterable[str]) -> None:
    """A legend below all, of the lines or error bars that were drawn last, in order."""
    labels = _legends(names)
    lines = [line for line in axes.get_lines() if line.get_marker() in _MARKERS]
    legend = figure.legend(
        lines[-len(labels) :], labels, loc="outside lower center", ncols=min(len(labels), 4),
        frameon=False, prop={"family": fonts(), "size": 8.5},
    )  # fmt: skip
    for text in legend.get_texts():
        text.set_parse_math(False)
