"""What ``verify`` says of a video, for the terminal and for pages."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from synctool.measure.verify import Verification
from synctool.report.charts.authenticity import authenticity_chart
from synctool.report.outcome import Failure
from synctool.report.plots import write_charts
from synctool.report.tables import Cell, Column, Table, name_cell, words_cell
from synctool.report.terminal import facts_grid, standard_console, terminal_text
from synctool.report.text import NOTHING, clock, plain, printable, shortened
from synctool.types import Authentic, Authenticity, AuthenticitySpan, ScoreInterval

WORDS: dict[Authentic, str] = {
    "natural": "lips and voice belong together",
    "offset": "lips and voice belong together, at an offset",
    "dubbed": "the audio is likely not that of these lips (dubbed, or a voice-over)",
    "reanimated": "the lips are suspected to be generated or re-animated",
    "cannot tell": "the sync alone does not say",
}
SIGNS = {
    "still": "lips still in speech",
    "silent": "lips move in silence",
    "again": "lips repeat, look for look",
    "elsewhere": "matches the audio at another offset",
}
NO_PROOF = (
    "Evidence from the sync alone, and no proof: generated lips that follow the audio well are not seen, "
    "and natural ones may be suspected."
)
STYLES: dict[str, str] = {
    "natural": "bold green",
    "offset": "bold yellow",
    "dubbed": "bold red",
    "reanimated": "bold red",
    "cannot tell": "bold magenta",
    "failed": "bold red",
}
_MOST_SIGNS = 12
_LONGEST_TITLE = 90


def score_words(score: ScoreInterval | None) -> str:
    """``0.93 (0.88 to 0.97)``."""
    if score is None:
        return NOTHING
    return f"{plain(score.value, 2)} ({plain(score.low, 2)} to {plain(score.high, 2)})"


def figures(found: Authenticity) -> list[tuple[str, str, str]]:
    """Name, value and note of the figures of a video."""
    return [
        ("dub score", score_words(found.dub), "probability that the audio is not that of the lips"),
        (
            "re-animation score",
            score_words(found.reanimation),
            "probability that the lips are not those of the face",
        ),
    ]


def spans_table(spans: Sequence[AuthenticitySpan], anchor: str = "spans") -> Table:
    """The spans of a video."""
    columns = [Column("Face", True), Column("From", True), Column("To", True), Column("Verdict")]
    columns += [Column("Dub", True), Column("Re-animated", True), Column("Speech, s", True)]
    columns += [Column("Why")]
    rows = [
        [
            Cell(str(span.track), sort=span.track, kind="number"),
            Cell(clock(span.start_s), sort=span.start_s, kind="number"),
            Cell(clock(span.end_s), sort=span.end_s, kind="number"),
            Cell(span.verdict, sort=span.verdict),
            _score_cell(span.dub),
            _score_cell(span.reanimation),
            Cell(plain(span.speech_s, 1), sort=span.speech_s, kind="number"),
            words_cell(" ".join(span.reasons)),
        ]
        for span in spans
    ]
    return Table(anchor, "Faces and spans", columns, rows, sortable=len(rows) > 1)


def signs_table(found: Authenticity, anchor: str = "signs") -> Table:
    """What is worth a look."""
    columns = [Column("Face", True), Column("From", True), Column("To", True), Column("What")]
    rows = [
        [
            Cell(str(sign.track), sort=sign.track, kind="number"),
            Cell(clock(sign.start_s), sort=sign.start_s, kind="number"),
            Cell(clock(sign.end_s), sort=sign.end_s, kind="number"),
            words_cell(SIGNS[sign.kind]),
        ]
        for sign in found.signs
    ]
    return Table(anchor, "Worth a look", columns, rows, sortable=len(rows) > 1)


def summary_table(
    outcomes: Sequence[Verification | Failure], link: Callable[[int], str] | None = None
) -> Table:
    """Several videos, one row each.

    Args:
        outcomes: Results and failures.
        link: Anchor of a result by its number, from 1; none are linked without it.
    """
    columns = [Column("Video"), Column("Verdict"), Column("Dub", True), Column("Why")]
    rows = []
    for number, outcome in enumerate(outcomes, 1):
        if isinstance(outcome, Failure):
            rows.append(
                [
                    name_cell(outcome.input),
                    Cell("failed"),
                    Cell(NOTHING),
                    words_cell(outcome.remark),
                ]
            )
            continue
        found = outcome.authenticity
        rows.append(
            [
                name_cell(outcome.input, link=link(number) if link else None),
                Cell(found.verdict, sort=found.verdict),
                _score_cell(found.dub),
                words_cell(found.reasons[-1] if found.reasons else ""),
            ]
        )
    return Table("videos", "Videos", columns, rows)


def print_result(outcome: Verification, *, console: Console | None = None) -> None:
    """Show all about one video; ``console`` is one on the standard output unless given."""
    console = console or standard_console()
    console.print(result_view(outcome, console.encoding))


def print_summary(
    outcomes: Sequence[Verification | Failure], *, console: Console | None = None
) -> None:
    """Show several videos, one row each; ``console`` is one on the standard output unless given."""
    console = console or standard_console()
    console.print(_view(summary_table(outcomes), console.encoding))


def result_view(outcome: Verification, encoding: str = "utf-8") -> RenderableType:
    """The sentence, the reasons and the tables of one video."""
    found = outcome.authenticity
    heading = Text.assemble(
        (printable(outcome.input, encoding), "bold"),
        ": ",
        (f"{found.verdict}: {WORDS[found.verdict]}", STYLES[found.verdict]),
    )
    reasons = [Text(f"  {terminal_text(reason, encoding)}") for reason in found.reasons]
    grid = facts_grid(((n, f"{value}: {note}") for n, value, note in figures(found)), encoding)
    parts: list[RenderableType] = [heading, *reasons, grid]
    if len(found.spans) > 1:
        table = spans_table(found.spans).only("Face", "From", "To", "Verdict", "Dub", "Re-animated")
        parts += [Text(), _view(table, encoding)]
    if found.signs:
        table = signs_table(found)
        more = len(table.rows) - _MOST_SIGNS
        kept = Table(table.id, table.caption, table.columns, table.rows[:_MOST_SIGNS])
        parts += [Text(), _view(kept, encoding)]
        if more > 0:
            parts.append(Text(f"and {more} more: --json or --html has all", style="dim"))
    return Group(*parts, Text(), Text(NO_PROOF, style="dim"))


def write_plot(outcome: Verification, path: str | os.PathLike[str]) -> None:
    """Draw scores, offset and mouth of one video over time into a file, atomically.

    Raises:
        OutputError: The suffix is not known, or the file cannot be written.
    """
    found = outcome.authenticity
    title = shortened(printable(os.path.basename(outcome.input)), _LONGEST_TITLE)
    said = f"{found.verdict}: {WORDS[found.verdict]}"
    write_charts([authenticity_chart(outcome)], path, title, said)


def _score_cell(score: ScoreInterval | None) -> Cell:
    return Cell(score_words(score), sort=None if score is None else score.value, kind="number")


def _view(table: Table, encoding: str) -> RenderableType:
    view = Grid(header_style="bold", box=None, pad_edge=False)
    for number, column in enumerate(table.columns):
        view.add_column(
            column.title, justify="right" if column.numeric and number else "left", overflow="fold"
        )
    for row in table.rows:
        view.add_row(*(Text(terminal_text(c.text, encoding), STYLES.get(c.text, "")) for c in row))
    return view
