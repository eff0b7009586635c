"""``synctool verify``: whether lips and voice belong together."""

from __future__ import annotations

from typing import Annotated

import typer

from synctool.cli.options import (
    RESULTS,
    FromFile,
    Given,
    Quiet,
    result_option,
    settings_options,
)
from synctool.cli.verify_run import HTML, JSON, VerifyOutputs, VerifyRun
from synctool.settings.verify import VerifySettings


@settings_options(VerifySettings)
def verify(
    given: Given[VerifySettings],
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
        result_option(JSON, "JSON; for several videos JSON Lines; - for stdout."),
    ] = None,
    plot: Annotated[
        str | None,
        result_option(
            "--plot", "Plot of scores, offset and mouth over time; a folder for several videos."
        ),
    ] = None,
    html: Annotated[
        str | None,
        result_option(HTML, "HTML page: verdicts, reasons, charts; - for stdout."),
    ] = None,
    fail: Annotated[
        bool,
        typer.Option(
            "--fail",
            help="Exit with 4 if lips and voice of a video do not belong together naturally.",
            rich_help_panel=RESULTS,
        ),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Say whether lips and voice belong together, by their sync alone.

    Examples:

      synctool verify talk.mp4

      synctool verify talk.mp4 --html talk.html --json talk.json

      synctool verify interviews/ --json - | jq '[.input, .verdict, .dub.value]'

    Verdicts, for every face and span and for the whole: natural, offset, dubbed (or a voice-over), reanimated
    (lips that seem generated), cannot tell. Each has its reasons. The dub score is the probability that the
    audio is not that of the lips, where either is as likely before; its interval is that of 90 %.

    It is evidence, and no proof: a generator whose lips follow the audio as people's do is not seen, and
    a natural video may be suspected. docs/verify.md has the figures.

    Exit codes: 0 a verdict, 3 cannot tell, 4 not natural (with --fail), 5 something is missing, 2 usage,
    1 anything else; several videos give the worst.
    """
    settings = given.settings()
    from synctool.prepare.inputs import expand, means_one_video

    names = expand(videos or [], from_file=from_file)
    one = means_one_video(videos or [], from_file=from_file)
    command = ["synctool", *(context.obj or ["verify"])]
    outputs = VerifyOutputs(
        names, {JSON: json, HTML: html}, plot=plot, one=one, command=command, quiet=quiet
    )
    outputs.check()
    raise typer.Exit(VerifyRun(names, outputs, settings, fail=fail, quiet=quiet)())
