"""A file that has come in part: its bytes, and which of them are there.

The bytes lie in ``.NAME.part`` at their final positions, what is known about them in
``.NAME.part.json`` beside it. The bytes reach the disk before the note that says so, so that a
killed process, or a machine that loses its power, loses no more than what came since the last note.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from synctool.files import write_text
from synctool.untrusted.documents import read_json, typed
from synctool.untrusted.origin import MalformedError

if TYPE_CHECKING:
    from synctool.downloads.http import Answer

_SCHEMA = "synctool.partial/1"


@dataclass(frozen=True)
class _Note:
    """The note as it lies beside the file."""

    schema: str
    url: str | None
    total: int | None
    etag: str | None
    last_modified: str | None
    spans: list[tuple[int, int]]


class Partial:
    """The part of one file that is here; safe to share among threads that write.

    Args:
        target: Where the file will be when it is complete.

    Attributes:
        url: Address of the server that the marks belong to.
        total: Bytes of the whole file, None while nobody has said.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target.with_name(f".{target.name}.part")
        self._note = target.with_name(f".{target.name}.part.json")
        self._lock = threading.Lock()
        self._noting = threading.RLock()
        self._forget()
        self._load()

    @property
    def held(self) -> int:
        """Bytes that are here."""
        with self._lock:
            return sum(stop - start for start, stop in self._spans)

    @property
    def complete(self) -> bool:
        """Whether all bytes are here."""
        with self._lock:
            spans = [[0, self.total]] if self.total else []
            return self.total is not None and self._spans == spans

    @property
    def if_range(self) -> str | None:
        """What tells the server which version the bytes are of; weak marks may not be used for it."""
        if self.etag and not self.etag.startswith("W/"):
            return self.etag
        return None if self.etag else self.last_modified

    def gaps(self, total: int) -> list[tuple[int, int]]:
        """What is missing of a file of so many bytes, as positions."""
        with self._lock:
            edges = [0, *(edge for span in self._spans for edge in span), total]
        pairs = zip(edges[::2], edges[1::2], strict=True)
        return [(start, stop) for start, stop in pairs if start < stop]

    def begin(self, url: str, *, checked: bool) -> None:
        """Get ready for bytes from an address; what cannot be trusted to fit them is thrown away.

        Args:
            url: The address.
            checked: Whether a checksum will tell if the bytes fit together.
        """
        marked = bool(self.etag or self.last_modified)
        if not checked and not (url == self.url and marked):
            self.discard()
        if url != self.url:
            self.etag = self.last_modified = None
        self.url = url

    def belongs(self, answer: Answer) -> bool:
        """Whether a server still has the version whose bytes are here; learns its marks at first."""
        with self._lock:
            if not (self.etag or self.last_modified):
                self.etag, self.last_modified = answer.etag, answer.last_modified
            if self.etag and answer.etag:
                return self.etag == answer.etag
            if self.last_modified and answer.last_modified:
                return self.last_modified == answer.last_modified
            return True

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Yield a handle of one's own to write with."""
        descriptor = os.open(self.path, os.O_CREAT | os.O_RDWR | getattr(os, "O_BINARY", 0), 0o666)
        with open(descriptor, "r+b", buffering=0) as handle:
            yield handle

    def write(self, handle: BinaryIO, position: int, chunk: bytes) -> None:
        """Write bytes where they belong, and note them.

        Raises:
            OSError: The disk does not take them.
        """
        handle.seek(position)
        left = memoryview(chunk)
        while left:  # a disk that is nearly full takes a part
            left = left[handle.write(left) :]
        with self._lock:
            self._spans = _joined([*self._spans, [position, position + len(chunk)]])
            self._writes += 1

    def save(self) -> None:
        """Write the note, if there is news.

        Raises:
            OSError: The disk does not take it.
            OutputError: The same.
        """
        with self._noting:
            with self._lock:
                if self._writes == self._noted:
                    return
                writes, state = self._writes, self._state()
            with self.open() as handle:
                os.fsync(handle.fileno())
            write_text(self._note, json.dumps(state) + "\n")
            self._noted = writes  # only now: Ctrl-C may have come in between

    def discard(self) -> None:
        """Throw everything away."""
        with self._noting, self._lock:  # no note of what is gone may come later
            self._forget()
            self._remove()

    def finish(self) -> None:
        """Put the complete file in its place; a reader sees the old one or the new one.

        Raises:
            OSError: The disk does not take it.
        """
        with self.open() as handle:
            os.fsync(handle.fileno())
        os.replace(self.path, self.target)
        self._note.unlink(missing_ok=True)
        _flush_folder(self.target.parent)

    def _forget(self) -> None:
        self.url: str | None = None
        self.total: int | None = None
        self.etag: str | None = None
        self.last_modified: str | None = None
        self._spans: list[list[int]] = []
        self._writes = self._noted = 0

    def _remove(self) -> None:
        for path in (self._note, self.path):  # a note without its bytes would lie
            path.unlink(missing_ok=True)

    def _state(self) -> dict[str, Any]:
        return {
            "schema": _SCHEMA,
            "url": self.url,
            "total": self.total,
            "etag": self.etag,
            "last_modified": self.last_modified,
            "spans": [list(span) for span in self._spans],
        }

    def _load(self) -> None:
        try:
            state: _Note = typed(read_json(self._note), _Note)
            there = self.path.stat().st_size
            spans = _joined([[int(start), int(stop)] for start, stop in state.spans])
            if state.schema != _SCHEMA or not spans or spans[-1][1] > there or spans[0][0] < 0:
                return
            if state.total is not None and state.total < spans[-1][1]:
                return
            marks = f"{state.etag or ''}{state.last_modified or ''}"
            if not (marks.isascii() and marks.isprintable()):  # they are sent to the server
                return
        except (OSError, MalformedError):
            return  # no note, or one that cannot be trusted
        self.url, self.etag, self.last_modified = state.url, state.etag, state.last_modified
        self.total, self._spans = state.total, spans


def _joined(spans: list[list[int]]) -> list[list[int]]:
    """Sort spans, and make one of those that touch."""
    joined: list[list[int]] = []
    for start, stop in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], stop)
        elif start < stop:
            joined.append([start, stop])
    return joined


def _flush_folder(folder: Path) -> None:
    """Bring a new name to the disk, where the system can do so."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
