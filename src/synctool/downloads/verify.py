"""Reads everything that is here of an entry, and says what is right and what is not."""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from synctool.disk_space import amount
from synctool.downloads.archives import listed_members
from synctool.downloads.checksums import difference, digests
from synctool.downloads.progress import Report, Step
from synctool.downloads.receipt import Receipt
from synctool.downloads.state import EntryState, FileState
from synctool.files import chunks

Found = Literal["ok", "damaged", "incomplete", "not here", "no checksum known"]


@dataclass(frozen=True)
class FileCheck:
    """What became of one file, or of all that came out of an archive.

    Attributes:
        path: Relative path below the entry's folder.
        status: What was found.
        detail: More about it, or None.
    """

    path: str
    status: Found
    detail: str | None = None


def check_files(state: EntryState, report: Report) -> list[FileCheck]:
    """Read all files of an entry, and those that came out of its archives."""
    receipt = Receipt.read(state.folder)
    checks = [
        _check_file(found, receipt, report) for found in state.files if found.status != "unpacked"
    ]
    for archive in receipt.unpacked:
        checks += _check_members(state.folder, archive, report)
    return checks


def summed_up(checks: Sequence[FileCheck]) -> Found:
    """The status of an entry: the worst of its files."""
    found = {check.status for check in checks}
    if found <= {"not here"}:
        return "not here"
    if "damaged" in found:
        return "damaged"
    if found & {"incomplete", "not here"}:
        return "incomplete"
    return "no checksum known" if "no checksum known" in found else "ok"


def _check_file(state: FileState, receipt: Receipt, report: Report) -> FileCheck:
    path, file = state.file.path, state.file
    if not state.path.is_file():
        if state.status == "partial":
            whole = "" if file.size is None else f" of {amount(file.size)}"
            return FileCheck(path, "incomplete", f"{amount(state.held)}{whole}")
        return FileCheck(path, "not here")
    total = state.path.stat().st_size
    try:
        found = digests(
            state.path,
            md5=file.md5 is not None,
            on_bytes=lambda done: report(Step("checking", path, done, total)),
        )
    except OSError as error:
        return FileCheck(path, "damaged", f"cannot be read: {error.strerror}")
    problem = difference(file, found)
    if problem is not None:
        return FileCheck(path, "damaged", problem)
    arrived = receipt.files.get(path)
    if not file.has_checksum:
        if arrived is not None and arrived.sha256 != found.sha256:
            return FileCheck(path, "damaged", "it has changed since it came")
        return FileCheck(path, "no checksum known", arrived and "as it was when it came")
    return FileCheck(path, "ok")


def _check_members(folder: Path, archive: str, report: Report) -> list[FileCheck]:
    bad, count = [], 0
    try:
        members = list(listed_members(folder, archive))
    except (OSError, ValueError):
        return [FileCheck(archive, "incomplete", "the list of what came out of it is gone")]
    total, done = sum(size for _, size, _ in members), 0
    for path, size, crc in members:
        report(Step("checking", archive, done, total))
        done += size
        problem = _member_problem(folder / path, size, crc)
        if problem == "not here":
            bad.append(FileCheck(path, "incomplete", "gone since it was unpacked"))
        elif problem:
            bad.append(FileCheck(path, "damaged", problem))
        else:
            count += 1
    status = summed_up(bad) if bad else "ok"
    return [FileCheck(archive, status, f"{count} of {len(members)} unpacked files right"), *bad]


def _member_problem(path: Path, size: int, crc: int) -> str | None:
    try:
        found = os.lstat(path).st_size
        if found != size:
            return f"it has {found} bytes in place of {size}"
        read = 0
        with path.open("rb") as file:
            for chunk in chunks(file):
                read = zlib.crc32(chunk, read)
    except FileNotFoundError:
        return "not here"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return None if read == crc else f"its CRC-32 is {read:08x} in place of {crc:08x}"
