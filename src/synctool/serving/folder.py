"""Which videos of a watched folder are complete: not growing any more, and not open for writing.

The folder is looked at again and again, which also works on network shares, where the operating system does
not tell of new files.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from synctool.errors import MissingError
from synctool.media.video_files import HEAD_BYTES, is_video

if sys.platform == "linux":
    import fcntl


@dataclass(frozen=True)
class FoundVideo:
    """A video of the folder, as it was when it was looked at.

    Attributes:
        path: Where it is.
        name: Its path below the folder, with forward slashes.
        size_bytes: Its size.
        changed_ns: Its time of change.
    """

    path: Path
    name: str
    size_bytes: int
    changed_ns: int

    @property
    def key(self) -> str:
        """What tells it from others, and from itself with other content."""
        return json.dumps([self.name, self.size_bytes, self.changed_ns])


class WatchedFolder:
    """Finds the videos of a folder and those below it, each once for each content.

    Args:
        folder: The folder.
        settle_s: How long size and time of change must stay the same.
        left_out: Folders below it that are not looked at: those of results.
        clock: Gives seconds.
    """

    def __init__(
        self,
        folder: Path,
        *,
        settle_s: float,
        left_out: tuple[Path, ...] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder, self._settle_s, self._clock = folder, settle_s, clock
        self._left_out = tuple(Path(os.path.realpath(place)) for place in left_out)
        self._since: dict[str, float] = {}
        self._given: dict[str, str] = {}

    def complete(self) -> list[FoundVideo]:
        """Look at the folder: the videos that are complete and were not given before, oldest first.

        Raises:
            MissingError: The folder cannot be read.
        """
        now = self._clock()
        found = list(self._found())
        since = {video.key: self._since.get(video.key, now) for video in found}
        self._since = since  # what has changed or gone is forgotten
        names = {video.name for video in found}
        self._given = {name: key for name, key in self._given.items() if name in names}
        made = [
            video
            for video in sorted(found, key=lambda video: (video.changed_ns, video.name))
            if self._given.get(video.name) != video.key
            and now - since[video.key] >= self._settle_s
            and not open_for_writing(video.path)
        ]
        self._given.update((video.name, video.key) for video in made)
        return made

    @property
    def waiting(self) -> int:
        """How many videos were there at the last look, and are not complete yet."""
        return len(self._since) - len(self._given)

    def is_as_found(self, video: FoundVideo) -> bool:
        """Whether a video is still what it was when it was given."""
        with suppress(OSError):
            now = self._looked_at(video.path)
            return now is not None and now.key == video.key
        return False

    def give_again(self, video: FoundVideo, *, after_s: float = 0.0) -> None:
        """Give a video again when it is complete, and not before some time has passed."""
        self._given.pop(video.name, None)
        self._since[video.key] = self._clock() + max(after_s - self._settle_s, 0.0)

    def _found(self) -> Iterator[FoundVideo]:
        failures: list[OSError] = []
        for root, folders, names in os.walk(self._folder, onerror=failures.append):
            folders[:] = [name for name in folders if not self._holds_results(Path(root, name))]
            for name in names:
                path = Path(root, name)
                with suppress(OSError):  # gone meanwhile
                    video = self._looked_at(path)
                    if video is not None and is_video(name, lambda path=path: _head(path)):
                        yield video
        if failures and Path(failures[0].filename) == self._folder:
            raise MissingError(
                f"cannot read {self._folder}: {failures[0].strerror}",
                remedy="Check the folder and its permissions.",
            )

    def _looked_at(self, path: Path) -> FoundVideo | None:
        """A file as it is now; None for an empty one, which is only just begun, and for what is no file."""
        facts = path.stat()
        if not facts.st_size or not stat.S_ISREG(facts.st_mode):
            return None
        name = path.relative_to(self._folder).as_posix()
        return FoundVideo(path, name, facts.st_size, facts.st_mtime_ns)

    def _holds_results(self, folder: Path) -> bool:
        return Path(os.path.realpath(folder)) in self._left_out


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def open_for_writing(path: Path) -> bool:
    """Whether another program has a file open for writing, as far as the operating system tells.

    Linux refuses a read lease on such a file; where leases are not allowed (files of others, some network
    shares) the answer is no, and only size and time of change tell. Windows refuses to open it.
    """
    try:
        file = os.open(path, os.O_RDONLY)
    except PermissionError:
        return sys.platform == "win32"
    except OSError:
        return False
    try:
        return sys.platform == "linux" and _lease_is_refused(file)
    finally:
        os.close(file)


def _lease_is_refused(file: int) -> bool:
    try:
        # Who opens it for writing meanwhile breaks the lease by a signal, which is one that nobody minds.
        fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    return False
