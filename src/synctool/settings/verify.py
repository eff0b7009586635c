"""The settings of ``verify``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from synctool.settings import shared
from synctool.settings.detect import DetectSettings
from synctool.settings.shared import VideoSettings


@dataclass(frozen=True, kw_only=True)
class VerifySettings(VideoSettings):
    """What measures videos whose lips and voices are verified: see ``synctool verify --help``."""

    section: ClassVar[str] = "verify"

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
        """The settings of the measurement."""
        return DetectSettings.taken_from(self)
