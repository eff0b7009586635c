"""``synctool watch``: the videos of a folder, as they come."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synctool.cli.common import print_text
from synctool.cli.options import RESULTS, Given, Quiet, result_option, settings_options
from synctool.cli.places import check_places
from synctool.errors import no_effect
from synctool.settings.watch import WatchSettings


@settings_options(WatchSettings)
def watch(
    given: Given[WatchSettings],
    context: typer.Context,
    folder: Annotated[
        Path,
        typer.Argument(
            help="Folder that videos come to, with those below it.",
            metavar="FOLDER",
            readable=False,
        ),
    ],
    *,
    report: Annotated[
        Path,
        typer.Option(
            "--report",
            metavar="DIR",
            help="Folder for the results: NAME.json and NAME.html of each video.",
            rich_help_panel=RESULTS,
        ),
    ],
    fix: Annotated[
        Path | None,
        typer.Option(
            "--fix",
            metavar="DIR",
            help="Folder for repaired videos, under the names of the videos; what is there is replaced.",
            rich_help_panel=RESULTS,
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Measure what is there, and exit.")] = False,
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Measure all videos again, also those that are done."),
    ] = False,
    json: Annotated[
        str | None,
        result_option("--json", "JSON Lines, one for each video, added to the file; - for stdout."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Measure the videos that come to a folder, each as soon as it is complete.

    Examples:

      synctool watch incoming/ --report reports/

      synctool watch incoming/ --report reports/ --fix repaired/ --jobs 2

      synctool watch incoming/ --report reports/ --once --json -

    A video is complete when its size and time of change have stayed the same for --settle seconds and no
    program has it open for writing. One that changes later is measured again. A journal in the folder of the
    reports says what is done: after a stop, a crash or a kill the same command measures only the rest. A
    video that fails is told and never stops the others.

    Exit codes: 130 after Ctrl-C, 0 after SIGTERM. With --once as those of detect: the worst of what was
    measured, and of what failed before and has not changed since.
    """
    settings = given.settings()
    if fix is None and "tolerance" in given.names:
        raise no_effect("--tolerance", "without --fix", add="--fix DIR")
    from synctool.cli.watch_run import WatchRun
    from synctool.serving.watch import WatchPlaces
    from synctool.serving.watch_journal import watch_journal

    places = WatchPlaces(folder, report, fix)
    places.check()
    check_places({"--json": json}, kept=())
    words = ["synctool", *(context.obj or ["watch"])]
    with watch_journal(report, folder, fix=fix is not None) as journal:
        if fresh:
            journal.clear()
        run = WatchRun(places, settings, journal, words=words, json=json, quiet=quiet)
        if not quiet:
            from synctool.report.text import counted

            known = f" ({counted(len(journal), 'video')} done)" if len(journal) else ""
            print_text(f"Watching {folder}{known}. Ctrl-C stops.", err=True)
        raise typer.Exit(run(once=once))
