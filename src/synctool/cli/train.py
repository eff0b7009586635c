"""``synctool train``: processed films to weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from synctool import config
from synctool.cli.common import setting_option
from synctool.cli.progress import progress_bar


def train(
    data: Annotated[Path, typer.Option(help="Folder made by synctool preprocess.")],
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    backbone: Annotated[str | None, setting_option("train", "backbone", "-b")] = None,
    epochs: Annotated[int | None, setting_option("train", "epochs")] = None,
    steps_per_epoch: Annotated[int | None, setting_option("train", "steps_per_epoch")] = None,
    batch_size: Annotated[int | None, setting_option("train", "batch_size")] = None,
    learning_rate: Annotated[float | None, setting_option("train", "learning_rate")] = None,
    max_offset: Annotated[int | None, setting_option("train", "max_offset", "-k")] = None,
    window_frames: Annotated[int | None, setting_option("train", "window_frames")] = None,
    seed: Annotated[int | None, setting_option("train", "seed")] = None,
    augment: Annotated[float | None, setting_option("train", "augment")] = None,
    device: Annotated[str | None, setting_option("train", "device")] = None,
    split: Annotated[
        Path | None,
        typer.Option(help="split.json of synctool pairs; in the data folder unless given."),
    ] = None,
    constants: Annotated[
        Path | None,
        typer.Option(help="JSON object: constant offset in frames by person or source."),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(
            help="Train on the pairs in this file of synctool pairs; offsets are drawn on the fly "
            "unless given."
        ),
    ] = None,
    init: Annotated[Path | None, typer.Option(help="Weights to start from.")] = None,
    source: Annotated[
        str | None, typer.Option(help="Train on the films of this source only.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Train a network on processed films.

    Run it again with the same folder after an interruption: it goes on from the last epoch.

    Example:

      synctool train --data processed/ --out runs/first
    """
    settings = config.resolve(
        "train",
        {
            "backbone": backbone, "epochs": epochs, "steps_per_epoch": steps_per_epoch,
            "batch_size": batch_size, "learning_rate": learning_rate, "max_offset": max_offset,
            "window_frames": window_frames, "seed": seed, "device": device,
            "augment": augment,
        },
    )  # fmt: skip
    from synctool.engine.train import TrainSettings
    from synctool.engine.train import train as run

    with progress_bar(quiet=quiet, unit=" s/step") as bar:
        task = bar.add_task("training", total=None, speed="")

        def show(progress: Any) -> None:
            if progress.metrics is not None and not quiet:
                bar.console.print(_epoch(progress), highlight=False)
                return
            bar.update(
                task,
                description=f"epoch {progress.epoch} loss {progress.loss:.3f}",
                completed=progress.step,
                total=progress.steps,
                speed=f"{progress.seconds_per_step:.2f}",
            )

        weights = run(
            data, out, TrainSettings(**settings.as_dict()),
            split=split, constants=constants, init=init, source=source, pairs=pairs,
            on_progress=show,
        )  # fmt: skip
    if not quiet:
        typer.echo(f"weights: {weights}\nuse them: synctool detect FILM --weights {weights}")


def _epoch(progress: Any) -> str:
    figures = "  ".join(f"{name} {value:.3f}" for name, value in progress.metrics.items())
    return f"epoch {progress.epoch}  step {progress.step}  loss {progress.loss:.3f}  {figures}"
