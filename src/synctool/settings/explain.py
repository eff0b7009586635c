"""The settings of ``explain``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from synctool.settings import shared
from synctool.settings.fields import setting
from synctool.settings.shared import VideoSettings
from synctool.settings.times import FORMS, seconds_of

ExplainMethod = Literal["auto", "occlusion", "grad-cam", "integrated-gradients"]


@dataclass(frozen=True, kw_only=True)
class ExplainSettings(VideoSettings):
    """What is explained of a video, and how: see ``synctool explain --help``."""

    section: ClassVar[str] = "explain"

    at: float = setting(
        1.0,
        f"Moment to explain, as {FORMS} (a frame of 40 ms)",
        minimum=0,
        metavar="TIME",
        read=seconds_of,
    )
    seconds: float = setting(
        2.0,
        "Length of the video round it that is explained, in seconds",
        minimum=0.4,
        maximum=10,
        read=seconds_of,
    )
    face: int | None = setting(
        None, "Number of the face, as detect gives it", minimum=0, unset="the largest there"
    )
    method: ExplainMethod = setting(
        "auto", "How the map is made; auto is occlusion, which any model allows", metavar="NAME"
    )
    checks: bool = setting(
        True, "Check the map with shuffled weights, which needs PyTorch and as long again"
    )
    backbone: str = shared.backbone()
    weights: Path | None = shared.weights()
    trust: tuple[str, ...] = shared.trust()
    device: shared.Device = shared.device()
    runtime: str = shared.runtime()
    max_offset: int = shared.max_offset()
    detector: str = shared.detector()
    max_faces: int = shared.max_faces()
