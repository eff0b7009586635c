"""Finding films in folders, and who speaks in them."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from synctool.errors import MissingError, UsageError

FILM_SUFFIXES = frozenset(
    ".3gp .asf .avi .divx .f4v .flv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .mxf .ogv .ts .vob "
    ".webm .wmv".split()
)


@dataclass(frozen=True)
class FilmEntry:
    """A film of a collection.

    Attributes:
        path: The file.
        name: Its path below the collection's folder, with forward slashes.
        speaker: Who speaks, or "" where nobody said.
        source: The collection it comes from, for constants that differ by source.
        split: ``train``, ``dev`` or ``test`` where the collection says so, else "".
    """

    path: Path
    name: str
    speaker: str = ""
    source: str = ""
    split: str = ""


def films_in(folder: Path) -> list[Path]:
    """All files below a folder that look like films, sorted by name.

    Args:
        folder: Where to look.

    Raises:
        MissingError: The folder cannot be read.
    """
    failures: list[OSError] = []
    found = [
        Path(root) / name
        for root, _, names in os.walk(folder, onerror=failures.append)
        for name in names
        if os.path.splitext(name)[1].lower() in FILM_SUFFIXES and not name.startswith(".")
    ]
    if not found and failures:
        raise MissingError(
            f"cannot read {folder}: {failures[0].strerror}", remedy="Check its permissions."
        )
    return sorted(found)


def collection(folder: Path) -> list[FilmEntry]:
    """The films of a training collection with their speakers.

    A ``manifest.csv`` in the folder (columns path, speaker, and optionally source, split) is
    believed; otherwise the first folder below the collection is the speaker (VoxCeleb's
    ``id/video/clip``, GRID's ``s1/clip``), and films lying flat have none.

    Args:
        folder: Top of the tree.

    Raises:
        MissingError: There is no such folder, or no film in it.
        UsageError: The manifest lacks a column.
    """
    if not folder.is_dir():
        raise MissingError(
            f"no such folder: {folder}", remedy="Give the folder that holds the films."
        )
    manifest = folder / "manifest.csv"
    entries = _from_manifest(folder, manifest) if manifest.is_file() else _from_tree(folder)
    if not entries:
        raise MissingError(
            f"no films below {folder}", remedy="Give the folder that holds the films."
        )
    return entries


def _from_manifest(folder: Path, manifest: Path) -> list[FilmEntry]:
    with manifest.open(newline="", encoding="utf-8") as file:
        rows: Iterable[dict[str, str]] = list(csv.DictReader(file))
    if rows and not {"path", "speaker"} <= set(next(iter(rows))):
        raise UsageError(
            f"{manifest} lacks a column", remedy="It needs the columns path and speaker."
        )
    # A speaker that only repeats the name of its source is no speaker.
    return [
        FilmEntry(
            path=folder / row["path"],
            name=row["path"],
            speaker=row["speaker"] if row["speaker"] != row.get("source") else "",
            source=row.get("source") or "",
            split=row["split"] if row.get("split") in ("train", "dev", "test") else "",
        )
        for row in rows
    ]


def _from_tree(folder: Path) -> list[FilmEntry]:
    entries = []
    for path in films_in(folder):
        parts = path.relative_to(folder).parts
        speaker = parts[0] if len(parts) > 1 else ""
        entries.append(FilmEntry(path, "/".join(parts), speaker, source=folder.name))
    return entries
