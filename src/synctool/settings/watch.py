"""The settings of ``watch``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from synctool.settings.fields import setting
from synctool.settings.service import SERVICE, ServiceSettings
from synctool.settings.shared import VideoSettings


@dataclass(frozen=True, kw_only=True)
class WatchSettings(ServiceSettings, VideoSettings):
    """What measures the videos of a folder, and when: see ``synctool watch --help``."""

    section: ClassVar[str] = "watch"

    settle: float = setting(
        5.0,
        "Seconds for which size and time of change of a file must stay the same",
        minimum=0.1,
        group=SERVICE,
    )
    interval: float = setting(
        2.0, "Seconds between two looks at the folder", minimum=0.05, group=SERVICE
    )
