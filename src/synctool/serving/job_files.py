"""The files of the service's jobs, and which files of the machine may be named by a path."""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from synctool.errors import MissingError, UsageError
from synctool.extras import is_installed
from synctool.files import make_folder
from synctool.names import printable
from synctool.repairing.containers import SUFFIXES
from synctool.serving.job_store import JobRecord
from synctool.serving.jobs import VideoJob, VideoLimits

_LONGEST_NAME = 150
_BAD = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')
FileKind = Literal["result", "page", "plot", "repaired", "repair"]
"""What a job may have written, as the API calls it."""
_FILES: dict[FileKind, str] = {
    "result": "result.json",
    "page": "page.html",
    "plot": "plot.png",
    "repair": "repair.json",
}


def safe_name(given: str) -> str:
    """The base name of a video that was sent, such that it is one on every system and steers nothing."""
    base = printable(_BAD.sub("_", re.split(r"[/\\]", given)[-1])).strip(" .")
    stem, dot, ending = base.rpartition(".")
    if not stem or len(ending) > 16:
        stem, dot, ending = base, "", ""
    while len(f"{stem}{dot}{ending}".encode()) > _LONGEST_NAME:
        stem = stem[:-1]
    return f"{stem}{dot}{ending}".lstrip("-") or "video"


@dataclass(frozen=True)
class JobFiles:
    """The folder of the service: a folder for each job, and one for what is being sent.

    Attributes:
        folder: The folder.
    """

    folder: Path

    @property
    def uploads(self) -> Path:
        """Where videos grow while they are sent."""
        return self.folder / "uploads"

    def of(self, id: str) -> Path:
        """The folder of a job."""
        return self.folder / "jobs" / id

    def prepare(self, known: Iterable[str]) -> None:
        """Make the folders, and remove what belongs to no job: what a killed process was receiving.

        Raises:
            OutputError: They cannot be made.
        """
        shutil.rmtree(self.uploads, ignore_errors=True)
        make_folder(self.uploads)
        make_folder(self.folder / "jobs")
        for path in (self.folder / "jobs").iterdir():
            if path.name not in known:
                shutil.rmtree(path, ignore_errors=True)

    def take_upload(self, received: Path, record: JobRecord) -> None:
        """Give a video that has come whole its place.

        Raises:
            OutputError: The folder cannot be made.
        """
        make_folder(self.video(record).parent)
        received.replace(self.video(record))

    def video(self, record: JobRecord) -> Path:
        """The video of a job."""
        return Path(record.source) if record.source else self.of(record.id) / "video" / record.name

    def repaired_name(self, record: JobRecord) -> str:
        """What the repaired file is called when it is downloaded."""
        stem, ending = os.path.splitext(record.name)
        return f"{stem}-repaired{ending if ending.lower() in SUFFIXES else '.mkv'}"

    def written(self, record: JobRecord) -> dict[FileKind, Path]:
        """What a job has written, by kind."""
        places: dict[FileKind, Path] = {
            kind: self.of(record.id) / name for kind, name in _FILES.items()
        }
        places["repaired"] = self._repaired(record)
        return {kind: places[kind] for kind in get_args(FileKind) if places[kind].is_file()}

    def job(self, record: JobRecord, limits: VideoLimits) -> VideoJob:
        """What a worker is to do."""
        place = self.of(record.id)
        make_folder(place)
        with_plot = is_installed("matplotlib")
        return VideoJob(
            id=record.id,
            path=str(self.video(record)),
            name=record.name,
            json=str(place / _FILES["result"]),
            page=str(place / _FILES["page"]),
            plot=str(place / _FILES["plot"]) if with_plot else None,
            fixed=str(self._repaired(record)) if record.fix else None,
            fix_json=str(place / _FILES["repair"]) if record.fix else None,
            command=f"synctool serve, {record.name}",
            limits=limits,
        )

    def remove_video(self, record: JobRecord) -> None:
        """Remove a video that was sent: its job is done."""
        if record.source is None:
            self.video(record).unlink(missing_ok=True)

    def remove(self, id: str) -> None:
        """Remove all files of a job."""
        shutil.rmtree(self.of(id), ignore_errors=True)

    def _repaired(self, record: JobRecord) -> Path:
        return self.of(record.id) / "repaired" / self.repaired_name(record)


class OutsideError(UsageError):
    """A path that leads out of the allowed folders."""


def allowed_path(given: str, folders: Iterable[str]) -> Path:
    """The file that a path means, with all links followed; it lies in one of the folders.

    Args:
        given: Absolute, or below one of the folders.
        folders: The allowed ones.

    Raises:
        OutsideError: It lies elsewhere, or nothing may be named by its path.
        MissingError: There is no such file in them.
    """
    places = [os.path.realpath(folder) for folder in folders]
    inside = []
    for place in places:
        try:
            path = Path(os.path.realpath(os.path.join(place, given)))
        except (OSError, ValueError):
            continue
        if Path(place) in path.parents:
            inside.append(path)
    if not inside:
        raise OutsideError(
            f"{printable(given)} is in none of the allowed folders",
            remedy="Send the video itself, or ask who runs the service for --allow.",
        )
    for path in inside:
        try:
            if stat.S_ISREG(path.stat().st_mode):
                return path
        except OSError:
            continue
    raise MissingError(f"no such file: {printable(given)}", remedy="Check the path.")
