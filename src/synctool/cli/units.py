"""``synctool units``: speech units of the frames, for training."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from synctool.cli.common import print_text
from synctool.cli.options import Given, JsonFile, Quiet, settings_options
from synctool.cli.outputs import JsonOutput
from synctool.cli.progress import progress_bar
from synctool.settings.units import UnitsSettings


@settings_options(UnitsSettings)
def units(
    given: Given[UnitsSettings],
    processed: Annotated[str, typer.Argument(help="Folder made by synctool preprocess.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="File to write, safetensors.")
    ],
    json: JsonFile = None,
    quiet: Quiet = False,
) -> None:
    """Find speech units, clusters of the audio of every frame, as a second task for train --units.

    Examples:

      synctool units processed/ --out units.safetensors

      synctool units processed/ --features hubert -n 500 --out units.safetensors

    Exit codes: 0 written, 5 something is missing, 2 usage, 1 anything else.
    """
    settings, output = given.settings(), JsonOutput(json, quiet=quiet)
    from synctool.prepare.speech_units import speech_units

    with progress_bar(quiet=quiet) as bar:
        task = bar.add_task("units", total=None, speed="")
        found = speech_units(
            processed,
            out,
            settings,
            on_progress=lambda what, done, total: bar.update(
                task, description=what, completed=done, total=total
            ),
        )
    output.write(asdict(found))
    if output.for_people:
        print_text(
            f"{found.used} of {found.units} units in {found.frames} frames of {found.clips} clips, "
            f"perplexity {found.perplexity:.1f}, {found.changes_per_s:.1f} changes/s: {out}"
        )
