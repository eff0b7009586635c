"""``synctool bench``: a fixed test bench for any model or command."""

from __future__ import annotations

from typing import Annotated

import typer

from synctool.cli.options import (
    RESULTS,
    Given,
    JournalFile,
    Quiet,
    result_option,
    settings_options,
)
from synctool.settings.bench import BenchSettings


@settings_options(BenchSettings)
def bench(
    given: Given[BenchSettings],
    context: typer.Context,
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--compare",
            metavar="CARD CARD",
            help="Show two score cards beside each other, and test nothing.",
            rich_help_panel=RESULTS,
        ),
    ] = None,
    journal: JournalFile = None,
    json: Annotated[
        str | None, result_option("--json", "The score card as JSON; - for stdout.")
    ] = None,
    html: Annotated[
        str | None, result_option("--html", "HTML page of the score card; - for stdout.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Test a model, or any command that tells an offset, on a fixed and versioned bench.

    Examples:

      synctool bench --quick

      synctool bench --backbone syncnet --json syncnet.json --jobs 0

      synctool bench --command 'other {video}' --answer-unit frames --json o.json

      synctool bench --command 'other {video} --json' --answer-key offset_ms

      synctool bench --only dataset --dataset lrs3/test --json lrs3.json

      synctool bench --compare syncnet.json other.json --html both.html

    The videos are rendered from fixed seeds, so that their truth is known to the sample; docs/bench.md has
    the rules. A command that crashes, hangs or prints no answer fails that video, and the bench goes on.

    Exit codes: 0 the bench ran, whatever the score; 5 weights, data or the program are missing; 2 usage, also
    cards that cannot be compared; 1 anything else.
    """
    settings = given.settings()
    from synctool.cli.bench_run import BenchRun, compare_files

    command = ["synctool", *(context.obj or ["bench"])]
    targets = {"--json": json, "--html": html, "--journal": journal}
    if compare is not None:
        compare_files(*compare, targets, asked=given.names, command=command, quiet=quiet)
        return
    BenchRun(settings, targets, command=command, quiet=quiet)()
