"""``synctool adapt``: a model that knows the videos of a folder, without labels."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from synctool.cli.common import print_text
from synctool.cli.options import RESULTS, Given, Quiet, result_option, settings_options
from synctool.cli.outputs import Outputs
from synctool.errors import EXIT_INCONCLUSIVE
from synctool.settings.adapt import AdaptSettings

JSON, HTML = "--json", "--html"


@settings_options(AdaptSettings)
def adapt(
    given: Given[AdaptSettings],
    context: typer.Context,
    folder: Annotated[
        Path,
        typer.Argument(
            help="Folder of videos, or made by preprocess.", show_default=False, readable=False
        ),
    ],
    *,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="PATH",
            help="Weights (.safetensors); another name is a folder with the exported model and a new "
            "calibration.",
            rich_help_panel=RESULTS,
        ),
    ],
    work: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Keep unfinished work here (default OUT.work, which is removed at the end).",
            rich_help_panel=RESULTS,
        ),
    ] = None,
    json: Annotated[str | None, result_option(JSON, "JSON; - for stdout.")] = None,
    html: Annotated[
        str | None, result_option(HTML, "HTML page, before and after; - for stdout.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Adapt a model to a folder of videos, without labels, where that helps.

    Examples:

      synctool adapt talks/ -o talks.safetensors --html talks.html

      synctool adapt talks/ -o talks-onnx --stages calibration

      synctool adapt talks/ -o talks.safetensors --general processed/

      synctool detect talk.mp4 --weights talks.safetensors

    A few minutes of talking faces that are in sync up to an unknown offset. Part of them only measures: by
    audio moved by known amounts, and by other videos' audio. Tried in turn and kept only where they help:
    the calibration, the statistics of batch normalisation, the last layers. All but the calibration alone
    need the extra train.

    Ctrl-C keeps what is finished; the same command goes on.

    Exit codes: 0 adapted; 3 not adapted, as nothing helps or the videos do not carry it; 5 something is
    missing, 2 usage, 1 anything else.
    """
    settings = given.settings()
    kept = [str(settings.weights)] if settings.weights is not None else []
    outputs = Outputs({JSON: json, HTML: html}, plot=None, one=True, kept=kept, quiet=quiet)
    outputs.check()
    from synctool.cli.adapt_text import AdaptBar, use_of

    try:
        with AdaptBar(quiet=quiet) as bar:
            from synctool.adapting.run import adapt as adapted

            found = adapted(folder, out, settings, work=work, on_progress=bar)
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(
            "Stopped, and saved. Run the same command again to go on."
        ) from stop
    from synctool.report import adaptation, json_out

    if outputs.for_people:
        adaptation.print_adaptation(found)
        if found.output is not None:
            print_text(f"\n{use_of(found)}")
    if json is not None:
        json_out.write_json([found], json, lines=False)
    if html is not None:
        from synctool.report.html.adapt import adapt_page
        from synctool.report.html.pages import write_html

        command = shlex.join(["synctool", *(context.obj or ["adapt"])])
        write_html(adapt_page(found, command=command), html)
    if found.refused is not None:
        raise typer.Exit(EXIT_INCONCLUSIVE)
