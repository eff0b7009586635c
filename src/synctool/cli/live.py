"""``synctool live``: streams watched while they run."""

from __future__ import annotations

from typing import Annotated

import typer

from synctool.cli.options import Given, Quiet, result_option, settings_options
from synctool.settings.live import LiveSettings


@settings_options(LiveSettings)
def live(
    given: Given[LiveSettings],
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Addresses of streams, files, - for the standard input, or device:FORMAT:NAME; with a name "
            "of your own as NAME=SOURCE.",
            show_default=False,
        ),
    ],
    json: Annotated[
        str | None,
        result_option(
            "--json",
            "JSON Lines, an event each, added to the file; - for stdout, the default if no terminal.",
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Watch streams: how far audio and video are apart, every second.

    Examples:

      synctool live udp://239.0.0.1:5000

      synctool live news=https://tv.example/live.m3u8 --alarm detectable --for 10

      synctool live udp://:5000 --alarm 100 --webhook https://ops.example/hook

      synctool live a=rtsp://10.0.0.7/1 b=rtsp://10.0.0.7/2 --metrics :9464

      ffmpeg -i srt://10.0.0.9:7000 -c copy -f mpegts - | synctool live -

    A first answer comes after about 3 s of visible speech, then one every second; it is 0.5 to 1 s behind the
    stream. Seconds in which nobody speaks or no face is in view have no answer, and raise no alarm. A stream
    that is lost is opened again, after 1 s and ever longer, up to 30 s. A file is played at its own speed.

    Exit codes: 0 stopped, or measured; 3 the sources ended without an answer; 4 they ended and there was an
    alarm; 5 something is missing, or a source was given up; 2 usage, 1 anything else.
    """
    settings = given.settings()
    from synctool.cli.live_run import LiveRun

    raise typer.Exit(LiveRun(sources, settings, json=json, quiet=quiet)())
