"""The settings of ``download``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from synctool.settings.base import Settings
from synctool.settings.fields import setting


@dataclass(frozen=True, kw_only=True)
class DownloadSettings(Settings):
    """How files are fetched: see ``synctool download get --help``."""

    section: ClassVar[str] = "download"

    offline: bool = setting(False, "Never use the network")
    user: str | None = setting(None, "User name (also SYNCTOOL_USER); the password is asked for")
    keep_archives: bool = setting(False, "Keep archives after unpacking")
    parallel: int = setting(4, "Parts of a file fetched at once", minimum=1, maximum=16)
    retries: int = setting(5, "Retries after a network error", minimum=0)
    timeout_s: float = setting(30.0, "Longest silence of a server, in seconds", minimum=1)
    wait_s: float = setting(
        1.0, "First wait before a retry, in seconds; doubled each time", minimum=0
    )
