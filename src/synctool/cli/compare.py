"""``synctool compare``: the same videos through several models."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synctool.cli.compare_completion import complete_backbones, complete_by, complete_degradations
from synctool.cli.options import (
    FromFile,
    Given,
    JournalFile,
    Quiet,
    renamed,
    result_option,
    settings_options,
)
from synctool.errors import SyncToolError, no_effect
from synctool.settings.base import rows
from synctool.settings.compare import CompareSettings
from synctool.settings.shared import VIDEO

if TYPE_CHECKING:
    from synctool.cli.compare_outputs import CompareOutputs
    from synctool.comparison.entries import Entry

_STOPPED = {
    True: "Stopped. Run the same command again to go on.",
    False: "Stopped. With --journal FILE a run can go on later.",
}
"""After Ctrl-C, by whether there is a journal."""


@settings_options(
    CompareSettings,
    {"backbones": complete_backbones, "by": complete_by, "perturb": complete_degradations},
)
def compare(
    given: Given[CompareSettings],
    context: typer.Context,
    videos: Annotated[
        list[str] | None,
        typer.Argument(help="Videos, globs, or folders of videos.", show_default=False),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Known offsets: CSV with path and offset_ms or offset_frames.",
            readable=False,
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="Compare on this: processed folder, or videos with labels.csv.",
            rich_help_panel="Dataset",
        ),
    ] = None,
    from_file: FromFile = None,
    journal: JournalFile = None,
    json: Annotated[
        str | None, result_option("--json", "Everything as one JSON object; - for stdout.")
    ] = None,
    trials: Annotated[
        str | None,
        result_option("--trials", "JSON Lines, one per trial; - for stdout, as they come."),
    ] = None,
    csv: Annotated[
        str | None, result_option("--csv", "CSV, one row per trial; - for stdout.")
    ] = None,
    metrics_csv: Annotated[
        str | None, result_option("--metrics-csv", "CSV, one row per metric; - for stdout.")
    ] = None,
    plot: Annotated[
        str | None,
        result_option(
            "--plot", "Plot of the models' offsets over time; a folder for several videos."
        ),
    ] = None,
    html: Annotated[
        str | None,
        result_option("--html", "HTML page: charts, faces, figures; - for stdout."),
    ] = None,
    report: Annotated[str | None, typer.Option("--report", hidden=True)] = None,
    quiet: Quiet = False,
) -> None:
    """Measure the same videos with several models and compare them.

    Examples:

      synctool compare talk.mp4 --backbones syncnet,fcn-cls --html talk.html

      synctool compare videos/ -b fcn-cls,fcn-cls=mine.safetensors --pieces 3

      synctool compare videos/ --labels truth.csv --perturb noise --jobs 0

      synctool compare --dataset processed/ --by source --csv trials.csv

    Exit codes: 0 every trial ran, also where some are inconclusive; 1 some failed (their rows say why, and
    the others count); 5 a video, weights or an extra is missing; 2 usage.
    """
    settings = given.settings()
    if settings.perturb == "list":
        from synctool.cli.compare_text import show_degradations

        show_degradations()
        return
    from synctool.cli.compare_outputs import CompareOutputs, Targets
    from synctool.comparison.entries import entries_for
    from synctool.prepare.inputs import means_one_video

    entries = entries_for(
        videos or [],
        settings,
        labels=labels,
        dataset=dataset,
        from_file=from_file,
        asked=given.names,
    )
    one = dataset is None and means_one_video(videos or [], from_file=from_file)
    _refuse_idle(given, entries, one=one)
    outputs = CompareOutputs(
        entries,
        Targets(
            json=json,
            trials=trials,
            csv=csv,
            metrics_csv=metrics_csv,
            plot=plot,
            html=renamed("--report", "--html", report, html),
            journal=journal,
        ),
        one=one,
        read=[
            str(name)
            for name in (labels, settings.split, settings.constants, settings.languages, from_file)
            if name is not None
        ],
        command=shlex.join(["synctool", *(context.obj or ["compare"])]),
        settings=settings,
        quiet=quiet,
    )
    outputs.check()
    measure_and_write(entries, settings, outputs, journal=journal, quiet=quiet)
    raise typer.Exit(outputs.exit_code)


def _refuse_idle(given: Given[CompareSettings], entries: list[Entry], *, one: bool) -> None:
    if one and "jobs" in given.names:
        raise no_effect("--jobs", "on a single video")
    if any(entry.clip is None for entry in entries):
        return
    reading = [row.name for row in rows(CompareSettings) if row.line.group == VIDEO]
    if idle := [name for name in reading if name in given.names]:
        raise no_effect(
            f"--{idle[0].replace('_', '-')}",
            "on a processed folder, whose faces are cut out already",
        )


def measure_and_write(
    entries: list[Entry],
    settings: CompareSettings,
    outputs: CompareOutputs,
    *,
    journal: str | None,
    quiet: bool,
) -> None:
    """Compare, and write the results; of interrupted work what is done, unless a journal has it."""
    from synctool.cli.compare_text import CompareBar
    from synctool.comparison.run import run_trials

    try:
        with CompareBar(quiet=quiet) as bar:
            for trial in run_trials(
                entries,
                settings,
                journal=journal,
                on_progress=bar,
                on_video=outputs.video,
                thumbnails=outputs.thumbnails,
            ):
                outputs.stream(trial)
    except (KeyboardInterrupt, SyncToolError) as end:
        if journal is None:
            outputs.all_done()
        if isinstance(end, KeyboardInterrupt):
            raise KeyboardInterrupt(_STOPPED[journal is not None]) from end
        raise
    outputs.all_done()
