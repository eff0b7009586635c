"""The files of an exported graph, read once: what is checked is what is loaded.

A folder of an exported model comes from anybody. Between a check of a file on the disk and its loading it
could change, and a link or a pipe in it could lead anywhere. So everything is read into memory, once, from
regular files inside the folder, and checksums, checks and readers all work on these bytes.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from synctool.errors import MissingError, WeightsError
from synctool.temporaries import scratch_folder

LARGEST_GRAPH_BYTES = 8 << 30
"""Most that the files of one graph may hold together."""
_MOST_FILES = 256
_DEEPEST = 8
_AGAIN = "Export the model again."
_REGULAR = "Put the file itself there: links, pipes and devices are not followed."


class TooLargeError(WeightsError):
    """A graph with more bytes than it may have."""


@dataclass(frozen=True)
class GraphFiles:
    """A graph as it lay on the disk when it was read.

    Attributes:
        path: Where it was, for messages.
        contents: Bytes by name relative to its folder, with slashes; "" where the graph is one file.
        sha256: Of all of it, as of ``digest_of``.
        trusted: Whether a format that can run code may load it; see ``synctool.runtimes.trust``.
    """

    path: Path
    contents: Mapping[str, bytes] = field(repr=False)
    sha256: str
    trusted: bool = False

    @property
    def data(self) -> bytes:
        """The bytes of a graph that is one file.

        Raises:
            WeightsError: It is a folder.
        """
        if set(self.contents) != {""}:
            raise WeightsError(f"{self.path} is a folder and not a file", remedy=_AGAIN)
        return self.contents[""]

    @contextmanager
    def private_copy(self) -> Iterator[Path]:
        """A copy of these bytes that nobody else can write, under the same name, for the block."""
        with scratch_folder() as folder:
            copy = folder / self.path.name
            for name, data in self.contents.items():
                place = copy / name if name else copy
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(data)
            yield copy


def read_graph_files(
    path: Path, *, most: int = LARGEST_GRAPH_BYTES, links: bool = False
) -> GraphFiles:
    """Read a graph into memory.

    Args:
        path: Its file or folder.
        most: Bytes that it may hold.
        links: Whether symbolic links are followed: only where the folder is this package's own.

    Raises:
        MissingError: It is gone, or cannot be read.
        TooLargeError: It holds more.
        WeightsError: Something in it is no regular file, or it is no graph.
    """
    try:
        found = os.stat(path) if links else os.lstat(path)
        names = [""]
        if stat.S_ISDIR(found.st_mode):
            names = _names(path, links=links)
        contents: dict[str, bytes] = {}
        for name in names:
            contents[name] = _read(path / name if name else path, most, links=links)
            most -= len(contents[name])
    except FileNotFoundError as error:
        raise MissingError(f"{path} is not there", remedy=_AGAIN) from error
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        reason = getattr(error, "strerror", None) or error
        raise MissingError(
            f"cannot read {path}: {reason}", remedy="Check its permissions."
        ) from error
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
    return GraphFiles(path, contents, digest_of(sums))


def digest_of(sums: Mapping[str, str]) -> str:
    """The checksum of a graph: of one file its SHA-256, of a folder that of the names and checksums in order.

    Args:
        sums: SHA-256 by relative name with slashes; "" for a single file.
    """
    if set(sums) == {""}:
        return sums[""]
    names = sorted(sums, key=lambda name: name.split("/"))
    return hashlib.sha256("".join(f"{n} {sums[n]}\n" for n in names).encode()).hexdigest()


def _names(folder: Path, *, links: bool, prefix: str = "", depth: int = 0) -> list[str]:
    """Names of all files below a folder, relative to it."""
    if depth > _DEEPEST:
        raise WeightsError(f"{folder} has folders too deep for a graph", remedy=_AGAIN)
    found: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=links):
                inside = f"{prefix}{entry.name}/"
                found += _names(Path(entry.path), links=links, prefix=inside, depth=depth + 1)
            else:
                found.append(prefix + entry.name)
            if len(found) > _MOST_FILES:
                raise WeightsError(f"{folder} has too many files for a graph", remedy=_AGAIN)
    return sorted(found)


def _read(path: Path, most: int, *, links: bool) -> bytes:
    """The bytes of a regular file; opening neither follows a link nor waits for a pipe."""
    if not links and path.is_symlink():
        raise WeightsError(f"{path} is a symbolic link", remedy=_REGULAR)
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    flags |= getattr(os, "O_CLOEXEC", 0) | (0 if links else getattr(os, "O_NOFOLLOW", 0))
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise WeightsError(f"{path} is no regular file", remedy=_REGULAR)
    descriptor = os.open(path, flags)
    with os.fdopen(descriptor, "rb") as file:
        opened = os.fstat(descriptor)
        if not stat.S_ISREG(opened.st_mode):  # it was exchanged meanwhile
            raise WeightsError(f"{path} is no regular file", remedy=_REGULAR)
        if opened.st_size > most:
            raise TooLargeError(f"{path} is too large: {opened.st_size} bytes", remedy=_AGAIN)
        data = file.read(opened.st_size + 1)
    if len(data) != opened.st_size:
        raise WeightsError(f"{path} changed while it was read", remedy="Try again.")
    return data
