"""Finding videos in folders, who speaks in them, and which of them are the same video twice."""

from __future__ import annotations

import csv
import hashlib
import io
import logging
import os
import re
import stat
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from synctool.data.retries import is_transient, retried
from synctool.data.storage import Storage
from synctool.errors import MissingError, TransientError, UsageError
from synctool.files import chunks
from synctool.media.video_files import (
    HEAD_BYTES,
    begins_like_video,
    is_video,
    may_hide_video,
)
from synctool.prepare.layouts import Identity, known

_LOG = logging.getLogger(__name__)
MANIFEST = "manifest.csv"
_HEAD_BYTES = 1 << 16
_READERS = 16
_LONGEST_PART = 80
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True)
class VideoEntry:
    """A video of a collection.

    Attributes:
        name: Its path below the collection's folder, with forward slashes.
        speaker: Who speaks, or "" where nobody said.
        source: The collection it comes from, for constants that differ by source.
        split: ``train``, ``dev`` or ``test`` where the collection says so, else "".
        film: The recording that it is a part of.
        size_bytes: Its size.
        key: Stem of the keys of its samples, unique in the collection.
        language: What is spoken, as a BCP 47 tag such as ``en``; "" where the collection does not say.
    """

    name: str
    speaker: str = ""
    source: str = ""
    split: str = ""
    film: str = ""
    size_bytes: int = 0
    key: str = ""
    language: str = ""


@dataclass(frozen=True)
class Collection:
    """The videos of a folder, in order, and what could not be read: ``video`` and ``reason`` each."""

    videos: tuple[VideoEntry, ...]
    unreadable: tuple[dict[str, str], ...] = ()


def videos_in(folder: Path) -> list[Path]:
    """All files below a folder that are videos by their names, sorted; see ``video_files``.

    Files that only their content tells to be videos are left out, and named in the log, as are folders
    below it that cannot be read.

    Args:
        folder: Where to look.

    Raises:
        MissingError: The folder cannot be read.
    """
    failures: list[OSError] = []
    found, doubted = [], []
    for root, _, names in os.walk(folder, onerror=failures.append):
        for name in names:
            path = Path(root) / name
            if _is_special(path):
                continue
            if is_video(name, lambda path=path: _local_head(path)):
                found.append(path)
            elif may_hide_video(name) and begins_like_video(_local_head(path)):
                doubted.append(os.fspath(path))
    if not found and failures:
        raise MissingError(
            f"cannot read {folder}: {failures[0].strerror}", remedy="Check its permissions."
        )
    _tell_left_out(doubted)
    for failure in failures:
        _LOG.warning("cannot read the folder %s: %s", failure.filename, failure.strerror)
    return sorted(found)


def _is_special(path: Path) -> bool:
    """Whether this is a pipe, a socket or a device; what cannot be looked at fails by itself later."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _local_head(path: Path) -> bytes:
    """The first bytes of an ordinary file; nothing of a pipe, or of a file that cannot be read."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return b""
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except OSError:
        return b""


def _tell_left_out(names: list[str]) -> None:
    if names:
        shown = sorted(names)[0].encode("utf-8", "replace").decode()
        many = f"{len(names)} files look" if len(names) > 1 else "1 file looks"
        _LOG.warning(
            "%s like video by content and not by name, left out (%s); name files to use them",
            many,
            shown,
        )


def collection(
    folder: Storage, *, identify: Callable[[tuple[str, ...]], Identity] | None = None
) -> Collection:
    """The videos of a training collection with their speakers.

    Args:
        folder: Top of the tree.
        identify: Tells who speaks by the parts of a video's path. None believes a ``manifest.csv`` in
            the folder (columns path, speaker, and optionally film, source, split, language), and without one
            tells the layout by the names of the folders.

    Raises:
        MissingError: There is no such folder, or no video in it.
        UsageError: It is a file, or the manifest lacks a column.
    """
    if os.path.isfile(folder.place):
        raise UsageError(
            f"{folder.place} is a file, and a folder of videos is wanted",
            remedy="Give the folder that holds it.",
        )
    if not folder.exists():
        raise MissingError(
            f"no such folder: {folder.place}", remedy="Give the folder that holds the videos."
        )
    unreadable: list[dict[str, str]] = []

    def note(name: str, reason: str) -> None:
        unreadable.append({"film": f"{name}/", "reason": f"the folder cannot be read: {reason}"})

    sizes = {
        name: size
        for name, size in folder.walk(note)
        if is_video(name, lambda name=name, size=size: _head(folder, name, size))
    }
    if identify is None and folder.exists(MANIFEST):
        entries = _from_manifest(folder, sizes)
    else:
        tell, source = identify or known, re.split(r"[/\\]", folder.address.rstrip("/"))[-1]
        entries = [
            VideoEntry(name, who.speaker, source, who.split, who.film, sizes[name])
            for name in sorted(sizes)
            for who in (tell(tuple(name.split("/"))),)
        ]
    if not entries:
        raise MissingError(
            f"no videos below {folder.place}"
            + (f" ({unreadable[0]['reason']})" if unreadable else ""),
            remedy="Give the folder that holds the videos.",
        )
    keys = keys_of([e.name for e in entries])
    return Collection(
        tuple(replace(e, key=key) for e, key in zip(entries, keys)),
        tuple(unreadable),
    )


def _head(folder: Storage, name: str, size_bytes: int) -> bytes:
    """The first bytes of a file; nothing of one without a size (a pipe) or that cannot be read."""
    try:
        if size_bytes:
            return folder.head(name, HEAD_BYTES)
    except TransientError:
        raise  # or a failing connection would decide what is a video
    except (MissingError, OSError):
        pass
    return b""


def _from_manifest(folder: Storage, sizes: dict[str, int]) -> list[VideoEntry]:
    text = folder.read(MANIFEST).decode("utf-8-sig")
    rows: Iterable[dict[str, str]] = list(csv.DictReader(io.StringIO(text, newline="")))
    if rows and not {"path", "speaker"} <= set(next(iter(rows))):
        raise UsageError(
            f"{folder.place}/{MANIFEST} lacks a column",
            remedy="It needs the columns path and speaker.",
        )
    # A speaker that only repeats the name of its source is no speaker.
    return [
        VideoEntry(
            name=row["path"],
            speaker=row["speaker"] if row["speaker"] != row.get("source") else "",
            source=row.get("source") or "",
            split=row["split"] if row.get("split") in ("train", "dev", "test") else "",
            film=row.get("film") or row["path"].rsplit(".", 1)[0],
            size_bytes=sizes.get(row["path"], 0),
            language=row.get("language") or "",
        )
        for row in rows
    ]


def keys_of(names: Sequence[str]) -> list[str]:
    """Names that every file system and tar reader takes, one for each video.

    Letters, digits, dashes and underscores stay, folders too. Names that would become the same, on a
    file system that does not tell capitals apart either, get a part of their own checksum.
    """
    plain = [
        "/".join(
            _safe(part) for part in (*name.split("/")[:-1], name.split("/")[-1].rsplit(".", 1)[0])
        )
        for name in names
    ]
    counts: dict[str, int] = {}
    for key in plain:
        counts[key.lower()] = counts.get(key.lower(), 0) + 1
    return [
        key if counts[key.lower()] == 1 else f"{key}-{_digest(name)}"
        for key, name in zip(plain, names)
    ]


def _safe(part: str) -> str:
    safe = _UNSAFE.sub("_", part) or "_"
    return safe if len(safe) <= _LONGEST_PART else f"{safe[:_LONGEST_PART]}-{_digest(part)}"


def _digest(name: str) -> str:
    return hashlib.blake2s(name.encode("utf-8", "surrogateescape"), digest_size=4).hexdigest()


def duplicates(folder: Storage, videos: Sequence[VideoEntry]) -> dict[str, str]:
    """Videos whose content another video before them has already.

    Only videos of one size are read: their first 64 KB, and all of it where those are the same.

    Args:
        folder: Where they lie.
        videos: The videos.

    Returns:
        The first video of the same content, by name of the later one. A video that cannot be read is
        no duplicate; it fails by itself.
    """
    groups = _grouped(
        [[f.name for f in g] for g in _by_size(videos)], lambda n: _hash(folder, n, _HEAD_BYTES)
    )
    groups = _grouped(groups, lambda n: _hash(folder, n, None))
    return {later: group[0] for group in groups for later in group[1:]}


def _by_size(videos: Sequence[VideoEntry]) -> list[list[VideoEntry]]:
    sizes: dict[int, list[VideoEntry]] = {}
    for video in videos:
        sizes.setdefault(video.size_bytes, []).append(video)
    return [group for size, group in sizes.items() if size and len(group) > 1]


def _grouped(groups: list[list[str]], hashed: Callable[[str], str]) -> list[list[str]]:
    """Split groups of videos by a checksum; those alone with theirs fall out."""
    with ThreadPoolExecutor(_READERS) as pool:
        names = [name for group in groups for name in group]
        sums = dict(zip(names, pool.map(hashed, names)))
    split: list[list[str]] = []
    for group in groups:
        parts: dict[str, list[str]] = {}
        for name in group:
            parts.setdefault(sums[name], []).append(name)
        split += [part for key, part in parts.items() if key and len(part) > 1]
    return split


def _hash(folder: Storage, name: str, size: int | None) -> str:
    def content() -> str:
        if size is not None:
            return hashlib.blake2b(folder.head(name, size), digest_size=16).hexdigest()
        digest = hashlib.blake2b(digest_size=16)
        with folder.open(name) as file:
            for chunk in chunks(file):
                digest.update(chunk)
        return digest.hexdigest()

    try:
        return retried(content, name)
    except Exception as error:
        if isinstance(error, MissingError | OSError) or is_transient(error):
            return ""
        raise
