"""Results on a terminal: a sentence to act on, then the figures.

File names are shown as they are: nothing in them is read as markup, and what a terminal cannot show
is escaped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from synctool.report import tables
from synctool.report.channel_tables import channels_table, directions_table
from synctool.report.detect_tables import (
    several_speakers,
    spans_table,
    speakers,
    speakers_table,
    summary,
    turns_table,
)
from synctool.report.outcome import Failure, Outcome
from synctool.report.text import MINUS, NOTHING, counted, printable
from synctool.report.wording import facts, figures
from synctool.scoring.verdict import SMALL_COVERAGE, sentence
from synctool.types import DetectResult

STYLES = {
    "in sync": "bold green",
    "detectable": "bold yellow",
    "unacceptable": "bold red",
    "inconclusive": "bold magenta",
    "failed": "bold red",
}

MOST_TURNS = 20
"""Of more turns a terminal shows only who speaks how long."""
_PIPE_WIDTH = 240
_FOLDED = ("Video", "Remark")
_SIGNS = str.maketrans({MINUS: "-", NOTHING: "-", "×": "x"})


def print_result(result: DetectResult, *, console: Console | None = None) -> None:
    """Show all about one video; ``console`` is one on the standard output unless given."""
    console = console or standard_console()
    console.print(result_view(result, console.encoding))


def print_summary(outcomes: Sequence[Outcome], *, console: Console | None = None) -> None:
    """Show several videos, one row each; ``console`` is one on the standard output unless given."""
    console = console or standard_console()
    console.print(summary_view(outcomes, console.encoding))
    console.print(tally("failed" if isinstance(o, Failure) else o.verdict for o in outcomes))


def tally(kinds: Iterable[str]) -> str:
    """How many videos there are of each kind: ``3 videos: 2 in sync, 1 failed``."""
    counts = Counter(kinds)
    each = ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
    return f"{counted(counts.total(), 'video')}: {each}"


def result_view(result: DetectResult, encoding: str = "utf-8") -> RenderableType:
    """The sentence and the tables of one video, for any console of that encoding."""
    heading = Text.assemble(
        (printable(result.input, encoding), "bold"),
        ": ",
        (printable(sentence(result), encoding), STYLES[result.verdict]),
    )
    shown = [(figure.name, figure.line) for figure in figures(result)]
    grid = facts_grid([*shown, *facts(result)], encoding)
    for warning in result.source.warnings:
        grid.add_row("warning", Text(printable(warning, encoding), style="yellow"))
    parts: list[RenderableType] = [heading, grid]
    if len(result.segments) > 1 or 0 < result.verdict_coverage < SMALL_COVERAGE:
        parts += [Text(), table_view(spans_table("", "Segments", result.segments), encoding)]
    if len(result.tracks) > 1:
        faces = spans_table("", "Faces", result.tracks, speaking=speakers(result))
        parts += [Text(), table_view(faces, encoding)]
    if result.audio_channels:
        parts += [Text(), table_view(channels_table(result), encoding)]
    if result.audio_direction and result.audio_direction.speakers:
        parts += [Text(), table_view(directions_table(result), encoding)]
    if several_speakers(result):
        parts += [Text(), table_view(speakers_table("", "Speakers", result), encoding)]
        if len(result.speakers or ()) <= MOST_TURNS:
            parts += [Text(), table_view(turns_table("", "Turns", result), encoding)]
    return Group(*parts)


def summary_view(outcomes: Iterable[Outcome], encoding: str = "utf-8") -> RenderableType:
    """One row per video: name, verdict, offset, confidence, remark or cause of failure."""
    columns = ("Video", "Verdict", "Audio", "Confidence", "Remark")
    return table_view(summary(outcomes).only(*columns), encoding)


def table_view(table: tables.Table, encoding: str = "utf-8") -> RenderableType:
    """A table; the caption stands above the first column where that is a number."""
    view = Table(header_style="bold", box=None, pad_edge=False)
    for number, column in enumerate(table.columns):
        title = table.caption if number == 0 and column.numeric else column.title
        view.add_column(
            title,
            justify="right" if column.numeric and number else "left",
            no_wrap=column.title not in _FOLDED,
            overflow="fold",
        )
    for row in table.rows:
        style = next((STYLES[cell.text] for cell in row if cell.kind == "verdict"), "")
        view.add_row(
            *(
                Text(terminal_text(cell.text, encoding), style if cell.kind == "verdict" else "")
                for cell in row
            )
        )
    return view


def facts_grid(rows: Iterable[tuple[str, str]], encoding: str = "utf-8") -> Table:
    """Names and what is to be said of each, in two columns."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(name, Text(terminal_text(value, encoding)))
    return grid


def terminal_text(text: str, encoding: str) -> str:
    """Words that are safe to show, with signs that any terminal has."""
    return printable(text.translate(_SIGNS), encoding)


def standard_console() -> Console:
    """The standard output; wide where nobody's window cuts the lines, so that none is folded."""
    console = Console()
    return console if console.is_terminal else _PipeConsole(width=_PIPE_WIDTH)


class _PipeConsole(Console):
    """Writes no spaces at the ends of lines, which tables are filled up with."""

    def print(self, *objects: Any, **how: Any) -> None:
        """See ``rich.console.Console.print``."""
        with self.capture() as written:
            super().print(*objects, **how)
        self.file.write("\n".join(line.rstrip() for line in written.get().split("\n")))
