"""``synctool preprocess``: films to training shards."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from synctool import config
from synctool.cli.common import setting_option
from synctool.cli.progress import progress_bar


def preprocess(
    films: Annotated[Path, typer.Argument(help="Folder of films, with or without a manifest.csv.")],
    out: Annotated[Path, typer.Argument(help="Folder for the processed films.")],
    detector: Annotated[str | None, setting_option("preprocess", "detector")] = None,
    workers: Annotated[int | None, setting_option("preprocess", "workers", "-j")] = None,
    min_frames: Annotated[int | None, setting_option("preprocess", "min_frames")] = None,
    shard_films: Annotated[int | None, setting_option("preprocess", "shard_films")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Cut mouth crops and sound out of films and pack them for training.

    Run it again after an interruption: it goes on where it stopped.

    Example:

      synctool preprocess films/ processed/
    """
    settings = config.resolve(
        "preprocess",
        {
            "detector": detector, "workers": workers, "min_frames": min_frames,
            "shard_films": shard_films,
        },
    )  # fmt: skip
    from synctool.engine.preprocess import preprocess as run

    started = time.monotonic()
    with progress_bar(quiet=quiet, unit=" films/s") as bar:
        task = bar.add_task("films", total=None, speed="")
        before: list[int] = []

        def show(progress: Any) -> None:
            before.append(progress.films_done)
            pace = (progress.films_done - before[0]) / max(time.monotonic() - started, 1e-3)
            bar.update(
                task, completed=progress.films_done, total=progress.films_total, speed=f"{pace:.1f}"
            )

        done = run(films, out, on_progress=show, **settings.as_dict())
    if not quiet:
        typer.echo(
            f"{done.films_done} films: {done.samples} samples, {done.hours:.2f} hours of faces, "
            f"{done.failures} without one ({out / 'failures.json'})"
        )
