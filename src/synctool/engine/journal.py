"""The journal of a comparison: what is finished is on the disk, and a second run goes on after it.

A file of JSON lines: first what the run is, then for each finished film its trials, a line each, and a
line that closes the film. A film without its closing line is unfinished and is made again; its lines
are cut off when the journal is opened. One run writes at a time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from synctool.errors import SyncToolError, UsageError
from synctool.files import check_writable, lock, output_error
from synctool.types import Trial
from synctool.untrusted.documents import LARGEST, parse_json, typed
from synctool.untrusted.origin import MalformedError, Origin
from synctool.untrusted.regular import MIB

SCHEMA = "synctool.compare-journal/1"
_HEAD = json.dumps({"schema": SCHEMA})[:-1].encode()
_CLOSED = "film"
_LONGEST = 80
_LONGEST_HEADER = MIB


@dataclass(frozen=True)
class FilmRecord:
    """What a journal holds of a film.

    Attributes:
        film: Its name.
        trials: Its trials, in order.
        facts: What else was noted of it.
    """

    film: str
    trials: tuple[Trial, ...]
    facts: Mapping[str, Any]


class Journal:
    """A journal that is open for going on. Use it as a context manager.

    Args:
        path: The file; it is made if it is not there.
        settings: What the trials depend on, as JSON knows it. A journal of other settings is another
            run's.

    Raises:
        UsageError: The file is another run's journal, or no journal.
        SyncToolError: Another run is writing it.
        OutputError: It cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], settings: Mapping[str, Any]) -> None:
        self._path = Path(path)
        self._settings = json.loads(json.dumps(settings))
        self._films: dict[str, tuple[int, int]] = {}
        self._end = 0
        check_writable(self._path)
        if self._path.exists() and not self._path.is_file():
            raise UsageError(
                f"{self._path} is no ordinary file", remedy="Give --journal another name."
            )
        self._file = self._open()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __contains__(self, key: object) -> bool:
        """Whether a film is finished."""
        return key in self._films

    def __len__(self) -> int:
        """How many films are finished."""
        return len(self._films)

    def read(self, key: str) -> FilmRecord:
        """What is noted of a finished film.

        Args:
            key: As it was given to ``add``.

        Raises:
            SyncToolError: It is damaged.
        """
        begin, end = self._films[key]
        with open(self._path, "rb") as file:
            file.seek(begin)
            *trials, closing = file.read(end - begin).splitlines()
        with Origin(str(self._path), "Delete it, and run again.").checked():
            noted: _Closing = typed(parse_json(closing), _Closing)
            return FilmRecord(film=noted.film, trials=tuple(map(_trial, trials)), facts=noted.facts)

    def add(
        self, key: str, film: str, trials: Sequence[Trial], facts: Mapping[str, Any] | None = None
    ) -> None:
        """Note a finished film; it is on the disk when this returns.

        Args:
            key: What tells it from others, and from itself with other content or another label.
            film: Its name.
            trials: Its trials.
            facts: What else to note, as JSON knows it.

        Raises:
            OutputError: It cannot be written; what was noted before stays.
        """
        closing = {_CLOSED: film, "key": key, "trials": len(trials), "facts": dict(facts or {})}
        lines = [_line(trial.to_dict()) for trial in trials]
        begin = self._end
        self._append(b"".join([*lines, _line(closing)]))
        self._films[key] = (begin, self._end)

    def close(self) -> None:
        """Close the file, which another run may open from now on."""
        self._file.close()

    def _open(self) -> BinaryIO:
        try:
            file = open(self._path, "ab", buffering=0)
        except OSError as error:
            raise output_error(self._path, error) from error
        self._file = file
        try:
            # The journal itself is locked: a file beside it would have to be removed some time, and
            # whoever has it open by then would lock what is gone, beside a run with a new one.
            if not lock(file):
                raise SyncToolError(
                    f"another run is writing {self._path}",
                    remedy="Wait for it, or give another --journal.",
                )
            begun = self._read_all()
            file.truncate(self._end)  # what a killed run had half written
            if not begun:
                self._append(_line({"schema": SCHEMA, "settings": self._settings}))
        except OSError as error:
            file.close()
            raise output_error(self._path, error) from error
        except BaseException:
            file.close()
            raise
        return file

    def _read_all(self) -> bool:
        """Find the finished films; returns whether there is a header."""
        with open(self._path, "rb") as lines:
            header = lines.readline(_LONGEST_HEADER)
            if not header.endswith(b"\n"):
                if _HEAD.startswith(header) or header.startswith(_HEAD):
                    return False  # empty, or killed at its very beginning
                raise self._no_journal()
            self._check(header)
            self._end = begin = at = len(header)
            trials = 0
            while line := lines.readline(LARGEST):
                at += len(line)
                entry = _entry(line)
                if _CLOSED not in entry or not isinstance(entry.get("key"), str):
                    trials += "schema" in entry
                    continue
                if entry.get("trials") == trials:  # else something in it was damaged
                    self._films[entry["key"]] = (begin, at)
                    self._end = at
                begin, trials = at, 0
        return True

    def _check(self, header: bytes) -> None:
        entry = _entry(header)
        theirs = entry.get("settings")
        if entry.get("schema") != SCHEMA or not isinstance(theirs, dict):
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
            f"{self._path} is there and is no journal of synctool compare",
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


@dataclass(frozen=True)
class _Closing:
    """The line that closes a film, as far as it is read."""

    film: str
    facts: dict[str, Any]


def _trial(line: bytes) -> Trial:
    """The trial on a line.

    Raises:
        MalformedError: It is damaged.
    """
    data = typed(parse_json(line), dict[str, Any])
    typed(data, Trial)
    try:
        return Trial.from_dict(data)
    except (ValueError, TypeError, KeyError) as error:
        raise MalformedError(f"a trial in it: {error}") from error


def _line(entry: Mapping[str, Any]) -> bytes:
    # ASCII, so that names of files that are not UTF-8 come back as they are.
    return json.dumps(entry).encode("ascii") + b"\n"


def _entry(line: bytes) -> dict[str, Any]:
    """The object on a line; an empty one where the line is torn or damaged."""
    try:
        entry = parse_json(line) if line.endswith(b"\n") else {}
    except MalformedError:
        return {}
    return entry if isinstance(entry, dict) else {}


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
