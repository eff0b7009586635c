"""All answers and events of a run in an SQLite database, which other programs may read meanwhile."""

from __future__ import annotations

import json
import sqlite3
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

from synctool.background import BackgroundQueue
from synctool.errors import OutputError, UsageError
from synctool.live.events import Event

VERSION = 1
"""Of the tables, as ``PRAGMA user_version``."""
_PRUNE_EVERY_S = 3600.0
_BUSY_S = 30.0
_TABLES = """
CREATE TABLE IF NOT EXISTS answers (
    source TEXT NOT NULL, time TEXT NOT NULL, t_s REAL NOT NULL, part INTEGER,
    offset_ms INTEGER, confidence REAL NOT NULL, verdict TEXT NOT NULL, reason_code TEXT,
    faces INTEGER NOT NULL, speaker INTEGER, speech INTEGER NOT NULL, alarm INTEGER NOT NULL,
    drift_ms_per_hour REAL, delay_s REAL
);
CREATE INDEX IF NOT EXISTS answers_by_time ON answers (source, time);
CREATE TABLE IF NOT EXISTS events (
    source TEXT NOT NULL, time TEXT NOT NULL, t_s REAL NOT NULL, event TEXT NOT NULL,
    detail TEXT NOT NULL, json TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS events_by_time ON events (source, time);
"""
_ANSWER = (
    *("source", "time", "t_s", "part", "offset_ms", "confidence", "verdict", "reason_code"),
    *("faces", "speaker", "speech", "alarm", "drift_ms_per_hour", "delay_s"),
)


class History:
    """Writes events to a database, in a thread of its own. Close it.

    Several programs may write to one database: each waits for the other.

    Args:
        path: The database; made where there is none.
        days: What is older is deleted, once an hour; 0 keeps all.

    Raises:
        UsageError: The file is another kind of file, or of a newer version.
        OutputError: It cannot be written.
    """

    def __init__(self, path: Path, *, days: float) -> None:
        self._path = path
        self._days = days
        self._pruned_at: float | None = None
        try:
            self._database = sqlite3.connect(path, timeout=_BUSY_S, check_same_thread=False)
            self._prepare()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise OutputError(
                    f"cannot write {path}: {error}",
                    remedy="Check the folder, its permissions and its space.",
                ) from error
            raise UsageError(
                f"{path} is no SQLite database", remedy="Give another file to --history."
            ) from error
        self._queue: BackgroundQueue[Event] = BackgroundQueue(
            self._write, name=f"history {path.name}", most=10_000
        )

    def add(self, event: Event) -> None:
        """Write an event, later; never waits."""
        self._queue.put(event)

    def close(self) -> None:
        """Write what waits, and close the database."""
        self._queue.close(wait_s=_BUSY_S)
        self._database.close()

    def _prepare(self) -> None:
        database = self._database
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise UsageError(
                f"{self._path} was written by a newer synctool",
                remedy="Update this one, or give another file to --history.",
            )
        database.execute("PRAGMA journal_mode = WAL")  # readers never wait, nor are waited for
        database.execute("PRAGMA synchronous = NORMAL")
        with database:
            database.executescript(_TABLES)
            database.execute(f"PRAGMA user_version = {VERSION}")

    def _write(self, event: Event) -> None:
        plain = event.to_dict()
        with self._database as database:
            if event.kind == "answer":
                marks = ", ".join("?" * len(_ANSWER))
                names = ", ".join(_ANSWER)
                values = [plain.get(name) for name in _ANSWER]
                database.execute(f"INSERT INTO answers ({names}) VALUES ({marks})", values)
            else:
                database.execute(
                    "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)",
                    (
                        *(plain["source"], plain["time"], plain["t_s"], event.kind),
                        *(event.detail, json.dumps(plain, ensure_ascii=False)),
                    ),
                )
        self._prune()

    def _prune(self) -> None:
        now = time.monotonic()
        if not self._days or (
            self._pruned_at is not None and now - self._pruned_at < _PRUNE_EVERY_S
        ):
            return
        self._pruned_at = now
        oldest = datetime.now(timezone.utc) - timedelta(days=self._days)
        text = oldest.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        with self._database as database:
            for table in ("answers", "events"):
                database.execute(f"DELETE FROM {table} WHERE time < ?", (text,))
