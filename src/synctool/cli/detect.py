"""``synctool detect``: the command line of the main job."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synctool import config
from synctool.cli.common import TrustOption, setting_option, show_error, show_traceback
from synctool.cli.outputs import Outputs
from synctool.cli.progress import progress_bar
from synctool.errors import (
    EXIT_INCONCLUSIVE,
    EXIT_MISSING,
    EXIT_OK,
    EXIT_OUT_OF_TOLERANCE,
    EXIT_UNEXPECTED,
    EXIT_USAGE,
    OutputError,
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
_LONGEST_SHOWN = 30
_BUG = "Run this film alone with --debug to see where."
_EXAMPLES = """Examples:

  synctool detect talk.mp4

  synctool detect talk.mp4 --json result.json --plot result.png

  synctool detect season1/ --html season1.html

  synctool detect season1/ 'extras/*.mov' --csv report.csv --fail-over detectable

Exit codes: 0 measured, 3 inconclusive, 4 out of tolerance (with --fail-over), 5 something is
missing, 2 usage, 1 anything else; several films give the worst."""


def detect(
    context: typer.Context,
    films: Annotated[
        list[str] | None,
        typer.Argument(
            help="Videos, globs, or folders of videos; - for the standard input.",
            show_default=False,
        ),
    ] = None,
    backbone: Annotated[str | None, setting_option("detect", "backbone", "-b")] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="Weight file, or exported model, in place of the backbone's own."),
    ] = None,
    trust: TrustOption = None,
    max_offset: Annotated[int | None, setting_option("detect", "max_offset", "-k")] = None,
    device: Annotated[str | None, setting_option("detect", "device")] = None,
    runtime: Annotated[str | None, setting_option("detect", "runtime")] = None,
    detector: Annotated[str | None, setting_option("detect", "detector")] = None,
    video_track: Annotated[int | None, setting_option("detect", "video_track")] = None,
    audio_track: Annotated[int | None, setting_option("detect", "audio_track")] = None,
    channel: Annotated[str | None, setting_option("detect", "channel")] = None,
    max_faces: Annotated[int | None, setting_option("detect", "max_faces")] = None,
    allow_external: Annotated[bool | None, setting_option("detect", "allow_external")] = None,
    stall_timeout: Annotated[float | None, setting_option("detect", "stall_timeout")] = None,
    from_file: Annotated[
        str | None, typer.Option(help="List of films, one a line; - for the standard input.")
    ] = None,
    json: Annotated[
        str | None,
        typer.Option(help="Write JSON (several films, globs, folders: JSON Lines); - for stdout."),
    ] = None,
    csv: Annotated[str | None, typer.Option(help="Write one row a film; - for stdout.")] = None,
    plot: Annotated[
        str | None,
        typer.Option(help="Draw offset and confidence over time; several films: into this folder."),
    ] = None,
    html: Annotated[
        str | None,
        typer.Option(help="Write one page for a browser: charts, faces, figures; - for stdout."),
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
            "backbone": backbone, "max_offset": max_offset, "device": device, "runtime": runtime,
            "detector": detector, "video_track": video_track,
            "audio_track": audio_track, "channel": channel, "max_faces": max_faces,
            "allow_external": allow_external, "stall_timeout": stall_timeout,
        },
    )  # fmt: skip
    from synctool.engine.inputs import expand, means_one_film

    names = expand(films or [], from_file=from_file)
    one = means_one_film(films or [], from_file=from_file)
    command = ["synctool", *(context.obj or ["detect"])]
    outputs = Outputs(
        names, one=one, json=json, csv=csv, plot=plot, html=html, command=command, quiet=quiet
    )
    outputs.check()
    measuring = _detector(settings, weights, trust)
    outcomes: list[Outcome] = []
    codes: list[int] = []
    try:
        with progress_bar(quiet=quiet) as bar:
            for outcome in _measured(names, measuring, bar, outputs):
                outcomes.append(outcome)
                outputs.stream(outcome)
                codes += [_code(outcome, limit), _drawn(outputs, outcome, bar)]
    finally:
        # Interrupted work keeps what is done.
        if outcomes:
            outputs.all_done(outcomes)
    raise typer.Exit(max(codes, key=_severity))


detect.__doc__ = f"{detect.__doc__}\n\n{_EXAMPLES}"


def _detector(settings: Any, weights: Path | None, trust: list[str] | None) -> Detector:
    from synctool.engine.detect import Detector
    from synctool.engine.models import load_model

    return Detector(
        model=load_model(
            settings.backbone,
            weights=weights,
            device=settings.device,
            runtime=settings.runtime,
            trust=trust,
        ),
        max_offset=settings.max_offset,
        detector=settings.detector,
        video_track=settings.video_track,
        audio_track=settings.audio_track,
        channel=settings.channel,
        max_faces=settings.max_faces,
        allow_external=settings.allow_external,
        stall_timeout=settings.stall_timeout,
    )


def _measured(
    names: list[str], measuring: Detector, bar: Progress, outputs: Outputs
) -> Iterator[Outcome]:
    """Measure one film after the other; one that fails becomes a failure and the rest goes on."""
    from synctool.report.outcome import Failure
    from synctool.types import VIDEO_FPS

    for number, name in enumerate(names, 1):
        count = f"{number}/{len(names)} " if len(names) > 1 else ""
        task = bar.add_task(f"{count}{_short(name)}", total=None, speed="")
        started = time.monotonic()

        def show(progress: Any, task: Any = task, started: float = started) -> None:
            pace = progress.ticks_done / VIDEO_FPS / max(time.monotonic() - started, 1e-3)
            bar.update(
                task,
                completed=progress.ticks_done,
                total=progress.ticks_total,
                speed=f"{pace:.1f}x" if progress.ticks_done else "",
            )

        more: dict[str, Any] = {}
        if outputs.wants_pictures:
            more["on_thumbnails"] = partial(outputs.pictures, name)
        try:
            outcome: Outcome = measuring.detect(name, on_progress=show, **more)
        except Exception as error:  # also a bug with one film must not cost the others
            if len(names) == 1 and not isinstance(error, SyncToolError):
                raise
            told = _named(error, name)
            _say(error, told, bar)
            outcome = Failure.of(name, told)
        finally:
            bar.remove_task(task)
        yield outcome


def _drawn(outputs: Outputs, outcome: Outcome, bar: Progress) -> int:
    """Draw the plot of a film; one that cannot be written must not cost the other films."""
    try:
        outputs.draw(outcome)
    except OutputError as error:
        return _say(error, error, bar)
    return EXIT_OK


def _named(error: Exception, film: str) -> SyncToolError:
    """The error with the name of its film as the user gave it, which tells it from its namesakes."""
    from synctool.report.text import printable

    name, base = printable(film), printable(os.path.basename(film))
    if not isinstance(error, SyncToolError):
        cause = " ".join(f"{type(error).__name__}: {error}".split())
        return SyncToolError(f"{name}: {cause}", remedy=_BUG)
    cause = printable(error.cause)
    if name not in cause:
        cause = cause.replace(base, name, 1) if base and base in cause else f"{name}: {cause}"
    told = SyncToolError(cause, remedy=error.remedy)
    told.exit_code = error.exit_code
    return told


def _say(error: Exception, told: SyncToolError, bar: Progress) -> int:
    """Show an error above the progress bar, and return the exit code."""
    bar.stop()  # or the panel would tear the line of the bar
    if logging.getLogger("synctool").isEnabledFor(logging.DEBUG):
        show_traceback(error)
    code = show_error(told, debug=False)
    bar.start()
    return code


def _short(name: str) -> str:
    from synctool.report.text import printable, shortened

    return shortened(printable(os.path.basename(name) or name), _LONGEST_SHOWN)


def _limit(text: str | None) -> str | float | None:
    if text is None or text in ("detectable", "unacceptable"):
        return text
    try:
        limit = abs(float(text))
    except ValueError:
        limit = math.nan
    if math.isnan(limit):
        raise UsageError(
            f"--fail-over {text!r} is no limit",
            remedy="Give detectable, unacceptable, or a number of milliseconds.",
        )
    return limit


def _code(outcome: Outcome, limit: str | float | None) -> int:
    from synctool.report.outcome import Failure, worst_ms

    if isinstance(outcome, Failure):
        return outcome.exit_code
    if outcome.verdict == "inconclusive":
        return EXIT_INCONCLUSIVE
    if isinstance(limit, float):
        return EXIT_OUT_OF_TOLERANCE if worst_ms(outcome) > limit else EXIT_OK
    failing = {"detectable": ("detectable", "unacceptable"), "unacceptable": ("unacceptable",)}
    return EXIT_OUT_OF_TOLERANCE if outcome.verdict in failing.get(limit or "", ()) else EXIT_OK


def _severity(code: int) -> int:
    return _WORST_LAST.index(code) if code in _WORST_LAST else len(_WORST_LAST)
