"""The settings of ``fix``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from synctool.settings import shared
from synctool.settings.detect import DetectSettings
from synctool.settings.fields import setting
from synctool.settings.shared import VIDEO, VideoSettings
from synctool.types import FRAME_MS


@dataclass(frozen=True, kw_only=True)
class FixSettings(VideoSettings):
    """What measures videos before and after a repair, and what is repaired: see ``synctool fix --help``."""

    section: ClassVar[str] = "fix"

    audio_track: int | None = setting(
        None,
        "Audio track that is measured and moved alone, from 0",
        minimum=0,
        unset="the one that players choose is measured, and all are moved",
        group=VIDEO,
    )
    tolerance: float = setting(
        FRAME_MS,
        "Leave videos alone whose offsets are within this many milliseconds",
        minimum=0,
        metavar="MS",
    )
    backbone: str = shared.backbone()
    weights: Path | None = shared.weights()
    trust: tuple[str, ...] = shared.trust()
    device: shared.Device = shared.device()
    runtime: str = shared.runtime()
    max_offset: int = shared.max_offset()
    detector: str = shared.detector()
    max_faces: int = shared.max_faces()

    @property
    def measuring(self) -> DetectSettings:
        """The settings of the measurements."""
        return DetectSettings.taken_from(self)
