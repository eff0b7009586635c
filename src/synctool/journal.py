"""A journal: what is finished is on the disk, and a second run goes on after it.

A file of JSON lines: first what the run is, then for each finished video its rows (results, trials), a
line each, and a line that closes the video. A video without its closing line is unfinished and is
measured again; its lines are cut off when the journal is opened. One run writes at a time. In memory is
no row, only where each video begins and ends.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Generic, NamedTuple, TypeVar

from synctool.errors import SyncToolError, UsageError
from synctool.files import check_writable, lock, output_error
from synctool.untrusted.documents import LARGEST, parse_json, typed
from synctool.untrusted.origin import MalformedError, Origin
from synctool.untrusted.regular import MIB

_T = TypeVar("_T")
_CLOSED = "film"
_LONGEST = 80
_LONGEST_HEADER = MIB


@dataclass(frozen=True)
class RowKind(Generic[_T]):
    """What a journal holds of a video, and how it is written.

    Attributes:
        schema: Schema of the journal, in its first line.
        command: Whose journal it is, for messages.
        counted: What the closing line calls the number of rows.
        to_dict: A row as plain data, with its ``schema``; all of it, so that it comes back exactly.
        from_dict: A row from such data; may raise ValueError, TypeError or KeyError.
        shape: The type that the data must have.
        largest: Most bytes of a line.
    """

    schema: str
    command: str
    counted: str
    to_dict: Callable[[_T], Mapping[str, Any]]
    from_dict: Callable[[dict[str, Any]], _T]
    shape: type
    largest: int = LARGEST


@dataclass(frozen=True)
class Record(Generic[_T]):
    """What a journal holds of a video.

    Attributes:
        name: The video as it was given.
        rows: Its rows, in order.
        facts: What else was noted of it.
    """

    name: str
    rows: tuple[_T, ...]
    facts: Mapping[str, Any]


class BusyError(SyncToolError):
    """Another run is writing the journal."""


class _Place(NamedTuple):
    """Where a video is in the file: its rows, then the line that closes it."""

    begin: int
    closing: int
    end: int


class Journal(Generic[_T]):
    """A journal that is open for going on. Use it as a context manager.

    Args:
        path: The file; it is made if it is not there.
        settings: What the rows depend on, as JSON knows it. A journal of other settings is another
            run's.
        kind: What the rows are.
        lasting: Whether a later run can find it; not so of a temporary one.

    Raises:
        UsageError: The file is another run's journal, or no journal.
        BusyError: Another run is writing it.
        OutputError: It cannot be written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        settings: Mapping[str, Any],
        kind: RowKind[_T],
        *,
        lasting: bool = True,
    ) -> None:
        self.lasting = lasting
        self._path = Path(path)
        self._kind = kind
        self._settings = json.loads(json.dumps(settings))
        self._videos: dict[str, _Place] = {}
        self._end = 0
        check_writable(self._path)
        if self._path.exists() and not self._path.is_file():
            raise UsageError(
                f"{self._path} is no ordinary file", remedy="Give --journal another name."
            )
        self._file = self._open()

    def __enter__(self) -> Journal[_T]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __contains__(self, key: object) -> bool:
        """Whether a video is finished."""
        return key in self._videos

    def __len__(self) -> int:
        """How many videos are finished."""
        return len(self._videos)

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    def read(self, key: str) -> Record[_T]:
        """What is noted of a finished video.

        Args:
            key: As it was given to ``add``.

        Raises:
            SyncToolError: It is damaged, or cannot be read.
        """
        begin, _, end = self._videos[key]
        *rows, closing = self._bytes(begin, end).splitlines()
        with self._origin.checked():
            noted = self._noted(closing)
            return Record(noted.film, tuple(map(self._row, rows)), noted.facts)

    def facts(self, key: str) -> Mapping[str, Any]:
        """What else was noted of a finished video, without its rows.

        Args:
            key: As it was given to ``add``.

        Raises:
            SyncToolError: It is damaged, or cannot be read.
        """
        _, closing, end = self._videos[key]
        with self._origin.checked():
            return self._noted(self._bytes(closing, end)).facts

    def add(
        self, key: str, name: str, rows: Sequence[_T], facts: Mapping[str, Any] | None = None
    ) -> None:
        """Note a finished video; it is on the disk when this returns.

        Args:
            key: What tells it from others, and from itself with other content or another label.
            name: The video as it was given.
            rows: Its rows.
            facts: What else to note, as JSON knows it.

        Raises:
            OutputError: It cannot be written; what was noted before stays.
        """
        counted = {self._kind.counted: len(rows)}
        closing = _line({_CLOSED: name, "key": key, **counted, "facts": dict(facts or {})})
        data = b"".join(_line(self._kind.to_dict(row)) for row in rows)
        begin = self._end
        self._append(data + closing)
        self._videos[key] = _Place(begin, begin + len(data), self._end)

    def clear(self) -> None:
        """Forget all videos.

        Raises:
            OutputError: It cannot be written.
        """
        self._videos.clear()
        self._end = 0
        try:
            self._file.truncate(0)
        except OSError as error:
            raise output_error(self._path, error) from error
        self._append(_line({"schema": self._kind.schema, "settings": self._settings}))

    def remove(self) -> None:
        """Close the file and remove it: it has served."""
        try:
            self._path.unlink()  # while it is locked: whoever comes now begins one of their own
        except PermissionError:  # Windows removes no open file
            self.close()
            with suppress(OSError):
                self._path.unlink()
        except OSError:
            pass
        self.close()

    def close(self) -> None:
        """Close the file, which another run may open from now on."""
        self._file.close()

    def _open(self) -> BinaryIO:
        file = self._locked()
        self._file = file
        try:
            begun = self._read_all()
            file.truncate(self._end)  # what a killed run had half written
            if not begun:
                self._append(_line({"schema": self._kind.schema, "settings": self._settings}))
        except OSError as error:
            file.close()
            raise output_error(self._path, error) from error
        except BaseException:
            file.close()
            raise
        return file

    def _locked(self) -> BinaryIO:
        while True:
            try:
                file = open(self._path, "a+b", buffering=0)
            except OSError as error:
                raise output_error(self._path, error) from error
            # The journal itself is locked: a file beside it would have to be removed some time, and
            # whoever has it open by then would lock what is gone, beside a run with a new one.
            if not lock(file):
                file.close()
                raise BusyError(
                    f"another run is writing {self._path}",
                    remedy="Wait for it, or give another --journal.",
                )
            with suppress(OSError):
                if os.path.samestat(os.fstat(file.fileno()), os.stat(self._path)):
                    return file
            file.close()  # the run that had it has removed it meanwhile

    def _read_all(self) -> bool:
        """Find the finished videos; returns whether there is a header."""
        head = json.dumps({"schema": self._kind.schema})[:-1].encode()
        # Its own descriptor, as the buffer would close the file; the place in it is shared.
        with os.fdopen(os.dup(self._file.fileno()), "rb") as lines:
            lines.seek(0)
            header = lines.readline(_LONGEST_HEADER)
            if not header.endswith(b"\n"):
                if head.startswith(header) or header.startswith(head):
                    return False  # empty, or killed at its very beginning
                raise self._no_journal()
            self._check(header)
            self._end = begin = at = len(header)
            rows = 0
            while line := lines.readline(self._kind.largest):
                closing, at = at, at + len(line)
                entry = _entry(line, self._kind.largest)
                if _CLOSED not in entry or not isinstance(entry.get("key"), str):
                    rows += "schema" in entry
                    continue
                if entry.get(self._kind.counted) == rows:  # else something in it was damaged
                    self._videos[entry["key"]] = _Place(begin, closing, at)
                    self._end = at
                begin, rows = at, 0
        return True

    def _check(self, header: bytes) -> None:
        entry = _entry(header, _LONGEST_HEADER)
        theirs = entry.get("settings")
        if entry.get("schema") != self._kind.schema or not isinstance(theirs, dict):
            raise self._no_journal()
        differ = [
            f"{name} is {_shown(theirs.get(name))} there, and {_shown(ours)} here"
            for name, ours in {**dict.fromkeys(theirs), **self._settings}.items()
            if theirs.get(name) != ours
        ]
        if differ:
            raise UsageError(
                f"{self._path} is the journal of another run: {'; '.join(differ)}",
                remedy="Run with the same settings, or give another --journal.",
            )

    def _no_journal(self) -> UsageError:
        return UsageError(
            f"{self._path} is there and is no journal of {self._kind.command}",
            remedy="Give --journal another name.",
        )

    def _append(self, data: bytes) -> None:
        left = memoryview(data)
        try:
            while left:
                left = left[self._file.write(left) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            with suppress(OSError):  # a half line would be cut off by the next run, too
                self._file.truncate(self._end)
            raise output_error(self._path, error) from error
        self._end += len(data)

    def _bytes(self, begin: int, end: int) -> bytes:
        """A part of the file; read through the open file, which is there even after its removal."""
        parts, left = [], end - begin
        try:
            self._file.seek(begin)
            while left and (part := self._file.read(left)):
                parts.append(part)
                left -= len(part)
        except OSError as error:
            raise SyncToolError(
                f"cannot read {self._path}: {error.strerror}", remedy="Delete it, and run again."
            ) from error
        return b"".join(parts)

    @property
    def _origin(self) -> Origin:
        return Origin(str(self._path), "Delete it, and run again.")

    def _noted(self, line: bytes) -> _Closing:
        return typed(parse_json(line), _Closing)

    def _row(self, line: bytes) -> _T:
        """The row on a line.

        Raises:
            MalformedError: It is damaged.
        """
        data = typed(parse_json(line, most=self._kind.largest), dict[str, Any])
        typed(data, self._kind.shape)
        try:
            return self._kind.from_dict(data)
        except (ValueError, TypeError, KeyError) as error:
            raise MalformedError(f"a row in it: {error}") from error


@dataclass(frozen=True)
class _Closing:
    """The line that closes a video, as far as it is read."""

    film: str
    facts: dict[str, Any]


def _line(entry: Mapping[str, Any]) -> bytes:
    # ASCII, so that names of files that are not UTF-8 come back as they are.
    return json.dumps(entry, default=_plain).encode("ascii") + b"\n"


def _plain(value: Any) -> Any:
    """A number of numpy's as Python's own, exactly."""
    return value.item()


def _entry(line: bytes, most: int) -> dict[str, Any]:
    """The object on a line; an empty one where the line is torn or damaged."""
    try:
        entry = parse_json(line, most=most) if line.endswith(b"\n") else {}
    except MalformedError:
        return {}
    return entry if isinstance(entry, dict) else {}


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
