"""``synctool train``: processed videos to weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synctool.cli.common import print_text
from synctool.cli.options import Given, Quiet, settings_options
from synctool.errors import no_effect
from synctool.extras import require
from synctool.settings.train import TrainSettings


@settings_options(TrainSettings)
def train(
    given: Given[TrainSettings],
    config_file: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="Take the settings from this TOML file; flags win.",
            readable=False,
        ),
    ] = None,
    print_config: Annotated[
        bool,
        typer.Option("--print-config", help="Print the settings as TOML for --config, and exit."),
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Check settings and data, show what would be trained.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Train a model on processed videos.

    Examples:

      synctool train --data processed/ --out runs/first

      synctool train --config runs/first/config.toml --out runs/second --seed 1

    Run it again with the same folder after an interruption: it continues from the last checkpoint. Several
    devices: --devices N, or torchrun --nproc-per-node N -m synctool train ...

    Exit codes: 0 trained, 5 something is missing, 2 usage, 1 anything else; 130 after Ctrl-C, saved.
    """
    settings = given.settings(file=config_file)
    if print_config and check:
        raise no_effect("--check", "with --print-config")
    require("train", "training", "torch", "lightning_fabric")
    from synctool.training import train as engine

    if print_config:
        typer.echo(engine.settings_toml(settings), nl=False)
        return
    from synctool.cli.train_text import TrainBar, show_plan, use_of

    if check:
        show_plan(engine.check_training(settings=settings))
        return
    try:
        with TrainBar(quiet=quiet, steps_per_epoch=settings.steps_per_epoch) as bar:
            weights = engine.train(settings=settings, on_progress=bar)
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(
            "Stopped, and saved. Run the same command again to go on."
        ) from stop
    if not quiet and engine.is_first_process():
        print_text(f"weights: {weights}\n{use_of(weights, settings.backbone)}")
