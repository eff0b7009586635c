"""``synctool fix``: the repaired video file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from synctool.cli.common import print_text
from synctool.cli.fix_run import JSON, FixRun, Targets
from synctool.cli.options import (
    RESULTS,
    FromFile,
    Given,
    Quiet,
    result_option,
    settings_options,
)
from synctool.cli.outputs import Outputs
from synctool.errors import EXIT_OK, no_effect
from synctool.settings.fix import FixSettings
from synctool.settings.values import number_of


@settings_options(FixSettings)
def fix(
    given: Given[FixSettings],
    videos: Annotated[
        list[str] | None,
        typer.Argument(help="Videos, globs, or folders of videos.", show_default=False),
    ] = None,
    *,
    out: Annotated[
        str,
        typer.Option(
            "--out",
            "-o",
            metavar="PATH",
            help="Repaired file, whose ending chooses the container; a folder for several videos.",
            rich_help_panel=RESULTS,
        ),
    ],
    from_file: FromFile = None,
    offset_ms: Annotated[
        str | None,
        typer.Option(
            "--offset-ms",
            metavar="MS",
            help="Offset by hand, positive for audio ahead, in place of a measurement before the repair.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Repair videos that are inside the tolerance, too.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and write no video.")
    ] = False,
    no_check: Annotated[
        bool, typer.Option("--no-check", help="Do not measure the repaired file.")
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace files that exist.", rich_help_panel=RESULTS),
    ] = False,
    skip_existing: Annotated[
        bool,
        typer.Option(
            "--skip-existing",
            help="Leave videos alone whose repaired files are there, so that a stopped run goes on.",
            rich_help_panel=RESULTS,
        ),
    ] = False,
    json: Annotated[
        str | None,
        result_option(
            JSON,
            "JSON: offsets before and after, what was done; for several videos JSON Lines; - for stdout.",
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Write a copy of a video with its audio in sync.

    Examples:

      synctool fix talk.mp4 -o fixed.mp4

      synctool fix talk.mov -o fixed.mov --dry-run

      synctool fix season1/ -o season1-fixed/ --json report.jsonl

      synctool fix talk.mkv -o fixed.mkv --offset-ms 120 --audio-track 1

    One offset for the whole video is repaired without encoding: the audio is moved in the container. Where
    the offset changes (segments, drift), the audio is encoded again in its own codec. Video, subtitles,
    chapters and all else are copied bit for bit, and the length stays. The repaired file is measured, too.

    All audio tracks are moved together; --audio-track measures and moves one alone. The video itself is
    never overwritten.

    Exit codes: 0 repaired, or inside the tolerance; 3 inconclusive; 4 still outside the tolerance after the
    repair; 5 something is missing, 2 usage, 1 anything else; several videos give the worst.
    """
    settings = given.settings()
    by_hand = offset_ms is not None
    _refuse_idle(given, by_hand=by_hand, force=force, dry_run=dry_run, no_check=no_check)
    if overwrite and skip_existing:
        raise no_effect("--skip-existing", "with --overwrite, which repairs them again")
    from synctool.prepare.inputs import expand, means_one_video

    names = expand(videos or [], from_file=from_file)
    one = means_one_video(videos or [], from_file=from_file)
    outputs = Outputs({JSON: json}, plot=None, one=one, kept=names, quiet=quiet)
    outputs.check()

    options = {
        "offset_ms": number_of("--offset-ms", offset_ms), "force": force, "dry_run": dry_run,
        "verify": not no_check, "overwrite": overwrite,
    }  # fmt: skip
    targets = Targets(out, names, one=one, dry_run=dry_run, given=videos or [])
    if skip_existing:
        names = _left(names, targets, quiet=quiet)
    run = FixRun(names, targets, outputs, settings, one=one, quiet=quiet, options=options)
    raise typer.Exit(run())


def _left(names: Sequence[str], targets: Targets, *, quiet: bool) -> list[str]:
    """The videos that have no repaired file yet; what is written takes its place whole, or not at all.

    Raises:
        typer.Exit: All of them have.
    """
    left = [name for name in names if not targets.is_there(name)]
    if len(left) < len(names) and not quiet:
        count = len(names) - len(left)
        repaired = "is" if count == 1 else "are"
        print_text(f"{count} of {len(names)} {repaired} repaired already.", err=True)
    if not left:
        raise typer.Exit(EXIT_OK)
    return left


def _refuse_idle(
    given: Given[FixSettings], *, by_hand: bool, force: bool, dry_run: bool, no_check: bool
) -> None:
    if dry_run and no_check:
        raise no_effect("--no-check", "with --dry-run, which writes nothing to be measured")
    if by_hand and force:
        raise no_effect("--force", "with --offset-ms, which is never inside the tolerance")
    if by_hand and (dry_run or no_check):
        measuring = given.names - {"audio_track", "allow_external"}
        if idle := [name for name in given.flags if name in measuring]:
            beside = "--dry-run" if dry_run else "--no-check"
            raise no_effect(
                f"--{idle[0].replace('_', '-')}",
                f"with --offset-ms and {beside}, which measure nothing",
            )
