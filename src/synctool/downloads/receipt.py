"""What was brought into a folder: a small note in it, so that nothing is read again without need."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from synctool.downloads.checksums import Digests, difference
from synctool.errors import OutputError
from synctool.files import make_folder, output_error, write_text
from synctool.plugins.specs import CatalogueFile
from synctool.untrusted.documents import read_json, typed
from synctool.untrusted.origin import MalformedError

OWN_FOLDER = ".synctool"
"""Name of the folder for synctool's notes, within the folder of an entry."""
_SCHEMA = "synctool.receipt/1"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Arrived:
    """A file as it was when it came.

    Attributes:
        size: Bytes.
        mtime_ns: When it was written, which tells if somebody has changed it since.
        sha256: Its SHA-256.
    """

    size: int
    mtime_ns: int
    sha256: str


@dataclass
class _Note:
    """The note as it lies in the folder."""

    schema: str
    files: dict[str, Arrived]
    unpacked: dict[str, int]


@dataclass
class Receipt:
    """The note of one folder.

    Attributes:
        folder: The folder of the entry.
        files: The files that came, by path.
        unpacked: Number of files that came out of each archive.
    """

    folder: Path
    files: dict[str, Arrived] = field(default_factory=dict)
    unpacked: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Receipt:
        """Read the note; one that is not there or damaged is an empty one."""
        receipt = cls(folder)
        try:
            data: _Note = typed(read_json(_path(folder)), _Note)
            if data.schema == _SCHEMA:
                receipt.files, receipt.unpacked = data.files, data.unpacked
        except FileNotFoundError:
            pass
        except (OSError, MalformedError) as error:
            _log.debug("the receipt in %s cannot be read: %s", folder, error)
        return receipt

    def knows(self, file: CatalogueFile) -> bool:
        """Whether a file is as it was when it came, and that is what the catalogue wants."""
        arrived = self.files.get(file.path)
        try:
            found = (self.folder / file.path).stat()
        except OSError:
            return False
        if arrived is None or difference(file, Digests(arrived.size, arrived.sha256)):
            return False
        return (found.st_size, found.st_mtime_ns) == (arrived.size, arrived.mtime_ns)

    def add(self, path: str, digests: Digests) -> None:
        """Note a file that is in its place and checked."""
        mtime_ns = (self.folder / path).stat().st_mtime_ns
        self.files[path] = Arrived(digests.size, mtime_ns, digests.sha256)

    def write(self) -> None:
        """Write the note.

        Raises:
            OutputError: It cannot be written.
        """
        make_folder(self.folder / OWN_FOLDER)
        files = {path: asdict(arrived) for path, arrived in self.files.items()}
        data = {"schema": _SCHEMA, "files": files, "unpacked": self.unpacked}
        write_text(_path(self.folder), json.dumps(data, indent=1) + "\n")

    def write_if_possible(self) -> None:
        """Write the note where the folder allows it: what is here is here without it, too."""
        try:
            self.write()
        except OutputError as error:
            _log.debug("no receipt: %s", error)


def _path(folder: Path) -> Path:
    return folder / OWN_FOLDER / "receipt.json"


@contextmanager
def locked(folder: Path, *, on_wait: Callable[[], None]) -> Iterator[None]:
    """Keep other processes out of a folder.

    Args:
        folder: The folder of an entry.
        on_wait: Called again and again while another process has the folder.

    Raises:
        OutputError: The folder cannot be written.
    """
    from filelock import FileLock, Timeout

    make_folder(folder / OWN_FOLDER)
    lock = FileLock(folder / OWN_FOLDER / "lock")
    while True:
        try:
            lock.acquire(timeout=0.2)
            break
        except Timeout:
            on_wait()
        except (OSError, NotImplementedError) as error:
            raise output_error(
                folder, OSError(getattr(error, "errno", None), str(error))
            ) from error
    try:
        yield
    finally:
        lock.release()
