"""Parts of a page as plain data, which the templates lay out: figures, tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from synctool.report.charts.description import Look
from synctool.report.charts.svg import element, swatch
from synctool.report.text import NOTHING, known, percent, plain, printable
from synctool.scoring.verdict import in_words
from synctool.types import FRAME_MS

SIGNS = {
    "in sync": "●",
    "detectable": "▲",
    "unacceptable": "■",
    "inconclusive": "○",
    "failed": "✕",
}
"""A shape for each verdict, so that none is known by its colour alone."""


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: What stands in it.
        sort: What it is sorted by; None stands last either way. Without it (""), its text.
        kind: Classes for the style sheet.
    """

    text: str | Markup
    sort: float | str | None = ""
    kind: str = ""


@dataclass(frozen=True)
class Column:
    """One column: its title, and whether it holds numbers, which stand at the right."""

    title: str
    numeric: bool = False
    hint: str = ""


@dataclass(frozen=True)
class Table:
    """A table that can be sorted by its columns, and filtered if it is long.

    Attributes:
        id: Anchor.
        caption: What it lists.
        columns: Its columns; the first names the row.
        rows: Cells, as many as there are columns.
        sortable: Whether there are enough rows to sort.
        choices: Numbers of columns whose values can be chosen from a list.
    """

    id: str
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    sortable: bool = True
    choices: Sequence[int] = ()

    @property
    def filtered(self) -> bool:
        """Whether it gets a field to filter it by."""
        return self.sortable and len(self.rows) > 11

    def trimmed(self) -> Table:
        """The same without columns in which there is nothing at all, the first apart."""
        kept = [
            i
            for i in range(len(self.columns))
            if i == 0 or any(str(row[i].text) not in ("", NOTHING) for row in self.rows)
        ]
        return replace(
            self,
            columns=[self.columns[i] for i in kept],
            rows=[[row[i] for i in kept] for row in self.rows],
            choices=[kept.index(i) for i in self.choices if i in kept],
        )

    def values_of(self, column: int) -> list[str]:
        """The different values of a column, for a list to choose from."""
        return sorted({str(row[column].sort or row[column].text) for row in self.rows})


@dataclass(frozen=True)
class Figure:
    """One figure in large, with its name and a line that explains it."""

    name: str
    value: str
    unit: str = ""
    note: str = ""
    kind: str = ""


def name_cell(name: str, *, link: str | None = None) -> Cell:
    """The name of a film, safe to show; long ones may break."""
    words = element("bdi", printable(name) or "(no name)")
    if link:
        words = element("a", words, href=f"#{link}")
    return Cell(words, sort=printable(name), kind="name")


def model_cell(name: str, number: int) -> Cell:
    """The name of a model, with a piece of its line."""
    words = Markup("{} {}").format(swatch(Look("line", number)), printable(name))
    return Cell(words, sort=printable(name), kind="model")


def number_cell(value: float | None, digits: int, unit: str = "", *, sign: bool = False) -> Cell:
    """A number, a dash where there is none."""
    if not known(value):
        return Cell(NOTHING, sort=None, kind="number none")
    return Cell(plain(value, digits, sign=sign) + unit, sort=float(value), kind="number")


def offset_cell(offset_frames: float | None) -> Cell:
    """An offset in words, sorted by its value."""
    if not known(offset_frames):
        return Cell(NOTHING, sort=None, kind="number none")
    offset_ms = offset_frames * FRAME_MS
    return Cell(in_words(offset_ms), sort=round(offset_ms, 1), kind="number")


def share_cell(share: float | None) -> Cell:
    """A share in per cent."""
    if not known(share):
        return Cell(NOTHING, sort=None, kind="number none")
    return Cell(percent(share), sort=round(share, 4), kind="number")


def verdict_cell(verdict: str) -> Cell:
    """A verdict with its sign and its colour."""
    return Cell(verdict_mark(verdict), sort=verdict, kind="verdict")


def verdict_mark(verdict: str) -> Markup:
    """The sign and the word of a verdict."""
    sign = element("span", SIGNS.get(verdict, ""), class_="sign", aria_hidden="true")
    return element("span", sign, f" {verdict}", class_=f"mark {verdict_class(verdict)}")


def verdict_class(verdict: str) -> str:
    """The class of a verdict's colour."""
    return "v-" + verdict.replace(" ", "-")
