"""The settings of ``serve``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from synctool.settings.fields import setting
from synctool.settings.service import SERVICE, ServiceSettings

ACCESS = "Access"
LIMITS = "Limits"
"""Headings in ``--help``."""


@dataclass(frozen=True, kw_only=True)
class ServeSettings(ServiceSettings):
    """Who may send videos, how many and how large, and what measures them: see ``synctool serve --help``."""

    section: ClassVar[str] = "serve"

    host: str = setting("127.0.0.1", "Address to listen on", metavar="ADDRESS", group=ACCESS)
    port: int = setting(
        8000, "Port to listen on, 0 for any free one", minimum=0, maximum=65535, group=ACCESS
    )
    tokens: Path | None = setting(
        None, "File of tokens, NAME TOKEN a line; who sends one of them may use the service",
        metavar="FILE", group=ACCESS,
    )  # fmt: skip
    open: bool = setting(
        False, "Let everybody use the service who reaches its address", group=ACCESS
    )
    allow: tuple[str, ...] = setting(
        (), "Folder whose videos may be named by their paths", metavar="FOLDER", group=ACCESS
    )
    data: Path | None = setting(
        None,
        "Folder of the jobs, their database and their files",
        unset="one of the user's",
        metavar="DIR",
        group=SERVICE,
    )
    keep_hours: float = setting(
        24.0, "Delete jobs so many hours after they are done, 0 to keep them", minimum=0,
        group=SERVICE,
    )  # fmt: skip
    upload_mb: float = setting(
        2000.0, "Maximum size of a video that is sent, in MB", minimum=0.001, group=LIMITS
    )
    uploads: int = setting(16, "Maximum number of uploads at a time", minimum=1, group=LIMITS)
    upload_timeout: float = setting(
        30.0, "Give up on an upload of which less than 32 KiB come within this many seconds", minimum=0.1,
        group=LIMITS,
    )  # fmt: skip
    queue: int = setting(100, "Maximum number of jobs that wait", minimum=1, group=LIMITS)
    max_minutes: float = setting(
        120.0, "Maximum length of a video, in minutes", minimum=0.01, group=LIMITS
    )
    max_megapixels: float = setting(
        9.0, "Maximum size of its images, in millions of pixels", minimum=0.001, group=LIMITS
    )
    max_streams: int = setting(32, "Maximum number of its streams", minimum=2, group=LIMITS)
