"""The settings of ``detect``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from synctool.settings import shared
from synctool.settings.fields import setting
from synctool.settings.shared import VideoSettings
from synctool.types import Verdict

VERDICTS: tuple[Verdict, ...] = ("detectable", "unacceptable")
"""Limits by name of ``fail_over``, the tighter one first."""


def check_limit(text: str) -> None:
    """See that a text is a limit: the name of a verdict, or milliseconds.

    Raises:
        ValueError: It is not.
    """
    if text in VERDICTS:
        return
    try:
        limit = float(text)
    except ValueError:
        limit = float("nan")
    if limit != limit:
        raise ValueError(f"{text!r} is neither {', nor '.join(VERDICTS)}, nor milliseconds")


@dataclass(frozen=True, kw_only=True)
class DetectSettings(VideoSettings):
    """What measures videos, and how: see ``synctool detect --help``."""

    section: ClassVar[str] = "detect"

    backbone: str = shared.backbone()
    weights: Path | None = shared.weights()
    trust: tuple[str, ...] = shared.trust()
    device: shared.Device = shared.device()
    runtime: str = shared.runtime()
    max_offset: int = shared.max_offset()
    fail_over: str | None = setting(
        None,
        "Exit with 4 if a video is out of tolerance: detectable, unacceptable, or milliseconds",
        metavar="LIMIT",
        check=check_limit,
    )
    detector: str = shared.detector()
    max_faces: int = shared.max_faces()
    player_mb: float = setting(
        8.0,
        "Maximum size of the players in the --html page, in MB, 0 for no players",
        minimum=0,
        group="Results",
    )
    jobs: int = shared.jobs(help="Videos of a batch at a time, 0 for one per core")

    @property
    def limit(self) -> Verdict | float | None:
        """``fail_over`` as a verdict or in milliseconds, None for no limit."""
        if self.fail_over is None:
            return None
        for verdict in VERDICTS:
            if verdict == self.fail_over:
                return verdict
        return abs(float(self.fail_over))
