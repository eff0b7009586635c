"""Tables as plain data: pages lay them out with templates, the terminal with rich."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from synctool.report.text import NOTHING, known, percent, plain, printable
from synctool.scoring.verdict import in_words
from synctool.types import FRAME_MS


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: What stands in it.
        sort: What it is sorted by; None stands last either way. Without it (""), its text.
        kind: Classes for the style sheet.
        link: Anchor of a section of the page that it leads to, if any.
        model: Number of the model whose line stands before the text, if any.
    """

    text: str
    sort: float | str | None = ""
    kind: str = ""
    link: str | None = None
    model: int | None = None


UNKNOWN = Cell(NOTHING, sort=None, kind="number none")


@dataclass(frozen=True)
class Column:
    """One column: its title, and whether it holds numbers, which stand at the right."""

    title: str
    numeric: bool = False
    hint: str = ""


@dataclass(frozen=True)
class Table:
    """A table that a page can sort by its columns, and filter if it is long.

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
        return self._with(
            i
            for i in range(len(self.columns))
            if i == 0 or any(row[i].text not in ("", NOTHING) for row in self.rows)
        )

    def only(self, *titles: str) -> Table:
        """The same with the columns of these titles."""
        return self._with(i for i, column in enumerate(self.columns) if column.title in titles)

    def _with(self, columns: Iterable[int]) -> Table:
        kept = list(columns)
        return replace(
            self,
            columns=[self.columns[i] for i in kept],
            rows=[[row[i] for i in kept] for row in self.rows],
            choices=[kept.index(i) for i in self.choices if i in kept],
        )

    def values_of(self, column: int) -> list[str]:
        """The different values of a column, for a list to choose from."""
        return sorted({str(row[column].sort or row[column].text) for row in self.rows})


def name_cell(name: str, *, link: str | None = None) -> Cell:
    """The name of a video, safe to show; long ones may break."""
    return Cell(printable(name) or "(no name)", sort=printable(name), kind="name", link=link)


def model_cell(name: str, number: int) -> Cell:
    """The name of a model, with a piece of its line on a page."""
    return Cell(printable(name), sort=printable(name), kind="model", model=number)


def words_cell(text: str) -> Cell:
    """A sentence."""
    return Cell(printable(text), sort=printable(text) or None, kind="words")


def number_cell(value: float | None, digits: int, unit: str = "", *, sign: bool = False) -> Cell:
    """A number, a dash where there is none."""
    if not known(value):
        return UNKNOWN
    return Cell(plain(value, digits, sign=sign) + unit, sort=float(value), kind="number")


def offset_cell(offset_frames: float | None) -> Cell:
    """An offset in words, sorted by its value."""
    if not known(offset_frames):
        return UNKNOWN
    offset_ms = offset_frames * FRAME_MS
    return Cell(in_words(offset_ms), sort=round(offset_ms, 1), kind="number")


def share_cell(share: float | None) -> Cell:
    """A share in per cent."""
    if not known(share):
        return UNKNOWN
    return Cell(percent(share), sort=round(share, 4), kind="number")


def verdict_cell(verdict: str) -> Cell:
    """A verdict, which a page and a terminal show in its colour."""
    return Cell(verdict, sort=verdict, kind="verdict")
