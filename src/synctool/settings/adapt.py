"""The settings of ``adapt``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from synctool.errors import UsageError
from synctool.settings import shared
from synctool.settings.base import Settings
from synctool.settings.fields import did_you_mean, setting

STAGES = ("calibration", "normalization", "training")
"""What can be adapted, in this order."""


@dataclass(frozen=True, kw_only=True)
class AdaptSettings(Settings):
    """What is adapted to a folder of videos, and when it is accepted: see ``synctool adapt --help``."""

    section: ClassVar[str] = "adapt"

    stages: tuple[str, ...] = setting(
        STAGES,
        "What is adapted, each accepted only where it helps: calibration, normalization, training",
        separator=",",
        metavar="NAMES",
    )
    minutes: float = setting(
        10.0,
        "Work planned for two cores, in minutes, without the reading of the videos",
        minimum=0.5,
        maximum=600,
    )
    same_offset: Literal["video", "folder", "all"] = setting(
        "video",
        "What shares one unknown offset: each video, the videos of a folder, or all",
        metavar="WHAT",
    )
    held_out: float = setting(
        0.4, "Share of the videos that only measure, by speaker or video", minimum=0.1, maximum=0.8
    )
    margin: float = setting(
        0.01, "Most that may be lost on the general set, as a share", minimum=0, maximum=1
    )
    general: Path | None = setting(
        None,
        "Processed folder of general talk that must not get worse",
        unset="rendered faces",
        metavar="FOLDER",
    )
    backbone: str = shared.backbone()
    weights: Path | None = shared.weights(help="Weight file, or exported model, to adapt")
    device: shared.Device = shared.device(help="Where the training runs")
    detector: str = shared.detector()
    jobs: int = shared.jobs(default=0, help="Processes that read the videos, 0 for one per core")
    seed: int = shared.seed()

    def check(self) -> None:
        """See ``Settings.check``."""
        for name in self.stages:
            if name not in STAGES:
                raise UsageError(
                    f"no stage {name!r}{did_you_mean(name, STAGES)}",
                    remedy=f"--stages takes {', '.join(STAGES)}.",
                )
        if not self.stages:
            raise UsageError("no stage is named", remedy=f"--stages takes {', '.join(STAGES)}.")
