"""``synctool detect``: the command line of the main job."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synctool.cli.common import TrustOption, setting_option
from synctool.cli.detect_outputs import DetectOutputs
from synctool.cli.detect_run import BatchRun
from synctool.errors import UsageError
from synctool.settings import table as config

if TYPE_CHECKING:
    from synctool.measure.detect import Detector

_EXAMPLES = """Examples:

  synctool detect talk.mp4

  synctool detect talk.mp4 --json result.json --plot result.png

  synctool detect season1/ --html season1.html

  synctool detect season1/ 'extras/*.mov' --csv report.csv --fail-over detectable

Several videos: each result is on the disk as soon as it is there, in a journal in the cache folder, in the
JSON Lines and in the CSV. After a crash, a kill or Ctrl-C the same command goes on where it stopped and
measures again only what has changed: videos, settings, weights. The journal is removed at the end.

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
        typer.Option(
            help="Write JSON (several videos, globs, folders: JSON Lines, a line as soon as a video is "
            "finished); - for stdout."
        ),
    ] = None,
    csv: Annotated[
        str | None,
        typer.Option(help="Write CSV, a row as soon as a video is finished; - for stdout."),
    ] = None,
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
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh", help="Measure all videos, also those that a stopped run has finished."
        ),
    ] = False,
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
    from synctool.prepare.inputs import expand, means_one_film

    names = expand(films or [], from_file=from_file)
    one = means_one_film(films or [], from_file=from_file)
    command = ["synctool", *(context.obj or ["detect"])]
    outputs = DetectOutputs(
        names, one=one, json=json, csv=csv, plot=plot, html=html, command=command, quiet=quiet
    )
    outputs.check()
    run = BatchRun(
        names, _detector(settings, weights, trust), outputs, limit=limit, fresh=fresh, quiet=quiet
    )
    raise typer.Exit(
        run([*(films or []), *([] if from_file is None else ["--from-file", from_file])])
    )


detect.__doc__ = f"{detect.__doc__}\n\n{_EXAMPLES}"


def _detector(settings: Any, weights: Path | None, trust: list[str] | None) -> Detector:
    from synctool.measure.detect import Detector
    from synctool.networks.load import load_model

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
