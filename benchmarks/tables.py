"""Tables of results: on the terminal by Rich, in the documentation as Markdown between two markers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable

from synctool.errors import MissingError, SyncToolError
from synctool.evaluation.bootstrap import Interval
from synctool.files import write_text

HELD_OUT_SPEAKERS = "benchmarks/held_out_speakers.py"


def markers(script: str) -> tuple[str, str]:
    """The lines between which a script writes."""
    return f"<!-- written by {script}: begin -->", f"<!-- written by {script}: end -->"


BEGIN, END = markers(HELD_OUT_SPEAKERS)


@dataclass
class Table:
    """One table.

    Attributes:
        title: Its name.
        columns: Headings.
        rows: Cells as they are shown.
        note: What the figures are, and what they are not; Markdown.
        heading: Begins a new section of the page.
        after: More Markdown, such as a frame.
    """

    title: str
    columns: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    note: str = ""
    heading: str = ""
    after: str = ""

    def show(self, console: Console) -> None:
        """Print it."""
        if self.heading:
            console.print(f"\n[bold]{self.heading}[/bold]")
        table = RichTable(title=self.title, title_justify="left", caption_justify="left")
        for i, name in enumerate(self.columns):
            table.add_column(name, justify="right" if i else "left")
        for row in self.rows:
            table.add_row(*row)
        console.print(table)
        if self.note:
            console.print(self.note.replace("`", ""), highlight=False, markup=False)

    def markdown(self) -> str:
        """The same for the documentation."""
        lines = [f"### {self.heading}", ""] if self.heading else []
        lines += [f"**{self.title}.** {self.note}".rstrip(), ""]
        lines.append(_row(self.columns))
        lines.append("|" + "---|" * len(self.columns))
        lines += [_row(row) for row in self.rows]
        if self.after:
            lines += ["", self.after]
        return "\n".join(lines) + "\n"


def share(interval: Interval | None) -> str:
    """``0.88 [0.84, 0.92]``."""
    if interval is None:
        return "-"
    return f"{interval.value:.2f} [{interval.low:.2f}, {interval.high:.2f}]"


def kept_interval(kept: Mapping[str, Any]) -> Interval:
    """An interval from a file of figures; those made before say ``mean`` and ``values``."""
    now = {"mean": "value", "values": "count"}
    return Interval(**{now.get(name, name): figure for name, figure in kept.items()})


def drawn(interval: Interval, values: str = "clips") -> str:
    """What the interval was made of, in words; ``values`` says what is counted."""
    if interval.drawn == "people":
        return f"95% intervals by bootstrap over {interval.units} people"
    few = "too few people to draw people"
    return f"95% intervals by bootstrap over {interval.units} {values} ({few})"


def write_section(page: Path, text: str, *, script: str = HELD_OUT_SPEAKERS) -> None:
    """Put text between a script's markers on a page; what stands around them stays.

    Raises:
        MissingError: The page is not there, or has no markers.
    """
    before, after = around_section(page, script=script)
    begin, end = markers(script)
    write_text(page, f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}")


def published(
    given: Any,
    measure: Callable[[], list[dict[str, Any]]],
    table: Callable[[list[dict[str, Any]]], Table],
    *,
    page: Path,
    script: str,
) -> int:
    """Measure, and show the figures as a table; with ``--docs`` on their page, with ``--json`` in a file too.

    Args:
        given: What was asked for: ``docs`` and ``json``.
        measure: Gives the figures.
        table: Makes the table of them.
        page: The page, which is looked at before the work.
        script: Whose section it is.

    Returns:
        The exit code.
    """
    try:
        if given.docs:
            around_section(page, script=script)
        rows = measure()
        made = table(rows)
        made.show(Console(width=160))
        if given.json:
            given.json.write_text(json.dumps(rows, indent=1) + "\n")
        if given.docs:
            write_section(page, made.markdown(), script=script)
    except SyncToolError as error:
        Console(stderr=True).print(f"error: {error}", style="red", highlight=False, markup=False)
        return error.exit_code
    return 0


def around_section(page: Path, *, script: str = HELD_OUT_SPEAKERS) -> tuple[str, str]:
    """What stands before a script's markers on a page, and what stands behind them.

    Raises:
        MissingError: The page is not there, or has no markers.
    """
    begin, end = markers(script)
    old = page.read_text("utf-8") if page.is_file() else ""
    if old.count(begin) != 1 or old.count(end) != 1 or old.index(begin) > old.index(end):
        raise MissingError(
            f"{page} has no place for the results",
            remedy=f"Put these two lines where they shall stand:\n{begin}\n{end}",
        )
    return old.split(begin)[0], old.split(end)[1]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
