"""What videos are like, on the terminal and in files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from synctool.report import scenes
from synctool.report.json_out import clean, dump
from synctool.report.plots import write_charts
from synctool.report.stream import send
from synctool.report.terminal import standard_console, table_view

MOST_VIDEOS = 20
"""Of more a terminal shows only the folders."""


def print_scenes(rows: Sequence[dict[str, Any]], *, console: Console | None = None) -> None:
    """Show the folders, and the videos where they are few; ``console`` is the standard output if none."""
    console = console or standard_console()
    if len(rows) <= MOST_VIDEOS:
        console.print(table_view(scenes.videos_table(rows).trimmed(), console.encoding))
        console.print(Text())
    console.print("Medians over videos:", style="dim", highlight=False)
    console.print(table_view(scenes.folders_table(rows).trimmed(), console.encoding))


def write_scenes(
    rows: Sequence[dict[str, Any]], *, json: str | None, csv: str | None, plot: str | None
) -> None:
    """Write what is wanted.

    Raises:
        OutputError: It cannot be written.
    """
    if json is not None:
        send(json, (dump(clean(scenes.to_dict(rows)), indent=2) + "\n").encode())
    if csv is not None:
        send(csv, scenes.to_csv(rows).encode())
    if plot is not None:
        write_charts(scenes.distribution_charts(rows), plot, f"{len(rows)} videos")
