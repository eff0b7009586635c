"""``synctool detect``: the command line of the main job."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synctool import config
from synctool.cli.common import setting_option, show_error
from synctool.cli.progress import progress_bar
from synctool.errors import (
    EXIT_INCONCLUSIVE,
    EXIT_MISSING,
    EXIT_OK,
    EXIT_OUT_OF_TOLERANCE,
    EXIT_UNEXPECTED,
    EXIT_USAGE,
    SyncToolError,
    UsageError,
)

if TYPE_CHECKING:
    from rich.progress import Progress

    from synctool.engine.detect import Detector
    from synctool.report.outcome import Outcome

_WORST_LAST = (
    EXIT_OK,
    EXIT_INCONCLUSIVE,
    EXIT_OUT_OF_TOLERANCE,
    EXIT_MISSING,
    EXIT_USAGE,
    EXIT_UNEXPECTED,
)
_EXAMPLES = """Examples:

  synctool detect talk.mp4

  synctool detect talk.mp4 --json result.json --plot result.png

  synctool detect season1/ 'extras/*.mov' --csv report.csv --fail-over detectable

Exit codes: 0 measured, 3 inconclusive, 4 out of tolerance (with --fail-over), 5 something is
missing, 2 usage, 1 anything else; several films give the worst."""


def detect(
    films: Annotated[
        list[str] | None,
        typer.Argument(help="Films, globs, or folders of films.", show_default=False),
    ] = None,
    backbone: Annotated[str | None, setting_option("detect", "backbone", "-b")] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Weight file in place of the backbone's own.")
    ] = None,
    max_offset: Annotated[int | None, setting_option("detect", "max_offset", "-k")] = None,
    device: Annotated[str | None, setting_option("detect", "device")] = None,
    detector: Annotated[str | None, setting_option("detect", "detector")] = None,
    audio_track: Annotated[int | None, setting_option("detect", "audio_track")] = None,
    max_faces: Annotated[int | None, setting_option("detect", "max_faces")] = None,
    from_file: Annotated[
        str | None, typer.Option(help="List of films, one a line; - for the standard input.")
    ] = None,
    json: Annotated[
        str | None, typer.Option(help="Write JSON (several films: JSON Lines); - for stdout.")
    ] = None,
    csv: Annotated[str | None, typer.Option(help="Write one row a film; - for stdout.")] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw offset and confidence over time; several films: into this folder."),
    ] = None,
    fail_over: Annotated[
        str | None,
        typer.Option(
            metavar="LIMIT",
            help="End with 4 if a film is out of tolerance: detectable, unacceptable, or ms.",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Measure how far sound and picture are apart."""
    limit = _limit(fail_over)
    settings = config.resolve(
        "detect",
        {
            "backbone": backbone, "max_offset": max_offset, "device": device, "detector": detector,
            "audio_track": audio_track, "max_faces": max_faces,
        },
    )  # fmt: skip
    from synctool.engine.inputs import expand

    names = expand(films or [], from_file=from_file)
    outputs = Outputs(json=json, csv=csv, plot=plot, several=len(names) > 1, quiet=quiet)
    outputs.check()
    measuring = _detector(settings, weights)
    outcomes: list[Outcome] = []
    try:
        with progress_bar(quiet=quiet, unit="x") as bar:
            for outcome in _measured(names, measuring, bar):
                outcomes.append(outcome)
                outputs.film_done(outcome)
    finally:
        # Interrupted work keeps what is done.
        if outcomes:
            outputs.all_done(outcomes)
    codes = [_code(outcome, limit) for outcome in outcomes]
    raise typer.Exit(max(codes, key=_WORST_LAST.index))


detect.__doc__ = f"{detect.__doc__}\n\n{_EXAMPLES}"


class Outputs:
    """Where results go.

    Args:
        json: Path or ``-`` or None.
        csv: The same.
        plot: A file, or with several films a folder.
        several: Whether there are several films.
        quiet: Whether to print nothing for people.
    """

    def __init__(
        self, *, json: str | None, csv: str | None, plot: Path | None, several: bool, quiet: bool
    ) -> None:
        self._json, self._csv, self._plot = json, csv, plot
        self._several = several
        self._for_people = not quiet and "-" not in (json, csv)
        self._drawn: set[str] = set()

    def check(self) -> None:
        """Find out before the work whether the results can be written.

        Raises:
            OutputError: One cannot.
            UsageError: Both JSON and CSV are to go to the standard output.
        """
        from synctool.files import check_writable, make_folder

        if self._json == "-" and self._csv == "-":
            raise UsageError("JSON and CSV cannot both go to stdout", remedy="Give one a file.")
        for target in (self._json, self._csv):
            if target not in (None, "-"):
                check_writable(target)
        if self._plot is not None:
            if self._several:
                make_folder(self._plot)
            else:
                check_writable(self._plot)

    def film_done(self, outcome: Outcome) -> None:
        """Draw the plot of a film, and say at once what failed."""
        from synctool.report.outcome import Failure
        from synctool.report.plot import write_plot

        if isinstance(outcome, Failure):
            return
        if self._plot is not None:
            write_plot(outcome, self._plot_path(outcome.input))

    def all_done(self, outcomes: list[Outcome]) -> None:
        """Print and write everything."""
        from synctool.report import csv_out, json_out, terminal
        from synctool.report.outcome import Failure

        if self._for_people and self._several:
            terminal.print_summary(outcomes)
        elif self._for_people and not isinstance(outcomes[0], Failure):
            terminal.print_result(outcomes[0])
        if self._json is not None:
            json_out.write_json(outcomes, self._json, lines=self._several)
        if self._csv is not None:
            csv_out.write_csv(outcomes, self._csv)

    def _plot_path(self, film: str) -> Path:
        if not self._several:
            return self._plot
        stem, number = Path(film).name, 1
        name = f"{stem}.png"
        while name in self._drawn:  # films of one name from several folders
            number += 1
            name = f"{stem}-{number}.png"
        self._drawn.add(name)
        return self._plot / name


def _detector(settings: Any, weights: Path | None) -> Detector:
    from synctool.engine.detect import Detector
    from synctool.engine.models import load_model

    return Detector(
        model=load_model(settings.backbone, weights=weights, device=settings.device),
        max_offset=settings.max_offset,
        detector=settings.detector,
        audio_track=settings.audio_track,
        max_faces=settings.max_faces,
    )


def _measured(names: list[str], measuring: Detector, bar: Progress) -> Iterator[Outcome]:
    """Measure one film after the other; one that fails becomes a failure and the rest goes on."""
    from synctool.report.outcome import Failure
    from synctool.types import VIDEO_FPS

    for number, name in enumerate(names, 1):
        count = f"{number}/{len(names)} " if len(names) > 1 else ""
        task = bar.add_task(f"{count}{os.path.basename(name)}", total=None, speed="")
        started = time.monotonic()

        def show(progress: Any, task: Any = task, started: float = started) -> None:
            pace = progress.ticks_done / VIDEO_FPS / max(time.monotonic() - started, 1e-3)
            bar.update(
                task,
                completed=progress.ticks_done,
                total=progress.ticks_total,
                speed=f"{pace:.0f}",
            )

        try:
            yield measuring.detect(name, on_progress=show)
        except SyncToolError as error:
            show_error(error, debug=False)
            yield Failure.of(name, error)
        except Exception as error:  # a bug with one film must not cost the others
            if len(names) == 1:
                raise
            code = show_error(error, debug=False)
            yield Failure(name, f"{type(error).__name__}: {error}", None, code)
        finally:
            bar.remove_task(task)


def _limit(text: str | None) -> str | float | None:
    if text is None or text in ("detectable", "unacceptable"):
        return text
    try:
        return abs(float(text))
    except ValueError:
        raise UsageError(
            f"--fail-over {text!r} is no limit", remedy="Give detectable, unacceptable, or ms."
        ) from None


def _code(outcome: Outcome, limit: str | float | None) -> int:
    from synctool.report.outcome import Failure

    if isinstance(outcome, Failure):
        return outcome.exit_code
    if outcome.verdict == "inconclusive":
        return EXIT_INCONCLUSIVE
    if isinstance(limit, float):
        worst = max(
            [abs(outcome.offset_ms), *(abs(s.offset_frames) * 40 for s in outcome.segments)]
        )
        return EXIT_OUT_OF_TOLERANCE if worst > limit else EXIT_OK
    failing = {"detectable": ("detectable", "unacceptable"), "unacceptable": ("unacceptable",)}
    return EXIT_OUT_OF_TOLERANCE if outcome.verdict in failing.get(limit or "", ()) else EXIT_OK
