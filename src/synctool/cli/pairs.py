"""``synctool pairs``: splits by person, and labelled pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synctool import config
from synctool.cli.common import JsonFlag, print_json, print_table, setting_option


def pairs(
    processed: Annotated[Path, typer.Argument(help="Folder made by synctool preprocess.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for the files; the processed folder unless given.")
    ] = None,
    max_offset: Annotated[int | None, setting_option("pairs", "max_offset", "-k")] = None,
    val_fraction: Annotated[float | None, setting_option("pairs", "val_fraction")] = None,
    test_fraction: Annotated[float | None, setting_option("pairs", "test_fraction")] = None,
    negatives_per_clip: Annotated[int | None, setting_option("pairs", "negatives_per_clip")] = None,
    seed: Annotated[int | None, setting_option("pairs", "seed")] = None,
    json: JsonFlag = False,
) -> None:
    """Decide by person who trains and who tests, and list pairs of picture and moved sound.

    Example:

      synctool pairs processed/ --test-fraction 0
    """
    settings = config.resolve(
        "pairs",
        {
            "max_offset": max_offset, "val_fraction": val_fraction, "test_fraction": test_fraction,
            "negatives_per_clip": negatives_per_clip, "seed": seed,
        },
    )  # fmt: skip
    from synctool.engine.pairs import pairs as run

    summary = run(processed, out or processed, **settings.as_dict())
    if json:
        print_json(summary)
    else:
        rows = [[name, *(str(n) for n in counts.values())] for name, counts in summary.items()]
        print_table(["split", "clips", "people", "pairs"], rows)
