"""``--plot``: charts of results as files; matplotlib is imported when one is drawn."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from synctool.evaluation.metric_specs import Metric
from synctool.evaluation.reliability import reliability
from synctool.report.charts.curves import context_chart, reliability_charts, robustness_charts
from synctool.report.charts.description import Chart
from synctool.report.charts.offsets import compare_chart, detect_chart
from synctool.report.compare_rows import Models, plain_trials
from synctool.report.plot_format import check_format
from synctool.report.text import printable, shortened
from synctool.scoring.verdict import sentence
from synctool.types import DetectResult, Trial

METRIC_PLOTS = ("metrics-context", "metrics-reliability", "metrics-robustness")
"""Names of the plots of metrics."""
_TITLE_CHARACTERS = 90
_LONGEST_STEM = 255 - 16
"""Bytes of a file name, without a number and the suffix."""


def write_plot(result: DetectResult, path: str | os.PathLike[str]) -> None:
    """Draw offset and confidence of one video over time into a file, atomically.

    Raises:
        OutputError: The suffix is not known, or the file cannot be written.
    """
    write_charts([detect_chart(result)], path, _title(result.input), printable(sentence(result)))


def write_compare_plot(trials: Sequence[Trial], path: str | os.PathLike[str]) -> None:
    """Draw the offsets of one video over time, a panel a model, into a file, atomically.

    Args:
        trials: One a model, under one condition.
        path: PNG, SVG, PDF or JPEG by its suffix.

    Raises:
        OutputError: The suffix is not known, or the file cannot be written.
    """
    chart = compare_chart(trials, Models.of(trials).names)
    write_charts([chart], path, _title(trials[0].film))


def write_compare_plots(
    trials: Sequence[Trial], metrics: Sequence[Metric], folder: str | os.PathLike[str]
) -> list[Path]:
    """Draw a comparison into a folder that is there: every video, and the metrics that can be drawn.

    Args:
        trials: All of them.
        metrics: Their metrics, of all and by perturbation.
        folder: Gets ``NAME.png`` for each video, ``metrics-context.png``, ``metrics-reliability.png``
            and ``metrics-robustness.png``.

    Returns:
        What was written.

    Raises:
        OutputError: A file cannot be written.
    """
    charts = metric_charts(trials, metrics)
    names = PlotNames(folder, taken=METRIC_PLOTS)
    written = []
    for video, found in plain_trials(trials).items():
        written.append(names.path(video))
        write_compare_plot(found, written[-1])
    for name, (heading, own) in charts.items():
        written.append(Path(folder) / f"{name}.png")
        write_charts(own, written[-1], heading)
    return written


class PlotNames:
    """Names for the plots of videos in a folder: no two are one, also where letters' case is not told apart.

    Args:
        folder: Where the plots go.
        taken: Names that no video gets.
        suffix: What the names end in.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        taken: Iterable[str] = (),
        suffix: str = ".png",
    ) -> None:
        self._folder, self._suffix = Path(folder), suffix
        self._taken = {name.casefold() for name in taken}

    def path(self, video: str) -> Path:
        """A file for a video, ``NAME.png`` unless another suffix was asked for."""
        stem = os.fsencode(Path(video).name)[:_LONGEST_STEM].decode("utf-8", "ignore") or "video"
        name, number = stem, 1
        while name.casefold() in self._taken:
            number += 1
            name = f"{stem}-{number}"
        self._taken.add(name.casefold())
        return self._folder / f"{name}{self._suffix}"


def metric_charts(
    trials: Sequence[Trial], metrics: Sequence[Metric]
) -> dict[str, tuple[str, list[Chart]]]:
    """The charts of a comparison's metrics that can be drawn: name of the file -> heading, charts."""
    models = Models.of(trials)
    names, shown = list(models.names.values()), models.named(metrics)
    context = context_chart(shown, names)
    bins = {models.brief()[name]: found for name, found in reliability(trials).items()}
    charts = {
        "metrics-context": (
            "Accuracy by length of the window, with 95 % intervals",
            [] if context is None else [context],
        ),
        "metrics-reliability": (
            "Reliability of the confidence (dashed: the confidence is the share that is right)",
            reliability_charts(bins, names),
        ),
        "metrics-robustness": (
            "Robustness from mild to severe, with 95 % intervals",
            robustness_charts(shown, names),
        ),
    }
    return {name: found for name, found in charts.items() if found[1]}


def write_charts(charts: Sequence[Chart], path: str | os.PathLike[str], *heading: str) -> None:
    """Draw charts into a file, atomically.

    Raises:
        OutputError: The suffix is not known, or the file cannot be written.
    """
    kind = check_format(path)
    from synctool.report.charts.figures import figure_of, save_figure

    save_figure(figure_of(charts, heading=heading), path, kind)


def _title(name: str) -> str:
    return shortened(printable(Path(name).name or name), _TITLE_CHARACTERS)
