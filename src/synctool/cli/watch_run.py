"""The work of ``synctool watch``: what is printed while a folder is watched, and how it stops."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from synctool.cli.common import print_text
from synctool.cli.places import STANDARD_OUTPUT
from synctool.cli.progress import progress_bar
from synctool.cli.stopping import Terminated, terminated_by_signal
from synctool.cli.video_errors import severity
from synctool.errors import EXIT_INCONCLUSIVE, EXIT_OK
from synctool.report.event_lines import EventLines
from synctool.report.text import counted
from synctool.serving.watch import Watch, WatchPlaces
from synctool.settings.watch import WatchSettings

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from synctool.errors import MissingError
    from synctool.serving.folder import FoundVideo
    from synctool.serving.jobs import JobOutcome, JobProgress
    from synctool.serving.watch_journal import WatchJournal

SCHEMA = "synctool.watch/1"


class WatchRun:
    """Watches a folder and tells what becomes of its videos.

    Args:
        places: The folders.
        settings: How to measure, and when.
        journal: What is done.
        words: The words of the command, for the pages.
        json: Where JSON Lines go, ``-`` for the standard output; None where none are wanted.
        quiet: Whether to print errors only.
    """

    def __init__(
        self,
        places: WatchPlaces,
        settings: WatchSettings,
        journal: WatchJournal,
        *,
        words: Sequence[str],
        json: str | None,
        quiet: bool,
    ) -> None:
        self._json, self._quiet = json, quiet
        self._for_people = json != STANDARD_OUTPUT
        self._lines: EventLines | None = None
        self._worst, self._count, self._earlier = EXIT_OK, 0, 0
        self._bar: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._watch = Watch(
            places,
            settings,
            journal,
            command=shlex.join(words),
            on_outcome=self._tell,
            on_earlier=self._tell_earlier,
            on_progress=self._show,
            on_trouble=self._tell_trouble,
        )

    def __call__(self, *, once: bool) -> int:
        """Run; returns the exit code.

        Raises:
            SyncToolError: See ``Watch.run``.
        """
        try:
            with ExitStack() as stack:
                if self._json is not None:
                    self._lines = stack.enter_context(EventLines(self._json))
                stack.enter_context(terminated_by_signal())
                self._bar = stack.enter_context(progress_bar(quiet=self._quiet))
                self._watch.run(once=once)
        except (KeyboardInterrupt, Terminated) as stop:
            told = f"Stopped after {counted(self._count, 'video')}. The same command goes on from there."
            if isinstance(stop, KeyboardInterrupt):
                raise KeyboardInterrupt(told) from stop
            if not self._quiet:
                print_text(told, err=True)
            return EXIT_OK
        if self._earlier and self._for_people:
            print_text(
                f"{counted(self._earlier, 'video')} failed before and will be tried again after a change, "
                "or with --fresh.",
                err=True,
            )
        return self._worst

    def _show(self, video: FoundVideo, progress: JobProgress) -> None:
        """Move the line of a video, in the thread of its worker."""
        bar = self._bar
        if bar is None:
            return
        if video.key not in self._tasks:
            self._tasks[video.key] = bar.add_task(video.name, total=None, speed="")
        bar.update(
            self._tasks[video.key],
            description=f"{video.name}: {progress.stage}",
            completed=progress.share or 0.0,
            total=None if progress.share is None else 1.0,
        )

    def _tell(self, video: FoundVideo, outcome: JobOutcome) -> None:
        if self._bar is not None and (task := self._tasks.pop(video.key, None)) is not None:
            self._bar.remove_task(task)
        self._count += 1
        code = outcome.exit_code or (EXIT_INCONCLUSIVE if outcome.verdict == "inconclusive" else 0)
        self._worst = max(self._worst, code, key=severity)
        self._add(_Line(video, outcome, code))
        if not self._for_people:
            return
        if outcome.failure is not None:
            self._print(f"{video.name}: failed: {outcome.said}", err=True)
        elif not self._quiet:
            repair = f"; {outcome.repair}" if outcome.repair else ""
            self._print(f"{video.name}: {outcome.said}{repair}", err=False)

    def _tell_earlier(self, video: FoundVideo, outcome: JobOutcome) -> None:
        self._earlier += 1
        self._worst = max(self._worst, outcome.exit_code, key=severity)
        self._add(_Line(video, outcome, outcome.exit_code, earlier=True))
        if self._for_people:
            self._print(f"{video.name}: failed before: {outcome.said}", err=True)

    def _tell_trouble(self, error: MissingError) -> None:
        self._print(f"{error.cause}; it is looked at again until it can be", err=True)

    def _add(self, line: _Line) -> None:
        if self._lines is not None:
            with self._above_the_bar():
                self._lines.add(line)

    def _print(self, text: str, *, err: bool) -> None:
        with self._above_the_bar():
            print_text(text, err=err)

    @contextmanager
    def _above_the_bar(self) -> Iterator[None]:
        if self._bar is not None:
            self._bar.stop()
        yield
        if self._bar is not None:
            self._bar.start()


@dataclass(frozen=True)
class _Line:
    """What ``--json`` says of a video."""

    video: FoundVideo
    outcome: JobOutcome
    code: int
    earlier: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        outcome = self.outcome
        cause, remedy = outcome.failure or (None, None)
        return {
            "schema": SCHEMA,
            "video": self.video.name,
            "verdict": outcome.verdict,
            "offset_ms": outcome.offset_ms,
            "confidence": outcome.confidence,
            "said": outcome.said,
            "repaired": outcome.repaired,
            "repair": outcome.repair,
            "error": cause,
            "remedy": remedy,
            "exit_code": self.code,
            "earlier": self.earlier,
        }
