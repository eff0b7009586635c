"""Names of members of an archive: which of them are safe, and where they go."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from synctool.downloads.failures import DownloadError
from synctool.downloads.receipt import OWN_FOLDER
from synctool.files import make_folder

_DRIVE = re.compile(r"[A-Za-z]:")
_ODD_ON_WINDOWS = re.compile(
    r"[:*?\"<>|\x00-\x1f]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE
)


class Names:
    """Checks the names of one archive.

    Args:
        archive: Its name, for the messages.
        folder: Where its members go.
        own: Paths in the folder that no member may take.
    """

    def __init__(self, archive: str, folder: Path, own: Iterable[str]) -> None:
        self._archive = archive
        self._folder = folder
        self._root = Path(os.path.realpath(folder))
        self._files = {_folded(path) for path in own}
        self._files |= {_folded(_beside(path, ending)) for path in own for ending in _PARTIAL}
        self._folders: set[str] = set()
        self._made: set[Path] = set()

    def check(self, name: str, *, folder: bool) -> None:
        """Make sure that a member may be unpacked.

        Args:
            name: Its name as the archive has it.
            folder: Whether it is a folder.

        Raises:
            DownloadError: It may not; the message names it.
        """
        if "\0" in name:
            raise self.refusal(name.replace("\0", "\\0"), "has a name that no file can have")
        slashed = name.replace("\\", "/")
        parts = slashed.split("/")
        if slashed.startswith("/") or _DRIVE.match(slashed) or ".." in parts:
            raise self.refusal(name, "would be written outside of the folder")
        path = _folded(self.path(name))
        if not path:
            if folder:
                return  # "./", which is the folder itself
            raise self.refusal(name, "has a name that no file can have")
        if path.split("/")[0] == OWN_FOLDER:
            raise self.refusal(name, "takes a name of synctool's own")
        if os.name == "nt" and any(_ODD_ON_WINDOWS.search(part) for part in path.split("/")):
            raise self.refusal(name, "has a name that no file on Windows can have")
        self._claim(name, path, folder=folder)

    def path(self, name: str) -> str:
        """Where a member goes, relative to the folder, with forward slashes."""
        return "/".join(
            part for part in name.replace("\\", "/").split("/") if part not in ("", ".")
        )

    def make_parents(self, target: Path) -> None:
        """Make the folder of a member; a link on the way must not lead out.

        Raises:
            DownloadError: It does.
            OutputError: The folder cannot be made.
        """
        parent = target.parent
        if parent in self._made:
            return
        real = Path(os.path.realpath(parent))
        if self._root not in (real, *real.parents):
            raise self.refusal(os.fspath(target), "would be written outside of the folder")
        make_folder(parent)
        self._made.add(parent)

    def refusal(self, name: str, why: str) -> DownloadError:
        """The error for a member that must not be unpacked."""
        return DownloadError(
            f"{self._archive} is not unpacked: its member {name!r} {why}",
            remedy="Such an archive is broken or made to do harm: tell its publisher.",
        )

    def _claim(self, name: str, path: str, *, folder: bool) -> None:
        """Take a name; on some systems upper and lower case, or two spellings of é, are one."""
        parts = path.split("/")
        above = {"/".join(parts[:count]) for count in range(1, len(parts))}
        if folder:
            above.add(path)
        elif path in self._files or path in self._folders:
            raise self.refusal(name, "takes the place of another file")
        else:
            self._files.add(path)
        if not above.isdisjoint(self._files):
            raise self.refusal(name, "takes the place of another file")
        self._folders |= above


_PARTIAL = (".part", ".part.json")


def _beside(path: str, ending: str) -> str:
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}.{name}{ending}"


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
