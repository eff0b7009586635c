"""``synctool pairs``: splits by person, and labelled pairs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from synctool.cli.common import JsonFlag, print_json, print_table, print_text, setting_option
from synctool.cli.progress import progress_bar
from synctool.errors import UsageError
from synctool.settings import table as config


def pairs(
    processed: Annotated[
        str, typer.Argument(help="Folder made by synctool preprocess, or its address.")
    ],
    out: Annotated[
        str | None,
        typer.Option(
            help="Name of the files, .json, .csv or .parquet: NAME.csv makes NAME_train.csv and so "
            "on; pairs.json in the processed folder unless given."
        ),
    ] = None,
    max_offset: Annotated[int | None, setting_option("pairs", "max_offset", "-k")] = None,
    offsets: Annotated[str | None, setting_option("pairs", "offsets")] = None,
    negatives_per_clip: Annotated[int | None, setting_option("pairs", "negatives_per_clip")] = None,
    hard_negatives: Annotated[int | None, setting_option("pairs", "hard_negatives")] = None,
    other_speaker: Annotated[int | None, setting_option("pairs", "other_speaker")] = None,
    val_fraction: Annotated[float | None, setting_option("pairs", "val_fraction")] = None,
    test_fraction: Annotated[float | None, setting_option("pairs", "test_fraction")] = None,
    unnamed: Annotated[str | None, setting_option("pairs", "unnamed")] = None,
    seed: Annotated[int | None, setting_option("pairs", "seed")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the statistics and write nothing.")
    ] = False,
    json: JsonFlag = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Decide by person who trains and who tests, and list pairs of picture and moved sound.

    Examples:

      synctool pairs processed/ --test-fraction 0

      synctool pairs processed/ --out lists/pairs.csv --hard-negatives 2 --other-speaker 1

      synctool pairs processed/ --out lists/fixed.parquet --offsets -5,5,10
    """
    given = {
        "max_offset": max_offset, "offsets": offsets, "negatives_per_clip": negatives_per_clip,
        "hard_negatives": hard_negatives, "other_speaker": other_speaker,
        "val_fraction": val_fraction, "test_fraction": test_fraction, "unnamed": unnamed,
        "seed": seed,
    }  # fmt: skip
    settings = config.resolve("pairs", given)
    if offsets not in (None, "random") and negatives_per_clip is not None:
        raise UsageError(
            "--offsets says which moved pairs a clip gets, and so does --negatives-per-clip",
            remedy="Give one of the two.",
        )
    from synctool.prepare.pairs import PairsSettings
    from synctool.prepare.pairs import pairs as run

    with progress_bar(quiet=quiet) as bar:
        task = bar.add_task("pairs", total=None, speed="")
        stats = run(
            processed, out, PairsSettings(**settings.as_dict()), dry_run=dry_run,
            on_progress=lambda what, done, total: bar.update(
                task, description=what, completed=done, total=total
            ),
        )  # fmt: skip
    if json:
        print_json(stats)
    elif not quiet:
        _show(stats, written=not dry_run)


def _show(stats: dict[str, Any], *, written: bool) -> None:
    splits = stats["splits"]
    columns = ["split", *splits["train"]]
    print_table(columns, [[name, *map(str, row.values())] for name, row in splits.items()])
    for note in stats["notes"]:
        print_text(f"note: {note}", err=True)
    if not written:
        print_text("nothing is written (--dry-run)", err=True)
