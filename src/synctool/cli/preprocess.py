"""``synctool preprocess``: videos to training samples."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synctool.cli.common import print_text
from synctool.cli.options import Given, JsonFile, Quiet, settings_options
from synctool.cli.outputs import JsonOutput
from synctool.cli.progress import progress_bar
from synctool.settings.preprocess import PreprocessSettings

if TYPE_CHECKING:
    from synctool.prepare.preprocess import PreprocessProgress


@settings_options(PreprocessSettings)
def preprocess(
    given: Given[PreprocessSettings],
    videos: Annotated[
        str, typer.Argument(help="Folder of videos, or an address such as s3://bucket/videos.")
    ],
    out: Annotated[str, typer.Argument(help="Folder or address for the samples.")],
    json: JsonFile = None,
    quiet: Quiet = False,
) -> None:
    """Crop faces out of videos and pack them with their audio for training.

    Examples:

      synctool preprocess videos/ processed/

      synctool preprocess voxceleb2/ processed/ --sync-correct

      synctool preprocess s3://bucket/in s3://bucket/out --engine ray

    Run it again after an interruption: it continues where it stopped.

    Exit codes: 0 all videos are done, also where some have no samples; 5 something is missing, 2 usage,
    1 anything else.
    """
    settings, output = given.settings(), JsonOutput(json, quiet=quiet)
    from synctool.prepare.preprocess import preprocess as run

    try:
        with _Bar(quiet=quiet) as bar:
            done = run(videos, out, settings, on_progress=bar)
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt("Stopped. Run the same command again to go on.") from stop
    output.write(vars(done))
    if output.for_people:
        from synctool.report.text import counted

        said = (
            f"{counted(done.films_done, 'video')}: {counted(done.samples, 'sample')}, "
            f"{done.hours:.2f} hours of faces"
        )
        if done.failures:
            said += f"; {done.failures} gave no sample (failures.json in {out} says why)"
        print_text(said)
    if done.to_try_again:
        print_text(
            f"{done.to_try_again} videos could not be read this time: run the same command again to "
            "try them again.",
            err=True,
        )


class _Bar:
    """Videos done, videos a second, and times real time."""

    def __init__(self, *, quiet: bool) -> None:
        self._bars = progress_bar(quiet=quiet)
        self._started = time.monotonic()

    def __enter__(self) -> _Bar:
        self._bar = self._bars.__enter__()
        self._task = self._bar.add_task("videos", total=None, speed="")
        return self

    def __exit__(self, *error: Any) -> None:
        self._bars.__exit__(*error)

    def __call__(self, progress: PreprocessProgress) -> None:
        passed = max(time.monotonic() - self._started, 1e-3)
        video_files = progress.films_done - progress.resumed_films
        speed = f"{video_files / passed:.1f} videos/s, {progress.film_s / passed:.1f} x real time"
        self._bar.update(
            self._task,
            completed=progress.films_done,
            total=progress.films_total,
            speed=speed,
            description=f"videos ({progress.failures} failed)" if progress.failures else "videos",
        )
