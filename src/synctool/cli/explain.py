"""``synctool explain``: what carried the answer at one moment."""

from __future__ import annotations

import shlex
from functools import partial
from typing import Annotated

import typer

from synctool.cli.options import RESULTS, Given, Quiet, result_option, settings_options
from synctool.cli.outputs import Outputs
from synctool.cli.progress import progress_bar
from synctool.cli.video_bars import VideoBars
from synctool.settings.explain import ExplainSettings

JSON, HTML, VIDEO = "--json", "--html", "--video"


@settings_options(ExplainSettings)
def explain(
    given: Given[ExplainSettings],
    context: typer.Context,
    video: Annotated[str, typer.Argument(help="The video.", show_default=False)],
    json: Annotated[str | None, result_option(JSON, "JSON; - for stdout.")] = None,
    plot: Annotated[
        str | None, result_option("--plot", "Picture: map, frames, moments, score volume.")
    ] = None,
    html: Annotated[str | None, result_option(HTML, "HTML page; - for stdout.")] = None,
    movie: Annotated[
        str | None,
        typer.Option(
            VIDEO,
            metavar="FILE",
            help="Short video: the crops with the map, the score volume beside them, the audio.",
            rich_help_panel=RESULTS,
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Show which pixels and moments carried the answer at one time.

    Examples:

      synctool explain talk.mp4 --at 12.4 --plot why.png

      synctool explain talk.mp4 --at 12.4 --html why.html --video why.mp4

      synctool explain talk.mp4 --at 12.4 --method grad-cam --json -

    Occlusion works with any model: a square of the face that is made not to move, or a moment of audio that
    is made like all others, costs some of the score. Grad-CAM and integrated gradients take the network in
    PyTorch (extra explain). Two checks tell whether the map says anything: what masking the named pixels
    costs, beside as many others, and whether shuffled weights give another map.

    Exit codes: 0 explained, 5 something is missing, 2 usage, 1 anything else.
    """
    settings = given.settings()
    outputs = Outputs(
        {JSON: json, HTML: html, VIDEO: movie}, plot=plot, one=True, kept=[video], quiet=quiet
    )
    outputs.check()
    if movie is not None:
        from synctool.report.explain_video import check_ending

        check_ending(movie)
    from synctool.explaining.run import explain as explained
    from synctool.networks.names import model_spec

    with progress_bar(quiet=quiet) as bar:
        bars = VideoBars(bar, [video])
        found = explained(video, settings, on_progress=partial(bars.show, video))
    colour = model_spec(settings.backbone).video.colour
    from synctool.report import explanation, json_out

    if outputs.for_people:
        explanation.print_explanation(found)
    if json is not None:
        json_out.write_json([found], json, lines=False)
    if (path := outputs.plot_path(video)) is not None:
        explanation.write_picture(found, colour, path)
    if movie is not None:
        from synctool.report.explain_video import write_video

        write_video(found, colour, movie)
    if html is not None:
        from synctool.report.html.explain import explain_page
        from synctool.report.html.pages import write_html

        command = shlex.join(["synctool", *(context.obj or ["explain"])])
        write_html(explain_page(found, colour, command=command), html)
