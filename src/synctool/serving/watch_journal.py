"""The journal of a watched folder: which videos are done, so that none is measured twice.

It lies beside the reports, and holds one line and a closing one for each video.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from synctool.errors import EXIT_UNEXPECTED, SyncToolError, UsageError
from synctool.journal import BusyError, Journal, RowKind
from synctool.plain_data import from_plain
from synctool.serving.folder import FoundVideo
from synctool.serving.jobs import JobOutcome

NAME = ".synctool-watch.jsonl"
"""Name of the journal in the folder of the reports."""
SCHEMA = "synctool.watched-video/1"


@dataclass(frozen=True)
class WatchedVideo:
    """A video that is done.

    Attributes:
        name: Its path below the watched folder.
        said: What became of it.
        verdict: Of the measurement; None for a failure.
        offset_ms: The same.
        repaired: Whether a repaired file was written.
        done_at: When, as ISO 8601 in UTC.
    """

    name: str
    said: str
    verdict: str | None
    offset_ms: int | None
    repaired: bool
    done_at: str


VIDEOS: RowKind[WatchedVideo] = RowKind(
    schema="synctool.watch-journal/1",
    command="synctool watch",
    counted="videos",
    to_dict=lambda row: {"schema": SCHEMA, **asdict(row)},
    from_dict=lambda row: from_plain(WatchedVideo, row, schema=SCHEMA),
    shape=WatchedVideo,
)


class WatchJournal:
    """What is done.

    Args:
        journal: Open.
        fix: Whether repairs are wanted: then a video that was measured without is not done.
    """

    def __init__(self, journal: Journal[WatchedVideo], *, fix: bool) -> None:
        self._journal, self._fix = journal, fix

    def __len__(self) -> int:
        return len(self._journal)

    def is_done(self, video: FoundVideo) -> bool:
        """Whether a video is done with this content, by this run or an earlier one."""
        if video.key not in self._journal:
            return False
        try:
            return not self._fix or bool(self._journal.facts(video.key).get("fix"))
        except SyncToolError:  # damaged
            return False

    def failure(self, video: FoundVideo) -> JobOutcome | None:
        """The failure that a video is done with; None where it was measured."""
        try:
            (row,) = self._journal.read(video.key).rows
            facts = self._journal.facts(video.key)
        except (SyncToolError, ValueError):  # damaged
            return None
        if row.verdict is not None:
            return None
        code, error, remedy = (facts.get(name) for name in ("exit_code", "error", "remedy"))
        return JobOutcome(
            row.said,
            exit_code=code if isinstance(code, int) else EXIT_UNEXPECTED,
            failure=(
                error if isinstance(error, str) else row.said,
                remedy if isinstance(remedy, str) else None,
            ),
        )

    def note(self, video: FoundVideo, outcome: JobOutcome) -> None:
        """Note that a video is done; it is on the disk when this returns.

        Raises:
            OutputError: It cannot be written.
        """
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        row = WatchedVideo(
            video.name,
            outcome.said,
            outcome.verdict,
            outcome.offset_ms,
            outcome.repaired,
            now,
        )
        facts: dict[str, Any] = {"fix": self._fix}
        if outcome.failure is not None:
            error, remedy = outcome.failure
            facts |= {"exit_code": outcome.exit_code, "error": error, "remedy": remedy}
        self._journal.add(video.key, video.name, [row], facts)

    def clear(self) -> None:
        """Forget all.

        Raises:
            OutputError: It cannot be written.
        """
        self._journal.clear()


@contextmanager
def watch_journal(report: Path, folder: Path, *, fix: bool) -> Iterator[WatchJournal]:
    """Open the journal of a watched folder.

    Args:
        report: Folder of the reports, which is there.
        folder: The watched folder.
        fix: Whether repairs are wanted.

    Raises:
        UsageError: The reports are those of another folder, or another process is writing them.
        OutputError: It cannot be written.
    """
    remedy = "Give another --report."
    try:
        journal = Journal(report / NAME, {"folder": os.path.realpath(folder)}, VIDEOS)
    except BusyError as error:
        raise UsageError(
            f"another synctool watch writes its reports to {report}",
            remedy=f"Stop it. Or: {remedy}",
        ) from error
    except UsageError as error:
        raise UsageError(error.cause, remedy=remedy) from error
    with journal:
        yield WatchJournal(journal, fix=fix)
