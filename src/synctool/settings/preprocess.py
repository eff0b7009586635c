"""The settings of ``preprocess``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from synctool.settings import shared
from synctool.settings.fields import setting
from synctool.settings.shared import VideoSettings

_SYNC = "Synchronization"
_SYNCED = ("sync_correct",)


@dataclass(frozen=True, kw_only=True)
class PreprocessSettings(VideoSettings):
    """What is cropped out of videos, and how: see ``synctool preprocess --help``."""

    section: ClassVar[str] = "preprocess"

    crop: Literal["mouth", "face"] = setting("mouth", "Region that is cropped", metavar="REGION")
    size: int = setting(
        0, "Side of the crops in pixels, 0 for 96 (mouth) or 224 (face)", minimum=0, maximum=1024
    )
    colour: Literal["auto", "gray", "rgb"] = setting(
        "auto", "Colour of the crops, auto for gray mouths and rgb faces", metavar="COLOUR"
    )
    min_frames: int = setting(12, "Shortest clip kept, in frames of 40 ms", minimum=1)
    min_face: int = setting(48, "Minimum face height, in pixels of the video", minimum=0)
    layout: Literal["packed", "folders"] = setting(
        "packed", "tar shards, or a folder of files per clip", metavar="LAYOUT"
    )
    tree: str = setting("auto", "Folder layout of the videos, which names the speakers")
    shard_videos: int = setting(64, "Maximum videos per shard", minimum=1, formerly="shard_films")
    jobs: int = shared.jobs(
        default=0, help="Worker processes, 0 for one per core, 1 for none", formerly="workers"
    )
    engine: Literal["local", "ray"] = setting(
        "local", "Where the workers run: this machine, or a Ray cluster", metavar="ENGINE"
    )
    address: str | None = setting(
        None,
        "Ray cluster (with --engine ray): auto, or HOST:PORT",
        metavar="ADDRESS",
        needs=("engine=ray",),
    )
    sync_correct: bool = setting(
        False, "Correct each clip's own offset; drop clips without a confident one", group=_SYNC
    )
    sync_confidence: float = setting(
        0.5,
        "Minimum confidence of such an offset",
        minimum=0,
        maximum=1,
        group=_SYNC,
        needs=_SYNCED,
    )
    backbone: str = shared.backbone(help="Model that measures it", group=_SYNC, needs=_SYNCED)
    weights: Path | None = shared.weights(group=_SYNC, needs=_SYNCED)
    detector: str = shared.detector()
    max_faces: int = shared.max_faces(
        default=1, help="Maximum number of faces tracked at a time, the largest first"
    )
