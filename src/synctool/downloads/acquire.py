"""Completes an entry in a folder: fetches or imports its files, unpacks archives, notes what came."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from synctool.disk_space import check_space
from synctool.downloads.access import Access
from synctool.downloads.archives import unpack
from synctool.downloads.failures import NotGiven
from synctool.downloads.local_copies import copies_of, import_file
from synctool.downloads.partial import Partial
from synctool.downloads.progress import Report, Step
from synctool.downloads.receipt import Receipt
from synctool.downloads.state import EntryState
from synctool.errors import MissingError

if TYPE_CHECKING:
    from synctool.settings.download import DownloadSettings


@dataclass
class Acquired:
    """What was done for an entry.

    Attributes:
        files: Paths of the files that came.
        bytes_come: Bytes that came.
        unpacked: Files that were unpacked.
    """

    files: tuple[str, ...] = ()
    bytes_come: int = 0
    unpacked: int = 0


def everything(state: EntryState) -> EntryState:
    """The same entry as if nothing of it were here; what had come in part is thrown away."""
    for found in state.files:
        Partial(found.path).discard()
    files = tuple(replace(found, status="missing", held=0) for found in state.files)
    return replace(state, status="not here", files=files)


def check_room(state: EntryState) -> None:
    """Make sure that what is missing fits on the disk, as far as the sizes are known.

    Raises:
        OutputError: It does not.
    """
    room = state.entry.unpacked_bytes if state.missing or state.to_unpack else 0
    check_space(state.folder, state.to_come + room, state.entry.name)


def fetch_missing(
    state: EntryState, access: Access, manner: DownloadSettings, report: Report
) -> Acquired:
    """Fetch the files that are missing, one after the other.

    A file that no mirror has does not cost the others; its error is raised at the end.

    Raises:
        DownloadError: One cannot be had from any mirror.
        MissingError: The same, and a user name and a password are wanted.
        OutputError: The disk does not take it.
    """
    from synctool.downloads.fetch import fetch_file
    from synctool.downloads.http import Http

    acquired, receipt = Acquired(), Receipt.read(state.folder)
    absent: list[NotGiven] = []
    with Http(timeout_s=manner.timeout_s, credentials=access.credentials) as http:
        for found in state.missing:
            held = Partial(found.path).held
            try:
                came = fetch_file(
                    state.entry,
                    found.file,
                    state.folder,
                    http=http,
                    manner=manner,
                    report=report,
                )
            except NotGiven as error:
                absent.append(error)
                continue
            receipt.add(found.file.path, came)
            receipt.write()
            acquired.files += (found.file.path,)
            acquired.bytes_come += max(0, came.size - held)
    if len(absent) > 1:
        causes = "\n".join(error.cause for error in absent)
        raise NotGiven(causes, remedy=absent[0].remedy)
    if absent:
        raise absent[0]
    return acquired


def import_missing(state: EntryState, source: Path, report: Report) -> Acquired:
    """Take the files that are missing from a copy on this machine.

    Raises:
        DownloadError: A copy is not the published file.
        MissingError: The copy does not have them all; those that it has are in their place.
        OutputError: The disk does not take them.
    """
    acquired, receipt = Acquired(), Receipt.read(state.folder)
    copies = copies_of(state.entry, [found.file for found in state.missing], source)
    for found in state.missing:
        if found.file.path not in copies:
            continue
        copy = copies[found.file.path]
        came = import_file(found.file, copy, state.folder, report=report)
        Partial(found.path).discard()
        receipt.add(found.file.path, came)
        receipt.write()
        acquired.files += (found.file.path,)
        acquired.bytes_come += came.size
    absent = [f.file.path for f in state.missing if f.file.path not in copies]
    if absent:
        named = ", ".join(absent[:5]) + (" ..." if len(absent) > 5 else "")
        raise MissingError(
            f"{source} does not have all of {state.entry.name}: {len(absent)} of "
            f"{len(state.entry.files)} files are missing ({named})",
            remedy="What it has is in its place. Give a folder with the rest, or leave out --from "
            "to fetch it.",
        )
    return acquired


def unpack_all(state: EntryState, *, anew: bool, keep: bool, report: Report) -> int:
    """Unpack the archives of an entry, and remove those that are unpacked.

    Args:
        state: What was here before the files came that were missing.
        anew: Unpack also what seems to be there.
        keep: Keep the archives.
        report: Told how far it is.

    Returns:
        The number of files that came out.

    Raises:
        DownloadError: An archive is damaged or does harm.
        OutputError: The disk does not take it.
    """
    entry, folder = state.entry, state.folder
    receipt, count = Receipt.read(folder), 0
    own = [*(file.path for file in entry.files), *entry.archives]
    for name, files in entry.archives.items():
        parts = [folder / file.path for file in files]
        if anew or name not in receipt.unpacked or name in state.gone:
            receipt.unpacked[name] = unpack(
                name,
                parts,
                folder,
                own=own,
                estimate=entry.unpacked_bytes,
                anew=anew,
                on_bytes=lambda d, total, name=name: report(Step("unpacking", name, d, total)),
            )
            receipt.write()
            count += receipt.unpacked[name]
        if not keep and any(part.exists() for part in parts):
            for file, part in zip(files, parts, strict=True):
                part.unlink(missing_ok=True)
                receipt.files.pop(file.path, None)
            receipt.write()
    return count
