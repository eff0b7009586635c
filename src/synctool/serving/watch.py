"""A watched folder: every video that is complete is measured once, and its results are written."""

from __future__ import annotations

import os
import queue
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from synctool.cores import usable_cores
from synctool.errors import MissingError, UsageError
from synctool.files import check_writable, make_folder
from synctool.job_pool import JobPool
from synctool.repairing.containers import SUFFIXES
from synctool.serving.folder import FoundVideo, WatchedFolder
from synctool.serving.job_worker import job_worker
from synctool.serving.jobs import JobOutcome, JobProgress, VideoJob
from synctool.serving.watch_journal import WatchJournal
from synctool.settings.watch import WatchSettings
from synctool.workers import Died, core_share

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 60.0, 3600.0
"""Before a video is tried again whose failure may pass."""


@dataclass(frozen=True)
class WatchPlaces:
    """Folders of a watch.

    Attributes:
        folder: Where the videos come.
        report: Where the reports go.
        fix: Where the repaired videos go; None where none are wanted.
    """

    folder: Path
    report: Path
    fix: Path | None = None

    def check(self) -> None:
        """Make the folders of the results, before any work.

        Raises:
            MissingError: The watched folder is not there.
            UsageError: Repaired videos would be taken for new ones, or the watched ones be left out.
            OutputError: Results cannot be written.
        """
        if not self.folder.is_dir():
            raise MissingError(
                f"{self.folder} is no folder", remedy="Make it first, or check the path."
            )
        for place in filter(None, (self.report, self.fix)):
            make_folder(place)
            check_writable(place / "a.json")
        if self.fix is None:
            return
        watched, fixed = (Path(os.path.realpath(place)) for place in (self.folder, self.fix))
        if fixed == watched or fixed in watched.parents:
            raise UsageError(
                f"repaired videos cannot go to {self.fix}, which holds the watched ones",
                remedy="Give another folder for --fix; one inside the watched folder is not watched.",
            )

    def job(self, video: FoundVideo, command: str) -> VideoJob:
        """What is to be done with a video; its results are called as it is, in the same folders below."""
        report = f"{self.report / video.name}"
        fixed = None
        if self.fix is not None:
            fixed = self.fix / video.name
            if fixed.suffix.lower() not in SUFFIXES:  # a container that cannot be written
                fixed = fixed.with_name(f"{fixed.name}.mkv")
        return VideoJob(
            id=video.key,
            path=str(video.path),
            name=str(video.path),
            json=f"{report}.json",
            page=f"{report}.html",
            fixed=fixed and str(fixed),
            fix_json=fixed and f"{report}.fix.json",
            command=command,
        )


class Watch:
    """Measures what comes, until it is stopped.

    Args:
        places: The folders.
        settings: How to measure, and when.
        journal: What is done.
        command: What the pages say made them.
        on_outcome: Called with each video and what became of it, in this thread.
        on_earlier: With ``once``, called likewise with videos that failed in an earlier run and are as they
            were: they are not tried again.
        on_progress: Called with each video and its progress, in other threads.
        on_trouble: Called with what went wrong with the folder itself, once each time.
    """

    def __init__(
        self,
        places: WatchPlaces,
        settings: WatchSettings,
        journal: WatchJournal,
        *,
        command: str,
        on_outcome: Callable[[FoundVideo, JobOutcome], None],
        on_earlier: Callable[[FoundVideo, JobOutcome], None],
        on_progress: Callable[[FoundVideo, JobProgress], None],
        on_trouble: Callable[[MissingError], None],
    ) -> None:
        self._places, self._settings, self._journal = places, settings, journal
        self._command = command
        self._on_outcome, self._on_progress = on_outcome, on_progress
        self._on_trouble, self._on_earlier = on_trouble, on_earlier
        left_out = tuple(filter(None, (places.report, places.fix)))
        self._folder = WatchedFolder(places.folder, settle_s=settings.settle, left_out=left_out)
        self._jobs: queue.Queue[VideoJob | None] = queue.Queue()
        self._done: queue.Queue[tuple[VideoJob, JobOutcome | Died]] = queue.Queue()
        self._working: dict[str, FoundVideo] = {}
        self._tries: Counter[str] = Counter()
        self._judged: set[str] = set()
        self._troubled, self._once = False, False

    def run(self, *, once: bool = False) -> None:
        """Watch the folder.

        Args:
            once: Whether to return when all that is there is done.

        Raises:
            SyncToolError: No worker can begin, or the journal cannot be written; with ``once`` also where
                the folder cannot be read.
        """
        self._once = once
        workers = self._settings.jobs or usable_cores()
        pool: JobPool[VideoJob, JobOutcome] = JobPool(
            partial(job_worker, self._settings, core_share(workers)),
            workers=workers,
            take=self._jobs.get,
            on_told=self._told,
            on_done=lambda job, done: self._done.put((job, done)),
            time_limit_s=self._settings.job_minutes * 60,
        )
        try:
            pool.start()
            while True:
                self._look()
                if once and not self._working and not self._folder.waiting:
                    return
                self._take_results(time.monotonic() + self._settings.interval)
        finally:
            for _ in range(workers):
                self._jobs.put(None)
            pool.stop()

    def _look(self) -> None:
        """Give what is complete and not done to the workers."""
        try:
            complete = self._folder.complete()
        except MissingError as error:  # a share that is away comes back
            if self._once:
                raise
            if not self._troubled:
                self._on_trouble(error)
            self._troubled = True
            return
        self._troubled = False
        for video in complete:
            if self._journal.is_done(video):
                self._tell_earlier(video)
            elif video.key not in self._working:
                self._working[video.key] = video
                self._jobs.put(self._places.job(video, self._command))

    def _tell_earlier(self, video: FoundVideo) -> None:
        failure = self._journal.failure(video) if self._once else None
        if failure is not None and video.key not in self._judged:
            self._on_earlier(video, failure)

    def _take_results(self, until: float) -> None:
        """Note what is done, until it is time to look again."""
        while (left_s := until - time.monotonic()) > 0:
            try:
                job, done = self._done.get(timeout=left_s)
            except queue.Empty:
                return
            self._judge(self._working.pop(job.id), JobOutcome.of(done, job.name))

    def _judge(self, video: FoundVideo, outcome: JobOutcome) -> None:
        if not self._folder.is_as_found(video) and video.path.exists():
            self._folder.give_again(video)  # it was not complete after all
            return
        if outcome.passing and not self._once:
            pause_s = _FIRST_PAUSE_S * 2 ** self._tries[video.key]
            self._tries[video.key] += 1
            self._folder.give_again(video, after_s=min(pause_s, _LONGEST_PAUSE_S))
        elif not outcome.passing:
            self._tries.pop(video.key, None)
            self._journal.note(video, outcome)
            if self._once:
                self._judged.add(video.key)
        self._on_outcome(video, outcome)

    def _told(self, job: VideoJob, told: Any) -> None:
        video = self._working.get(job.id)
        if video is not None:
            self._on_progress(video, told)
