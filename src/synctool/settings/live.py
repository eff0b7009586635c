"""The settings of ``live``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from synctool.settings import shared
from synctool.settings.detect import check_limit
from synctool.settings.fields import setting
from synctool.settings.shared import VIDEO, VideoSettings
from synctool.webhooks import check_address

ALARMS, OUTLETS = "Alarms", "Results"
"""Headings in ``--help``."""
HIGHEST_PORT = 65_535


def listening_address(text: str) -> tuple[str, int]:
    """Host and port of ``[HOST]:PORT``; no host is every address of the machine.

    Raises:
        ValueError: It is none.
    """
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > HIGHEST_PORT or ("]" in host) != host.startswith("["):
        raise ValueError(f"{text!r} is not [HOST]:PORT")
    return host.strip("[]"), int(port)


@dataclass(frozen=True, kw_only=True)
class LiveSettings(VideoSettings):
    """What watches streams, and how: see ``synctool live --help``."""

    section: ClassVar[str] = "live"

    stall_timeout: float = setting(
        10.0,
        "Take a stream for lost after this many seconds without packets, frames or audio",
        minimum=1,
        group=VIDEO,
    )
    give_up: float | None = setting(
        None,
        "Give up on a source that has been lost for this many seconds",
        minimum=1,
        unset="never",
        group=VIDEO,
    )
    fast: bool = setting(
        False, "Measure files as fast as possible, not at their own speed", group=VIDEO
    )
    backbone: str = shared.backbone()
    weights: Path | None = shared.weights()
    trust: tuple[str, ...] = shared.trust()
    device: shared.Device = shared.device()
    runtime: str = shared.runtime()
    max_offset: int = shared.max_offset()
    detector: str = shared.detector()
    max_faces: int = shared.max_faces()
    alarm: str | None = setting(
        None,
        "Raise an alarm while the offset is out of tolerance: detectable, unacceptable, or milliseconds",
        metavar="LIMIT",
        check=check_limit,
        group=ALARMS,
    )
    for_seconds: float = setting(
        5.0,
        "Raise it, and end it, once this has lasted so many seconds",
        flag="for",
        metavar="SECONDS",
        minimum=0,
        maximum=86_400,
        needs=("alarm",),
        group=ALARMS,
    )
    on_alarm: str | None = setting(
        None,
        "Run this command on an alarm and on recovery, with the event as JSON on its standard input",
        metavar="COMMAND",
        needs=("alarm",),
        flag_only=True,  # a settings file that comes with somebody's data must not run commands
        group=ALARMS,
    )
    webhook: str | None = setting(
        None,
        "Send alarms, recoveries and losses as JSON to this address, again and again until it answers",
        metavar="URL",
        check=check_address,
        group=ALARMS,
    )
    webhook_secret: Path | None = setting(
        None,
        "File with the secret that signs the requests of --webhook",
        metavar="FILE",
        needs=("webhook",),
        group=ALARMS,
    )
    metrics: str | None = setting(
        None,
        "Serve metrics for Prometheus at this address",
        metavar="[HOST]:PORT",
        check=listening_address,
        group=OUTLETS,
    )
    history: Path | None = setting(
        None,
        "Keep all answers and events in this SQLite database",
        metavar="FILE",
        group=OUTLETS,
    )
    history_days: float = setting(
        30.0,
        "Delete what is older than this many days from the database, 0 to keep all",
        minimum=0,
        needs=("history",),
        group=OUTLETS,
    )
