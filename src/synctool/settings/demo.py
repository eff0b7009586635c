"""The settings of ``demo``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from synctool.settings import shared
from synctool.settings.base import Settings
from synctool.settings.fields import setting
from synctool.settings.times import seconds_of


@dataclass(frozen=True, kw_only=True)
class DemoSettings(Settings):
    """Which video is made up, and what measures it: see ``synctool demo --help``."""

    section: ClassVar[str] = "demo"

    offset_ms: float = setting(
        120.0,
        "True offset of the video in milliseconds, above 0 for audio ahead",
        minimum=-5000,
        maximum=5000,
    )
    duration: float = setting(
        6.0, "Length of the video in seconds", minimum=2, maximum=600, read=seconds_of
    )
    faces: int = setting(1, "Number of faces, which speak in turns", minimum=1, maximum=3)
    height: int = setting(360, "Height of the video in pixels", minimum=240, maximum=720)
    seed: int = shared.seed(help="Seed of faces, voices, words and movements")
    backbones: tuple[str, ...] = setting(
        (shared.DEFAULT_BACKBONE,),
        "Model, or several to compare, separated by commas, as listed by synctool backbones",
        flag="backbone",
        short="-b",
        separator=",",
        metavar="NAMES",
        group=shared.MODEL,
    )
    device: shared.Device = shared.device()
    max_offset: int = shared.max_offset()
