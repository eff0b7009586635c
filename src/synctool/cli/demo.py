"""``synctool demo``: a made-up video with a known offset, measured."""

from __future__ import annotations

from typing import Annotated

import typer

from synctool.cli.options import RESULTS, Given, Quiet, result_option, settings_options
from synctool.errors import no_effect
from synctool.settings.demo import DemoSettings

FILE_NAME = "synctool-demo.mp4"


@settings_options(DemoSettings)
def demo(
    given: Given[DemoSettings],
    context: typer.Context,
    out: Annotated[
        str,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="The video: .mp4, .mov or .mkv; an earlier one of this command is replaced "
            f"(default {FILE_NAME}).",
            rich_help_panel=RESULTS,
            show_default=False,
        ),
    ] = FILE_NAME,
    json: Annotated[
        str | None, result_option("--json", "The result as JSON; - for stdout.")
    ] = None,
    plot: Annotated[
        str | None, result_option("--plot", "Plot of offset and confidence over time.")
    ] = None,
    html: Annotated[
        str | None,
        result_option(
            "--html", "HTML page, opened in the browser when run on a terminal; - for stdout."
        ),
    ] = None,
    no_open: Annotated[
        bool,
        typer.Option(
            "--no-open", help="Do not open the page in the browser.", rich_help_panel=RESULTS
        ),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Make up a video of a talking face with a known offset, and measure it.

    Examples:

      synctool demo

      synctool demo --offset-ms -80 --html demo.html

      synctool demo --faces 2 --duration 12 --seed 3 -o two.mp4

      synctool demo --backbone fcn-cls,syncnet --offset-ms 200

    The face is drawn and the voice synthesized, so that the truth is known to the sample and nothing is
    downloaded. How well a model reads them says little about real faces.

    Exit codes: 0 measured, 3 inconclusive, 5 weights or an extra is missing, 2 usage, 1 anything else.
    """
    settings = given.settings()
    if no_open and html is None:
        raise no_effect("--no-open", "without --html", add="--html FILE")
    from synctool.cli.demo_run import DemoRun, Targets

    targets = Targets(json=json, plot=plot, html=html)
    command = ["synctool", *(context.obj or ["demo"])]
    run = DemoRun(settings, out, targets, command=command, open_page=not no_open, quiet=quiet)
    raise typer.Exit(run())
