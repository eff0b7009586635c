"""What of an entry is here, and where: looked at quickly, without reading the files."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from synctool.cache import default_folder, other_folders
from synctool.downloads.archives import listed_members
from synctool.downloads.checksums import difference, digests
from synctool.downloads.partial import Partial
from synctool.downloads.progress import Report, Step
from synctool.downloads.receipt import Receipt
from synctool.plugins.specs import CatalogueEntry, CatalogueFile

FileStatus = Literal["here", "unpacked", "partial", "missing"]
EntryStatus = Literal["here", "incomplete", "not here"]


@dataclass(frozen=True)
class FileState:
    """One file of an entry.

    Attributes:
        file: What the catalogue says.
        path: Its place.
        status: ``here``, ``unpacked`` (and the archive removed), ``partial`` or ``missing``.
        held: Bytes that are here and need not be fetched.
    """

    file: CatalogueFile
    path: Path
    status: FileStatus
    held: int

    @property
    def to_come(self) -> int | None:
        """Bytes to be fetched, None if the size is not known."""
        if self.status in ("here", "unpacked"):
            return 0
        return None if self.file.size is None else max(0, self.file.size - self.held)


@dataclass(frozen=True)
class EntryState:
    """An entry and a folder.

    Attributes:
        entry: What the catalogue says.
        folder: The folder that it is in, or would go into.
        status: ``here``, ``incomplete`` or ``not here``.
        files: Its files; none for an entry of the Hub.
        gone: Archives that were unpacked, and of which some files are not there any more.
    """

    entry: CatalogueEntry
    folder: Path
    status: EntryStatus
    files: tuple[FileState, ...] = ()
    gone: tuple[str, ...] = ()

    @property
    def missing(self) -> list[FileState]:
        """The files that are not here in full."""
        return [state for state in self.files if state.status not in ("here", "unpacked")]

    @property
    def to_come(self) -> int:
        """Bytes to be fetched, as far as the sizes are known."""
        return sum(state.to_come or 0 for state in self.files)

    @property
    def to_unpack(self) -> list[str]:
        """Archives whose content is not here, or not all of it."""
        done = Receipt.read(self.folder).unpacked
        return [n for n in self.entry.archives if n not in done or n in self.gone]


def find(entry: CatalogueEntry, folder: Path | None = None) -> EntryState:
    """Look where an entry is.

    Args:
        entry: An entry with files of its own, not of the Hub.
        folder: Where to look; None looks where it usually is and where it was put before.

    Returns:
        The state of the first folder that has it in full, else in part, else of the usual one.
    """
    folders = (
        [folder] if folder else [default_folder(entry.name, entry.kind), *other_folders(entry.name)]
    )
    states = [inspect(entry, place) for place in folders]
    order: tuple[EntryStatus, ...] = ("here", "incomplete", "not here")
    return min(states, key=lambda state: order.index(state.status))


def inspect(entry: CatalogueEntry, folder: Path) -> EntryState:
    """Look at one folder."""
    receipt = Receipt.read(folder)
    files = tuple(_file_state(entry, file, receipt) for file in entry.files)
    return _judged(EntryState(entry, folder, "not here", files))


def _judged(state: EntryState) -> EntryState:
    """The same with the status that its files give it."""
    some = bool(state.gone) or any(found.status != "missing" for found in state.files)
    whole = not state.missing and not state.to_unpack
    return replace(state, status="here" if whole else "incomplete" if some else "not here")


def _file_state(entry: CatalogueEntry, file: CatalogueFile, receipt: Receipt) -> FileState:
    path = receipt.folder / file.path
    size = path.stat().st_size if path.is_file() else None
    if size is not None and file.size in (None, size):
        return FileState(file, path, "here", size)
    if entry.archive_of(file) in receipt.unpacked:
        return FileState(file, path, "unpacked", 0)
    held = Partial(path).held
    return FileState(file, path, "partial" if held else "missing", held)


def confirm(state: EntryState, report: Report) -> EntryState:
    """Make sure that what seems to be here is right: read what is not known from the receipt.

    Files that are in place but wrong count as missing; so do archives of which an unpacked file is
    gone or has another size.
    """
    receipt = Receipt.read(state.folder)
    gone = tuple(name for name in receipt.unpacked if _members_gone(state.folder, name))
    files, news = [], False
    for found in state.files:
        if found.status == "unpacked" and state.entry.archive_of(found.file) in gone:
            found = replace(found, status="missing")
        elif found.status == "here" and not receipt.knows(found.file):
            read = digests(
                found.path,
                md5=found.file.md5 is not None,
                on_bytes=lambda done, f=found: report(Step("checking", f.file.path, done, f.held)),
            )
            if difference(found.file, read) is None:
                receipt.add(found.file.path, read)
                news = True
            else:
                found = replace(found, status="missing", held=0)
        files.append(found)
    if news:
        receipt.write_if_possible()
    return _judged(replace(state, files=tuple(files), gone=gone))


def _members_gone(folder: Path, archive: str) -> bool:
    """Whether something that was unpacked is not there any more, or has another size."""
    try:
        return any(
            size != _size(folder / path) for path, size, _ in listed_members(folder, archive)
        )
    except (OSError, ValueError):
        return True


def _size(path: Path) -> int | None:
    try:
        return os.lstat(path).st_size
    except OSError:
        return None
