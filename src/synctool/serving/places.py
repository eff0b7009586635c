"""Folders of the service: that of its jobs, and those whose videos may be named."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import platformdirs

from synctool.errors import MissingError, UsageError
from synctool.settings.serve import ServeSettings


def data_folder(settings: ServeSettings) -> Path:
    """The folder of the jobs, with all links followed."""
    chosen = settings.data or Path(platformdirs.user_data_dir("synctool")) / "serve"
    return Path(os.path.realpath(chosen))


def check_allowed(folders: Iterable[str], data: Path) -> None:
    """See whether videos may be named in these folders.

    Raises:
        MissingError: One is not there.
        UsageError: One holds the jobs, which are others' affairs.
    """
    for folder in folders:
        place = Path(os.path.realpath(folder))
        if not place.is_dir():
            raise MissingError(f"{folder} is no folder", remedy="Check the path of --allow.")
        if place == data or place in data.parents or data in place.parents:
            raise UsageError(
                f"--allow {folder} and the folder of the jobs, {data}, hold each other",
                remedy="Give another --data.",
            )
