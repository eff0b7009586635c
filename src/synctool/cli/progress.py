"""Progress on stderr: a bar with speed and time left on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress


_MARGIN = 3


@contextmanager
def progress_bar(*, quiet: bool, unit: str = "") -> Iterator[Progress]:
    """A bar that disappears when the work ends.

    Args:
        quiet: Show nothing.
        unit: Filled into the field ``speed`` by the caller, for example ``x real time``.
    """
    from rich.console import Console, ConsoleDimensions
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    class WithMargin(Console):
        """Room for the ``^C`` of a terminal, which would wrap and keep the line from being cleared."""

        @property
        def size(self) -> ConsoleDimensions:
            width, height = super().size
            return ConsoleDimensions(max(width - _MARGIN, 1), height)

    console = WithMargin(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),  # empty while the length is not known
        TextColumn(f"{{task.fields[speed]}}{unit}"),
        TimeElapsedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
    )
    shown = not quiet and sys.stderr.isatty()
    with Progress(*columns, console=console, transient=True, disable=not shown) as bar:
        yield bar
