"""Progress on stderr: a bar with speed and time left on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from synctool.names import printable

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn


_MARGIN = 3


@contextmanager
def progress_bar(*, quiet: bool, unit: str = "") -> Iterator[Progress]:
    """A bar that disappears when the work ends.

    Args:
        quiet: Show nothing.
        unit: Filled into the field ``speed`` by the caller, for example ``x real time``.
    """
    from rich.progress import (
        BarColumn,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        _words("description"),
        BarColumn(),
        TaskProgressColumn(),  # empty while the length is not known
        TextColumn(f"{{task.fields[speed]}}{unit}"),
        TimeElapsedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
    )
    with _bar(columns, quiet=quiet) as bar:
        yield bar


@contextmanager
def bytes_bar(*, quiet: bool) -> Iterator[Progress]:
    """The same for bytes that come: how many, how fast, and how long yet.

    Args:
        quiet: Show nothing.
    """
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        _words("description"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
        _words("fields[note]"),
    )
    with _bar(columns, quiet=quiet) as bar:
        yield bar


def _words(field: str) -> ProgressColumn:
    """A column of words of any origin, such as file names."""
    from rich.progress import Task, TextColumn
    from rich.text import Text

    class Words(TextColumn):
        def render(self, task: Task) -> Text:
            return Text(printable(super().render(task).plain))

    return Words(f"{{task.{field}}}", markup=False)


def _bar(columns: tuple[ProgressColumn, ...], *, quiet: bool) -> Progress:
    from rich.console import Console, ConsoleDimensions
    from rich.progress import Progress

    class WithMargin(Console):
        """Room for the ``^C`` of a terminal, which would wrap and keep the line from being cleared."""

        @property
        def size(self) -> ConsoleDimensions:  # pyright: ignore[reportIncompatibleMethodOverride]
            width, height = super().size
            return ConsoleDimensions(max(width - _MARGIN, 1), height)

    console = WithMargin(stderr=True)
    shown = not quiet and sys.stderr.isatty()
    return Progress(*columns, console=console, transient=True, disable=not shown)
