"""``synctool preprocess``: films to training samples."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synctool.cli.common import JsonFlag, print_json, print_text, setting_option
from synctool.cli.progress import progress_bar
from synctool.errors import UsageError
from synctool.settings import table as config

if TYPE_CHECKING:
    from synctool.prepare.preprocess import PreprocessProgress


def preprocess(
    films: Annotated[
        str, typer.Argument(help="Folder of films, or an address such as s3://bucket/films.")
    ],
    out: Annotated[str, typer.Argument(help="Folder or address for the samples.")],
    crop: Annotated[str | None, setting_option("preprocess", "crop")] = None,
    size: Annotated[int | None, setting_option("preprocess", "size")] = None,
    colour: Annotated[str | None, setting_option("preprocess", "colour")] = None,
    layout: Annotated[str | None, setting_option("preprocess", "layout")] = None,
    tree: Annotated[str | None, setting_option("preprocess", "tree")] = None,
    detector: Annotated[str | None, setting_option("preprocess", "detector")] = None,
    min_frames: Annotated[int | None, setting_option("preprocess", "min_frames")] = None,
    min_face: Annotated[int | None, setting_option("preprocess", "min_face")] = None,
    max_faces: Annotated[int | None, setting_option("preprocess", "max_faces")] = None,
    shard_films: Annotated[int | None, setting_option("preprocess", "shard_films")] = None,
    video_track: Annotated[int | None, setting_option("preprocess", "video_track")] = None,
    audio_track: Annotated[int | None, setting_option("preprocess", "audio_track")] = None,
    channel: Annotated[str | None, setting_option("preprocess", "channel")] = None,
    allow_external: Annotated[bool | None, setting_option("preprocess", "allow_external")] = None,
    stall_timeout: Annotated[float | None, setting_option("preprocess", "stall_timeout")] = None,
    workers: Annotated[int | None, setting_option("preprocess", "workers", "-j")] = None,
    engine: Annotated[str | None, setting_option("preprocess", "engine")] = None,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster (with --engine ray): auto, or HOST:PORT.")
    ] = None,
    sync_correct: Annotated[
        bool,
        typer.Option("--sync-correct", help="Take out each clip's own delay; drop what has none."),
    ] = False,
    sync_confidence: Annotated[
        float | None, setting_option("preprocess", "sync_confidence")
    ] = None,
    backbone: Annotated[
        str, typer.Option("--backbone", "-b", help="Network that --sync-correct measures with.")
    ] = "fcn-cls",
    weights: Annotated[Path | None, typer.Option(help="Its weights, unless its own.")] = None,
    json: JsonFlag = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Cut faces and sound out of films and pack them for training.

    Run it again after an interruption: it goes on where it stopped.

    Examples:

      synctool preprocess films/ processed/

      synctool preprocess voxceleb2/ processed/ --sync-correct

      synctool preprocess s3://bucket/films s3://bucket/processed --engine ray --address auto
    """
    given = {
        "crop": crop, "size": size, "colour": colour, "layout": layout, "tree": tree,
        "detector": detector, "min_frames": min_frames, "min_face": min_face,
        "max_faces": max_faces, "shard_films": shard_films, "workers": workers, "engine": engine,
        "sync_confidence": sync_confidence, "allow_external": allow_external,
        "stall_timeout": stall_timeout,
        "video_track": video_track, "audio_track": audio_track, "channel": channel,
    }  # fmt: skip
    settings = config.resolve("preprocess", given).as_dict()
    if address and settings["engine"] != "ray":
        raise UsageError("--address names a Ray cluster", remedy="Add --engine ray.")
    from synctool.prepare.clips import SyncSettings
    from synctool.prepare.preprocess import PreprocessSettings
    from synctool.prepare.preprocess import preprocess as run

    sync = None
    if sync_correct:
        own = str(weights.absolute()) if weights else None
        sync = SyncSettings(backbone, own, settings["sync_confidence"])
    wanted = PreprocessSettings(**settings)
    try:
        with _Bar(quiet=quiet) as bar:
            done = run(films, out, wanted, sync=sync, address=address, on_progress=bar)
    except KeyboardInterrupt:
        print_text("Stopped. Run the same command again to go on.", err=True)
        raise
    if json:
        print_json(vars(done))
    elif not quiet:
        print_text(
            f"{done.films_done} films: {done.samples} samples, {done.hours:.2f} hours of faces, "
            f"{done.failures} without (failures.json in {out} says why)"
        )
    if done.to_try_again:
        print_text(
            f"{done.to_try_again} films could not be read this time: run the same command again to "
            "try them again.",
            err=True,
        )


class _Bar:
    """Films done, films a second, and times real time."""

    def __init__(self, *, quiet: bool) -> None:
        self._bars = progress_bar(quiet=quiet)
        self._started = time.monotonic()

    def __enter__(self) -> _Bar:
        self._bar = self._bars.__enter__()
        self._task = self._bar.add_task("films", total=None, speed="")
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.__exit__(*error)

    def __call__(self, progress: PreprocessProgress) -> None:
        passed = max(time.monotonic() - self._started, 1e-3)
        films = progress.films_done - progress.resumed_films
        speed = f"{films / passed:.1f} films/s, {progress.film_s / passed:.1f} x real time"
        self._bar.update(
            self._task,
            completed=progress.films_done,
            total=progress.films_total,
            speed=speed,
            description=f"films ({progress.failures} failed)" if progress.failures else "films",
        )
