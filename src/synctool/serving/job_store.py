"""The jobs of the service in SQLite: what is in it outlives the process, and a new one goes on with it."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from synctool.errors import OutputError, UsageError
from synctool.files import lock, make_folder, output_error
from synctool.plain_data import from_plain
from synctool.serving.jobs import JobOutcome

DATABASE, LOCK = "jobs.sqlite", "serve.lock"
State = Literal["queued", "running", "done", "failed"]
FINISHED: tuple[State, ...] = ("done", "failed")
_VERSION = 1
_TABLE = """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    source TEXT,
    size_bytes INTEGER NOT NULL,
    fix INTEGER NOT NULL,
    state TEXT NOT NULL,
    created_s REAL NOT NULL,
    started_s REAL,
    ended_s REAL,
    starts INTEGER NOT NULL DEFAULT 0,
    outcome TEXT
);
CREATE INDEX IF NOT EXISTS jobs_state ON jobs (state, number);
CREATE INDEX IF NOT EXISTS jobs_owner ON jobs (owner, number);
"""
_ALL = "SELECT * FROM jobs"
_REMEDY = "Give another --data folder, or remove this one with its jobs."


@dataclass(frozen=True)
class JobRecord:
    """A job as it is stored. Times are seconds since 1970.

    Attributes:
        id: Cannot be guessed.
        owner: Name of the token that it was sent with; "" where there are none.
        name: Of the video, as people see it.
        source: Path of a video that was named by its path; None for one that was sent.
        size_bytes: Of the video.
        fix: Whether a repaired file is wanted.
        state: Where it is.
        created_s: When it came.
        started_s: When it was begun, the last time.
        ended_s: When it was done.
        starts: How often it was begun.
        outcome: What became of it.
        number: Its place in the order in which jobs came.
    """

    id: str
    owner: str
    name: str
    source: str | None
    size_bytes: int
    fix: bool
    state: State = "queued"
    created_s: float = 0.0
    started_s: float | None = None
    ended_s: float | None = None
    starts: int = 0
    outcome: JobOutcome | None = None
    number: int = 0


class JobStore:
    """The database. Used by several threads; each method is one transaction.

    Args:
        path: The file; it is made if it is not there.

    Raises:
        UsageError: It is no database of jobs, or one of a later version.
        OutputError: It cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        try:
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._db.row_factory = sqlite3.Row
            self._prepare()
        except sqlite3.OperationalError as error:
            raise OutputError(f"cannot write {path}: {error}", remedy=_REMEDY) from error
        except sqlite3.DatabaseError as error:
            raise UsageError(f"{path} is no database: {error}", remedy=_REMEDY) from error

    def close(self) -> None:
        """Close it."""
        with self._lock:
            self._db.close()

    def add(self, record: JobRecord) -> JobRecord:
        """Add a job; it is on the disk when this returns, with its number.

        Raises:
            OutputError: It cannot be written.
        """
        with self._changing(lasting=True) as db:
            db.execute(
                "INSERT INTO jobs (id, owner, name, source, size_bytes, fix, state, created_s)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(record.id, record.owner, record.name, record.source, record.size_bytes),
                    *(record.fix, record.state, record.created_s),
                ),
            )
            return _record(db.execute(f"{_ALL} WHERE id = ?", (record.id,)).fetchone())

    def get(self, id: str) -> JobRecord | None:
        """A job; None where there is none."""
        return next(self._read("WHERE id = ?", (id,)), None)

    def of_owner(self, owner: str, *, most: int, before: int | None = None) -> list[JobRecord]:
        """The jobs of an owner, the latest first.

        Args:
            owner: The owner.
            most: At most so many.
            before: Only those with smaller numbers.
        """
        limit = (1 << 62) if before is None else before
        return list(
            self._read(
                "WHERE owner = ? AND number < ? ORDER BY number DESC LIMIT ?", (owner, limit, most)
            )
        )

    def ahead_of(self, record: JobRecord) -> int:
        """How many jobs wait before one that waits."""
        return self._count("WHERE state = 'queued' AND number < ?", (record.number,))

    def count(self, state: State) -> int:
        """How many jobs there are in a state."""
        return self._count("WHERE state = ?", (state,))

    def claim(self) -> JobRecord | None:
        """Begin the job that has waited longest; None where none waits.

        Raises:
            OutputError: It cannot be written.
        """
        with self._changing() as db:
            (number,) = db.execute("SELECT min(number) FROM jobs WHERE state = 'queued'").fetchone()
            if number is None:
                return None
            db.execute(
                "UPDATE jobs SET state = 'running', started_s = ?, starts = starts + 1"
                " WHERE number = ?",
                (time.time(), number),
            )
            return _record(db.execute(f"{_ALL} WHERE number = ?", (number,)).fetchone())

    def finish(self, id: str, outcome: JobOutcome) -> JobRecord | None:
        """Note what became of a job; None where it has been removed meanwhile.

        Raises:
            OutputError: It cannot be written.
        """
        state: State = "done" if outcome.failure is None else "failed"
        with self._changing() as db:
            db.execute(
                "UPDATE jobs SET state = ?, ended_s = ?, outcome = ? WHERE id = ?",
                (state, time.time(), json.dumps(asdict(outcome)), id),
            )
            row = db.execute(f"{_ALL} WHERE id = ?", (id,)).fetchone()
        return None if row is None else _record(row)

    def queue_again(self) -> int:
        """Let the jobs wait again that were running when the process before this one ended.

        Returns:
            How many.
        """
        with self._changing() as db:
            return db.execute("UPDATE jobs SET state = 'queued' WHERE state = 'running'").rowcount

    def remove(self, id: str) -> None:
        """Remove a job."""
        with self._changing() as db:
            db.execute("DELETE FROM jobs WHERE id = ?", (id,))

    def ended_before(self, moment_s: float) -> list[str]:
        """The jobs that were done before a moment."""
        return [r.id for r in self._read("WHERE ended_s < ? ORDER BY number", (moment_s,))]

    def ids(self) -> set[str]:
        """All jobs."""
        with self._lock:
            return {row["id"] for row in self._db.execute("SELECT id FROM jobs")}

    def _prepare(self) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        tables = {row["name"] for row in self._db.execute("SELECT name FROM sqlite_master")}
        if version > _VERSION or (tables and "jobs" not in tables):
            raise UsageError(
                f"{self._path} is of another version of synctool, or of another program",
                remedy=_REMEDY,
            )
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.executescript(_TABLE)
        self._db.execute(f"PRAGMA user_version = {_VERSION}")

    def _read(self, where: str, values: Iterable[Any]) -> Iterator[JobRecord]:
        with self._lock:
            rows = self._db.execute(f"{_ALL} {where}", tuple(values)).fetchall()
        return map(_record, rows)

    def _count(self, where: str, values: Iterable[Any]) -> int:
        with self._lock:
            (n,) = self._db.execute(f"SELECT count(*) FROM jobs {where}", tuple(values)).fetchone()
        return n

    @contextmanager
    def _changing(self, *, lasting: bool = False) -> Iterator[sqlite3.Connection]:
        """A transaction; what it writes outlives the process, and with ``lasting`` a loss of power, too."""
        with self._lock:
            try:
                self._db.execute(f"PRAGMA synchronous = {'FULL' if lasting else 'NORMAL'}")
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                except BaseException:
                    self._db.execute("ROLLBACK")
                    raise
                self._db.execute("COMMIT")
            except sqlite3.DatabaseError as error:
                raise OutputError(
                    f"cannot write {self._path}: {error}",
                    remedy="Free some space on its disk, or check its permissions.",
                ) from error


def _record(row: sqlite3.Row) -> JobRecord:
    data = dict(row)
    outcome = data.pop("outcome")
    data["fix"] = bool(data["fix"])
    return JobRecord(
        **data, outcome=None if outcome is None else from_plain(JobOutcome, json.loads(outcome))
    )


@contextmanager
def owned(folder: Path) -> Iterator[JobStore]:
    """Open the database of a folder, which this process owns as long as the block lasts.

    Raises:
        UsageError: Another process owns it, or it is no database of jobs.
        OutputError: It cannot be written.
    """
    make_folder(folder)
    with _locked(folder / LOCK):
        store = JobStore(folder / DATABASE)
        try:
            yield store
        finally:
            store.close()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    try:
        file: BinaryIO = path.open("a+b")
    except OSError as error:
        raise output_error(path, error) from error
    with file:
        if not lock(file):
            file.seek(0)
            process = file.read(32).decode("ascii", "replace").strip()
            raise UsageError(
                f"another synctool serve uses {path.parent}"
                + (f" (process {process})" if process.isdigit() else ""),
                remedy="Stop it, or give another --data.",
            )
        file.truncate(0)
        file.write(f"{os.getpid()}\n".encode())
        file.flush()
        yield
