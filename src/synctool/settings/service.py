"""The settings of what measures videos as they come: ``watch`` and ``serve``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from synctool.settings import shared
from synctool.settings.base import Settings
from synctool.settings.detect import DetectSettings
from synctool.settings.fields import setting
from synctool.settings.fix import FixSettings
from synctool.types import FRAME_MS

SERVICE = "Service"
"""Heading in ``--help``."""


@dataclass(frozen=True, kw_only=True)
class ServiceSettings(Settings):
    """How each video is measured and repaired, and for how long."""

    backbone: str = shared.backbone()
    weights: Path | None = shared.weights()
    trust: tuple[str, ...] = shared.trust()
    device: shared.Device = shared.device()
    runtime: str = shared.runtime()
    max_offset: int = shared.max_offset()
    detector: str = shared.detector()
    max_faces: int = shared.max_faces()
    tolerance: float = setting(
        FRAME_MS,
        "Do not repair videos whose offsets are within this many milliseconds",
        minimum=0,
        metavar="MS",
    )
    player_mb: float = setting(
        8.0,
        "Maximum size of the player in the page of a video, in MB, 0 for no player",
        minimum=0,
        group="Results",
    )
    job_minutes: float = setting(
        60.0, "Give up on a video after this many minutes of work", minimum=0.01, group=SERVICE
    )
    jobs: int = shared.jobs(help="Videos at a time, 0 for one per core", group=SERVICE)

    @property
    def measuring(self) -> DetectSettings:
        """The settings of the measurements."""
        return DetectSettings.taken_from(self)

    @property
    def repairing(self) -> FixSettings:
        """The settings of the repairs."""
        return FixSettings.taken_from(self)
