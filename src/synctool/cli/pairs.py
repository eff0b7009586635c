"""``synctool pairs``: splits by speaker, and labelled pairs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from synctool.cli.common import print_table, print_text
from synctool.cli.options import Given, JsonFile, Quiet, settings_options
from synctool.cli.outputs import JsonOutput
from synctool.cli.progress import progress_bar
from synctool.errors import no_effect
from synctool.settings.pairs import PairsSettings


@settings_options(PairsSettings)
def pairs(
    given: Given[PairsSettings],
    processed: Annotated[
        str, typer.Argument(help="Folder made by synctool preprocess, or its address.")
    ],
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Name of the files, .json, .csv or .parquet: NAME.csv makes NAME_train.csv and so "
            "on (default: pairs.json in the processed folder).",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the statistics and write nothing.")
    ] = False,
    json: JsonFile = None,
    quiet: Quiet = False,
) -> None:
    """Split by speaker for training, validation and test, and list pairs of video and shifted audio.

    Examples:

      synctool pairs processed/ --test-fraction 0

      synctool pairs processed/ --out lists/pairs.csv --hard-negatives 2

      synctool pairs processed/ --out lists/fixed.parquet --offsets -5,5,10

    Exit codes: 0 written, 5 something is missing, 2 usage, 1 anything else.
    """
    settings, output = given.settings(), JsonOutput(json, quiet=quiet)
    if dry_run and out is not None:
        raise no_effect("--out", "with --dry-run")
    from synctool.prepare.pairs import pairs as run

    with progress_bar(quiet=quiet) as bar:
        task = bar.add_task("pairs", total=None, speed="")
        stats = run(
            processed,
            out,
            settings,
            dry_run=dry_run,
            on_progress=lambda what, done, total: bar.update(
                task, description=what, completed=done, total=total
            ),
        )
    output.write(stats)
    if output.for_people:
        _show(stats, written=not dry_run)


_SHOWN = {"films": "videos"}
"""Names of columns where they differ from those in the file of statistics."""


def _show(stats: dict[str, Any], *, written: bool) -> None:
    splits = stats["splits"]
    columns = ["split", *(_SHOWN.get(name, name) for name in splits["train"])]
    print_table(columns, [[name, *map(str, row.values())] for name, row in splits.items()])
    for note in stats["notes"]:
        print_text(f"note: {note}", err=True)
    if not written:
        print_text("nothing is written (--dry-run)", err=True)
