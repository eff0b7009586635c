"""Results in a notebook: a short HTML view, tables of pandas, figures of matplotlib.

The classes of results call these by name, since they stand below this room.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

from markupsafe import Markup

from synctool.errors import UsageError
from synctool.extras import require
from synctool.report.compare_rows import Models, plain_trials
from synctool.report.text import printable
from synctool.report.wording import facts, figures
from synctool.scoring.verdict import sentence
from synctool.types import FRAME_MS, DetectResult, FrameSeries, Trial

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from synctool.comparison.run import Comparison

Table = Literal["frames", "segments", "tracks", "speakers"]
_TABLES = ("frames", "segments", "tracks", "speakers")
_COLOURS = {
    "in sync": "#1a7f37",
    "detectable": "#9a6700",
    "unacceptable": "#cf222e",
    "inconclusive": "#8250df",
}
_MOST_ROWS = 60
_CELL = Markup('<td style="text-align:left">{}</td>')


def result_html(result: DetectResult) -> str:
    """The sentence and the figures of one video, as a part of a page."""
    rows = [(figure.name, figure.line) for figure in figures(result)] + list(facts(result))
    head = Markup('<b>{}</b>: <b style="color:{}">{}</b>').format(
        printable(result.input), _COLOURS[result.verdict], printable(sentence(result))
    )
    return str(Markup("<div>{}{}</div>").format(head, _html_table((), rows)))


def comparison_html(found: Comparison) -> str:
    """A row for every trial, at most 60, as a part of a page."""
    frame_columns = ("film", "model", "condition", "truth_ms", "offset_ms", "confidence", "verdict")
    rows = _trial_rows(found.trials)
    shown = [[_brief(row.get(name)) for name in frame_columns] for row in rows[:_MOST_ROWS]]
    more = f"{len(rows) - _MOST_ROWS} more" if len(rows) > _MOST_ROWS else ""
    return str(Markup("<div>{}{}</div>").format(_html_table(frame_columns, shown), more))


def result_dataframe(result: DetectResult, table: Table) -> DataFrame:
    """One of the tables of a video.

    Args:
        result: The result.
        table: Which one.

    Raises:
        MissingError: pandas is not installed.
        UsageError: There is no such table.
    """
    if table not in _TABLES:
        raise UsageError(f"no table {table!r}", remedy=f"Give one of {', '.join(_TABLES)}.")
    pandas = _pandas()
    if table == "frames":
        return pandas.DataFrame(_frame_columns(result.frames))
    rows: Sequence[Any] = getattr(result, table) or ()
    made = pandas.DataFrame([asdict(row) for row in rows])
    if "offset_frames" in made:
        made["offset_frames"] = made["offset_frames"].astype(float)
        made.insert(
            made.columns.get_loc("offset_frames") + 1, "offset_ms", made["offset_frames"] * FRAME_MS
        )
    return made


def comparison_dataframe(found: Comparison) -> DataFrame:
    """A row for every trial: the columns of ``compare --csv``.

    Raises:
        MissingError: pandas is not installed.
    """
    from synctool.report.compare_out import TRIAL_COLUMNS

    return _pandas().DataFrame(_trial_rows(found.trials), columns=list(TRIAL_COLUMNS))


def result_figure(result: DetectResult) -> Figure:
    """Offset and confidence over time.

    Raises:
        MissingError: matplotlib is not installed.
    """
    require("plot", "plot()")
    from synctool.report.charts.figures import figure_of
    from synctool.report.charts.offsets import detect_chart

    heading = (printable(result.input), printable(sentence(result)))
    return figure_of([detect_chart(result)], heading=heading)


def comparison_figure(found: Comparison, video: str | None) -> Figure:
    """The offsets of one video over time, a panel a model.

    Raises:
        MissingError: matplotlib is not installed.
        UsageError: There is no such video.
    """
    require("plot", "plot()")
    from synctool.report.charts.figures import figure_of
    from synctool.report.charts.offsets import compare_chart

    videos: Mapping[str, Sequence[Trial]] = plain_trials(found.trials)
    name = next(iter(videos), "") if video is None else video
    if name not in videos:
        raise UsageError(f"no video {name!r} was compared as it is", remedy="Give one that was.")
    chart = compare_chart(videos[name], Models.of(found.trials).names)
    return figure_of([chart], heading=(printable(name),))


def _frame_columns(frames: FrameSeries) -> dict[str, list[float]]:
    offsets = [float("nan") if x is None else x for x in frames.offset_frames]
    return {
        "t_s": list(frames.t_s),
        "offset_frames": offsets,
        "offset_ms": [x * FRAME_MS for x in offsets],
        "confidence": [float("nan") if x is None else x for x in frames.confidence],
    }


def _trial_rows(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    from synctool.report.compare_out import trial_row
    from synctool.report.compare_rows import names_of

    names = names_of(trials)
    return [trial_row(trial, names) for trial in trials]


def _brief(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if isinstance(value, float) else printable(str(value))


def _html_table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    head = Markup("").join(Markup("<th>{}</th>").format(name) for name in heading)
    lines = [
        Markup("<tr>{}</tr>").format(Markup("").join(_CELL.format(cell) for cell in row))
        for row in rows
    ]
    return Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(
        head, Markup("").join(lines)
    )


def _pandas() -> Any:
    require("notebook", "to_dataframe()")
    import pandas

    return pandas
