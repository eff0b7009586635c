"""``synctool stats``: what measured videos are like."""

from __future__ import annotations

from typing import Annotated

import typer

from synctool.cli.options import Quiet, result_option
from synctool.cli.outputs import Outputs

JSON, CSV = "--json", "--csv"


def stats(
    results: Annotated[
        list[str],
        typer.Argument(help="Files that detect --json wrote.", show_default=False),
    ],
    json: Annotated[str | None, result_option(JSON, "All of it as JSON; - for stdout.")] = None,
    csv: Annotated[str | None, result_option(CSV, "A row per video; - for stdout.")] = None,
    plot: Annotated[
        str | None, result_option("--plot", "How many videos have which value, as a chart.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Show what measured videos are like: shots, faces, speech, loudness, noise, by video and by folder.

    Examples:

      synctool detect interviews/ --json interviews.jsonl

      synctool stats interviews.jsonl --csv stats.csv --plot stats.png

    No video is read again: all of it is noted while detect measures. docs/stats.md says what each figure is.

    Exit codes: 0 shown, 5 a file is missing, 2 usage, 1 it holds no results.
    """
    outputs = Outputs({JSON: json, CSV: csv}, plot=plot, one=True, kept=results, quiet=quiet)
    outputs.check()
    from synctool.report.scenes import read_results, rows_of
    from synctool.report.scenes_out import print_scenes, write_scenes

    rows = rows_of(read_results(results))
    if outputs.for_people:
        print_scenes(rows)
    write_scenes(rows, json=json, csv=csv, plot=plot)
