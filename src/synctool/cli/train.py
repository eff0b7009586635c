"""``synctool train``: processed films to weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from synctool.cli.common import print_text
from synctool.cli.settings import settings_options
from synctool.errors import UsageError
from synctool.extras import require
from synctool.settings import table as config


@settings_options("train", {"backbone": "-b", "max_offset": "-k"})
def train(
    given: dict[str, Any],
    config_file: Annotated[
        Path | None,
        typer.Option("--config", help="Take the settings from this TOML file; flags win."),
    ] = None,
    print_config: Annotated[
        bool,
        typer.Option("--print-config", help="Print the settings as TOML for --config, and end."),
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Check settings and data, say what would be trained.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Train a network on processed films.

    Run it again with the same folder after an interruption: it goes on where it was saved. Several
    devices: --devices N, or torchrun --nproc-per-node N -m synctool train ...

    Example:

      synctool train --data processed/ --out runs/first

      synctool train --config runs/first/config.toml --out runs/second --seed 1
    """
    settings = config.resolve("train", given, file=config_file).as_dict()
    require("train", "training", "torch", "lightning_fabric")
    from synctool.training import train as engine
    from synctool.training.config import split_settings

    wanted, files = split_settings(settings)
    if print_config:
        typer.echo(engine.settings_toml(wanted, files), nl=False)
        return
    for name in ("data", "out"):
        if files.get(name) is None:
            raise UsageError(f"--{name} is missing", remedy="'synctool train --help' says more.")
    data, out = files.pop("data"), files.pop("out")
    from synctool.cli.train_text import TrainBar, show_plan, use_of

    if check:
        show_plan(engine.check_training(data, out, wanted, **files))
        return
    try:
        with TrainBar(quiet=quiet, steps_per_epoch=wanted.steps_per_epoch) as bar:
            weights = engine.train(data, out, wanted, **files, on_progress=bar)
    except KeyboardInterrupt:
        print_text("Stopped, and saved. Run the same command again to go on.", err=True)
        raise
    if not quiet and engine.is_first_process():
        print_text(f"weights: {weights}\n{use_of(weights, wanted.backbone)}")
