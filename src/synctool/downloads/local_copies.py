"""Brings files of an entry from a copy on this machine: a disk that was carried here, a shared folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from synctool.downloads.checksums import Digests, Hasher, difference
from synctool.downloads.failures import DownloadError
from synctool.downloads.progress import Report, Step
from synctool.errors import MissingError, UsageError
from synctool.files import atomic_path, chunks, make_folder
from synctool.plugins.specs import CatalogueEntry, CatalogueFile


def copies_of(
    entry: CatalogueEntry, wanted: Sequence[CatalogueFile], source: Path
) -> dict[str, Path]:
    """Find copies of files.

    Args:
        entry: What they belong to.
        wanted: The files.
        source: A file, or a folder that holds them: laid out as the entry's own, or all in one place.

    Returns:
        The copies by path in the entry; files without one are left out.

    Raises:
        MissingError: No such source.
        UsageError: The file is none of the entry's by its name, and the entry has several.
    """
    if source.is_dir():
        found = {}
        for file in wanted:
            for place in (source / file.path, source / PurePosixPath(file.path).name):
                if place.is_file():
                    found[file.path] = place
                    break
        return found
    if not source.is_file():
        raise MissingError(f"no such file or folder: {source}", remedy="Check the path.")
    if len(entry.files) == 1:
        return {file.path: source for file in wanted}
    named = [file for file in entry.files if PurePosixPath(file.path).name == source.name]
    if len(named) != 1:
        raise UsageError(
            f"{source.name} is none of the files of {entry.name}",
            remedy=f"They are {_some(entry.files)}; give the folder that holds them.",
        )
    return {file.path: source for file in wanted if file == named[0]}


def import_file(file: CatalogueFile, source: Path, folder: Path, *, report: Report) -> Digests:
    """Copy a file into its place, checked on the way.

    Args:
        file: What it must be.
        source: The copy.
        folder: The entry's folder.
        report: Progress callback.

    Raises:
        DownloadError: It is not what it must be; nothing has changed.
        MissingError: It cannot be read.
        OutputError: It cannot be written.
    """
    target = folder / file.path
    make_folder(target.parent)
    hasher = Hasher(md5=file.md5 is not None)
    try:
        total = source.stat().st_size
        if file.size not in (None, total):
            raise _wrong(source, f"it has {total} bytes in place of {file.size}")
        with source.open("rb") as reader, atomic_path(target) as temporary:
            with temporary.open("wb") as writer:
                for chunk in chunks(
                    reader, on_bytes=lambda done: report(Step("importing", file.path, done, total))
                ):
                    hasher.update(chunk)
                    writer.write(chunk)
            problem = difference(file, hasher.digests())
            if problem is not None:
                raise _wrong(source, problem)
    except OSError as error:
        raise MissingError(
            f"cannot read {source}: {error.strerror or error}", remedy="Check it, and its disk."
        ) from error
    return hasher.digests()


def _wrong(source: Path, problem: str) -> DownloadError:
    return DownloadError(
        f"{os.fspath(source)} is not the published file: {problem}",
        remedy="Get another copy, or leave out --from to fetch it.",
    )


def _some(files: Sequence[CatalogueFile]) -> str:
    names = [PurePosixPath(file.path).name for file in files[:5]]
    return ", ".join(names) + (" ..." if len(files) > 5 else "")
