"""``synctool detect``: the command line of the main job."""

from __future__ import annotations

from typing import Annotated

import typer

from synctool.cli.detect_outputs import DetectOutputs
from synctool.cli.detect_run import BatchRun
from synctool.cli.fix_run import Targets
from synctool.cli.markers_output import MarkersOutput
from synctool.cli.options import (
    RESULTS,
    FromFile,
    Given,
    Quiet,
    result_option,
    settings_options,
)
from synctool.errors import UsageError, no_effect
from synctool.settings.detect import DetectSettings


@settings_options(DetectSettings)
def detect(
    given: Given[DetectSettings],
    context: typer.Context,
    videos: Annotated[
        list[str] | None,
        typer.Argument(
            help="Videos, globs, or folders of videos; - for the standard input.",
            show_default=False,
        ),
    ] = None,
    from_file: FromFile = None,
    json: Annotated[
        str | None,
        result_option(
            "--json",
            "JSON; for several videos, globs or folders JSON Lines, written as each video finishes; "
            "- for stdout.",
        ),
    ] = None,
    csv: Annotated[
        str | None,
        result_option("--csv", "CSV, with a row as each video finishes; - for stdout."),
    ] = None,
    plot: Annotated[
        str | None,
        result_option(
            "--plot", "Plot of offset and confidence over time; a folder for several videos."
        ),
    ] = None,
    html: Annotated[
        str | None,
        result_option("--html", "HTML page: charts, faces, figures, a player; - for stdout."),
    ] = None,
    no_player: Annotated[
        bool,
        typer.Option(
            "--no-player",
            help="Leave the players out of the --html page.",
            rich_help_panel=RESULTS,
        ),
    ] = False,
    rttm: Annotated[
        str | None,
        result_option("--rttm", "Who speaks when, of all videos, as RTTM; - for stdout."),
    ] = None,
    webvtt: Annotated[
        str | None,
        result_option(
            "--webvtt", "Who speaks when, as WebVTT captions; a folder for several videos."
        ),
    ] = None,
    markers: Annotated[
        str | None,
        result_option(
            "--markers",
            "Segments as markers for editing programs, in a format by the ending of the file: .csv, .fcpxml, "
            ".edl, .vtt; a folder for several videos; - for stdout.",
        ),
    ] = None,
    markers_format: Annotated[
        str | None,
        typer.Option(
            "--markers-format",
            metavar="NAME",
            help="Format of the markers: resolve or premiere (both CSV), fcpxml, edl (for DaVinci "
            "Resolve), webvtt.",
            rich_help_panel=RESULTS,
        ),
    ] = None,
    markers_start: Annotated[
        str | None,
        typer.Option(
            "--markers-start",
            metavar="TIMECODE",
            help="Timecode of the first frame, such as 01:00:00:00, with a semicolon before the frames for "
            "drop-frame. Default: that of the file, else 0.",
            rich_help_panel=RESULTS,
        ),
    ] = None,
    fix: Annotated[
        str | None,
        result_option(
            "--fix",
            "Repaired video, as synctool fix writes it; a folder for several videos.",
        ),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace repaired videos that exist.", rich_help_panel=RESULTS
        ),
    ] = False,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh",
            help="Measure all videos of a batch, also those that a stopped run has finished.",
            rich_help_panel=RESULTS,
        ),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Measure how far audio and video are apart.

    Examples:

      synctool detect talk.mp4

      synctool detect talk.mp4 --json result.json --plot result.png

      synctool detect season1/ --html season1.html

      synctool detect joined.mov --markers joined.edl

      synctool detect talk.mp4 --fix fixed.mp4

      synctool detect season1/ '*.mov' --csv report.csv --fail-over detectable

    Several videos: each result is written as soon as it is there, to a journal in the cache folder, to the
    JSON Lines and to the CSV. After a crash, a kill or Ctrl-C the same command continues where it stopped
    and measures again only what has changed: videos, settings, weights. The journal is removed at the end.

    Exit codes: 0 measured, 3 inconclusive, 4 out of tolerance (with --fail-over, or still after a repair with
    --fix), 5 something is missing, 2 usage, 1 anything else; several videos give the worst.
    """
    _refuse_idle_player(given, html, no_player)
    settings = given.settings(player_mb=0.0) if no_player else given.settings()
    from synctool.prepare.inputs import expand, means_one_video

    names = expand(videos or [], from_file=from_file)
    one = means_one_video(videos or [], from_file=from_file)
    if fresh and len(names) == 1:
        raise no_effect("--fresh", "on a single video, which is always measured")
    if one and "jobs" in given.names:
        raise no_effect("--jobs", "on a single video")
    if overwrite and fix is None:
        raise no_effect("--overwrite", "without --fix", add="--fix DIR")
    command = ["synctool", *(context.obj or ["detect"])]
    targets = {"--json": json, "--csv": csv, "--html": html, "--rttm": rttm}
    outputs = DetectOutputs(
        names,
        targets,
        settings,
        one=one,
        plot=plot,
        webvtt=webvtt,
        markers=MarkersOutput(markers, markers_format, markers_start, one=one),
        command=command,
        quiet=quiet,
    )
    outputs.check()
    fixed = None if fix is None else Targets(fix, names, one=one, dry_run=False, given=videos or [])
    if fixed is not None and len(names) == 1:
        fixed.check(names[0], overwrite=overwrite)
    run = BatchRun(
        names,
        settings,
        outputs,
        limit=settings.limit,
        fresh=fresh,
        quiet=quiet,
        fixed=fixed,
        overwrite=overwrite,
        sets_wanted="set_coverage" in given.names,
    )
    raise typer.Exit(
        run([*(videos or []), *([] if from_file is None else ["--from-file", from_file])])
    )


def _refuse_idle_player(given: Given[DetectSettings], html: str | None, no_player: bool) -> None:
    size = "player_mb" in given.names
    if size and no_player:
        raise UsageError("--no-player and --player-mb contradict each other", remedy="Give one.")
    if html is None and (size or no_player):
        flag = "--player-mb" if size else "--no-player"
        raise no_effect(flag, "without --html", add="--html FILE")
