"""What the commands share: printing, the log, the words for an error."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Sequence

import typer

from synctool.errors import EXIT_UNEXPECTED, SyncToolError, described
from synctool.names import printable, printable_lines

DEBUG_ENV = "SYNCTOOL_DEBUG"


def print_text(text: str, *, err: bool = False) -> None:
    """Print lines that may hold names and words of any origin, so that none steers the terminal.

    Args:
        text: One or more lines.
        err: Whether on stderr, in place of stdout.
    """
    typer.echo(printable_lines(text), err=err)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on stdout: drawn on a terminal, in plain aligned columns elsewhere."""
    rows = [[printable(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(*columns, header_style="bold")
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        Console().print(table)
        return
    lines = [[c.upper() for c in columns], *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())


class _ToStderr(logging.Handler):
    """Writes to what ``sys.stderr`` is at the moment, which a progress bar may have replaced."""

    def emit(self, record: logging.LogRecord) -> None:
        print(printable_lines(self.format(record)), file=sys.stderr)


def configure_logging(*, debug: bool) -> None:
    """Send the log of synctool to stderr: warnings, with ``debug`` everything."""
    log = logging.getLogger("synctool")
    log.setLevel(logging.DEBUG if debug else logging.WARNING)
    handler = _ToStderr()
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    log.handlers = [handler]


def show_error(error: Exception, *, debug: bool) -> int:
    """Tell a person on stderr what went wrong and what to do about it.

    Args:
        error: What was raised.
        debug: Whether to show the traceback as well.

    Returns:
        The exit code.
    """
    if debug:
        show_traceback(error)
    if isinstance(error, SyncToolError):
        cause, remedy, code = error.cause, error.remedy, error.exit_code
    else:
        cause = described(error)
        remedy, code = "Run again with --debug to see where.", EXIT_UNEXPECTED
        if debug:
            remedy = None
    # Names, titles and other programs' words may hold what would steer the terminal.
    cause, remedy = printable_lines(cause), remedy and printable_lines(remedy)
    if sys.stderr.isatty():
        _panel(cause, remedy)
    else:
        print(f"error: {cause}", *filter(None, [remedy]), sep="\n", file=sys.stderr)
    return code


def show_traceback(error: Exception) -> None:
    """Print on stderr where an error arose."""
    print(printable_lines("".join(traceback.format_exception(error))), file=sys.stderr)


def _panel(cause: str, remedy: str | None) -> None:
    from rich.console import Console
    from rich.panel import Panel
    from rich.text import Text

    words = Text(cause)
    if remedy:
        words.append("\n" + remedy, style="dim")
    panel = Panel(words, title="Error", title_align="left", border_style="red")
    Console(stderr=True).print(panel)
