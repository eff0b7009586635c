"""The service without its web side: jobs are taken, done by the worker pool, told of, kept, and deleted."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from synctool.cores import usable_cores
from synctool.disk_space import amount, free_bytes
from synctool.errors import OutputError, SyncToolError
from synctool.job_pool import CANCELLED, JobPool
from synctool.serving.job_files import JobFiles, allowed_path, safe_name
from synctool.serving.job_store import FINISHED, JobRecord, JobStore
from synctool.serving.job_worker import job_worker
from synctool.serving.jobs import JobOutcome, JobProgress, VideoJob, VideoLimits
from synctool.settings.serve import ServeSettings
from synctool.workers import Died, core_share

MOST_STARTS = 5
"""A job that the service was stopped or killed so often with is given up."""
_SPARE_BYTES = 500 * 1000 * 1000
"""Left free on the disk beside what is sent: reports and repaired files come, too."""
_CLEANED_EVERY_S = 60.0


class BusyServiceError(SyncToolError):
    """So much is waiting, or coming, that no more is taken now."""


class FullDiskError(SyncToolError):
    """There is no room for another video."""


class NoJobError(SyncToolError):
    """There is no such job, or it is another's."""


@dataclass(frozen=True)
class JobNow:
    """A job at this moment.

    Attributes:
        record: As it is stored.
        progress: How far it is while it runs.
        ahead: How many jobs wait before it while it waits.
    """

    record: JobRecord
    progress: JobProgress | None = None
    ahead: int | None = None


class Service:
    """Takes jobs and does them. All methods may be called by any thread.

    Args:
        settings: Limits, and how to measure.
        store: The database.
        files: The files.
        on_change: Called with the owner and the id of a job that has changed or is gone; in any thread.
    """

    def __init__(
        self,
        settings: ServeSettings,
        store: JobStore,
        files: JobFiles,
        *,
        on_change: Callable[[str, str], None],
    ) -> None:
        self.settings, self.store, self.files = settings, store, files
        self.limits = VideoLimits(
            settings.max_minutes, settings.max_megapixels, settings.max_streams
        )
        self._on_change = on_change
        self._changed = threading.Condition()
        self._stopped = False
        self._coming = 0
        self._running: dict[str, VideoJob] = {}
        self._owners: dict[str, str] = {}
        self._progress: dict[str, JobProgress] = {}
        self.workers = settings.jobs or usable_cores()
        self._pool: JobPool[VideoJob, JobOutcome] = JobPool(
            partial(job_worker, settings, core_share(self.workers)),
            workers=self.workers,
            take=self._take,
            on_told=self._told,
            on_done=self._done,
            time_limit_s=settings.job_minutes * 60,
        )
        self._cleaner = threading.Thread(target=self._clean, name="synctool-clean", daemon=True)

    def start(self) -> int:
        """Begin, with the jobs that an earlier process has left; returns how many.

        Raises:
            SyncToolError: No worker can begin, or the folder cannot be written.
        """
        self.files.prepare(self.store.ids())
        left = self.store.queue_again()
        self._pool.start()
        self._cleaner.start()
        return left

    def stop(self) -> None:
        """End all workers. What they were doing is done by the next process."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._pool.stop()
        if self._cleaner.ident is not None:
            self._cleaner.join()

    # ------------------------------------------------------------------ taking jobs

    @contextmanager
    def upload(self, size_bytes: int | None) -> Iterator[Path]:
        """Make room for a video that comes, and give the file it is written to; gone after the block.

        Args:
            size_bytes: Its size, as far as it was told.

        Raises:
            BusyServiceError: Too many are coming or waiting.
            FullDiskError: There is no room for it.
        """
        with self._changed:
            if self._coming >= self.settings.uploads:
                raise BusyServiceError(
                    f"{self._coming} videos are being sent already", remedy="Try again in a while."
                )
            self._check_queue()
            self._coming += 1
        path = self.files.uploads / secrets.token_hex(12)
        try:
            self.check_room(size_bytes or 0)
            yield path
        finally:
            with self._changed:
                self._coming -= 1
            path.unlink(missing_ok=True)

    def check_room(self, size_bytes: int) -> None:
        """See whether there is room for so many bytes.

        Raises:
            FullDiskError: There is not.
        """
        free = free_bytes(self.files.folder)
        if size_bytes + _SPARE_BYTES > free:
            raise FullDiskError(
                f"the disk of the service has {amount(free)} left", remedy="Try again later."
            )

    def take_upload(self, owner: str, name: str, received: Path, *, fix: bool) -> JobNow:
        """Take a video that has come whole.

        Args:
            owner: Who has sent it.
            name: As it was sent with it.
            received: The file.
            fix: Whether a repaired file is wanted.

        Raises:
            BusyServiceError: Too many jobs wait.
            OutputError: The database cannot be written.
        """
        size = received.stat().st_size
        record = self._new(owner, safe_name(name), None, size, fix)
        self.files.take_upload(received, record)
        return self._added(record)

    def take_path(self, owner: str, given: str, *, fix: bool) -> JobNow:
        """Take a video that is named by its path.

        Raises:
            OutsideError: It lies in no allowed folder.
            MissingError: It is not there.
            BusyServiceError: Too many jobs wait.
            OutputError: The database cannot be written.
        """
        path = allowed_path(given, self.settings.allow)
        name = safe_name(os.fspath(path))
        return self._added(self._new(owner, name, str(path), path.stat().st_size, fix))

    def _new(self, owner: str, name: str, source: str | None, size: int, fix: bool) -> JobRecord:
        return JobRecord(
            secrets.token_urlsafe(15), owner, name, source, size, fix, created_s=time.time()
        )

    def _added(self, record: JobRecord) -> JobNow:
        try:
            with self._changed:
                self._check_queue()
                record = self.store.add(record)
                self._changed.notify_all()
        except BaseException:
            self.files.remove(record.id)
            raise
        self._on_change(record.owner, record.id)
        return self.now(record)

    def _check_queue(self) -> None:
        if self.store.count("queued") >= self.settings.queue:
            raise BusyServiceError(
                f"{self.settings.queue} jobs are waiting already", remedy="Try again in a while."
            )

    # ------------------------------------------------------------------ what there is

    def job(self, owner: str, id: str) -> JobNow:
        """A job of an owner.

        Raises:
            NoJobError: There is none.
        """
        record = self.store.get(id)
        if record is None or record.owner != owner:
            raise NoJobError("there is no such job", remedy="It may be deleted by now.")
        return self.now(record)

    def now(self, record: JobRecord) -> JobNow:
        """A job with what is known of it beside the database."""
        if record.state == "queued":
            return JobNow(record, ahead=self.store.ahead_of(record))
        progress = self._progress.get(record.id) if record.state == "running" else None
        return JobNow(record, progress)

    def delete(self, owner: str, id: str) -> None:
        """Delete a job and its files; one that runs is stopped.

        Raises:
            NoJobError: There is none.
        """
        record = self.job(owner, id).record
        self.store.remove(id)
        job = self._running.get(id)
        if job is None or not self._pool.cancel(job):  # else they go when its process has gone
            self.files.remove(id)
        self._on_change(record.owner, id)

    # ------------------------------------------------------------------ the threads of the pool

    def _take(self) -> VideoJob | None:
        while True:
            with self._changed:
                record = None
                while not self._stopped and (record := self._claimed()) is None:
                    self._changed.wait()
                if record is None:
                    return None
                job = self._running[record.id] = self.files.job(record, self.limits)
                self._owners[record.id] = record.owner
            self._on_change(record.owner, record.id)
            if (problem := self._problem(record)) is None:
                return job
            self._done(job, JobOutcome.failed(problem, record.name))

    def _claimed(self) -> JobRecord | None:
        try:
            return self.store.claim()
        except OutputError:  # a full disk: it may be better after a while
            self._changed.wait(_CLEANED_EVERY_S)
            return None

    def _problem(self, record: JobRecord) -> SyncToolError | None:
        """Why a job is not begun at all."""
        if record.starts > MOST_STARTS:
            return SyncToolError(
                f"the service ended {MOST_STARTS} times while it worked on this video",
                remedy="Send a shorter or smaller version.",
            )
        if record.source is not None:
            try:  # what it was when it was sent may be a link to somewhere else by now
                if str(allowed_path(record.source, self.settings.allow)) != record.source:
                    return SyncToolError("the video has been moved", remedy="Send it again.")
            except SyncToolError as error:
                return error
        return None

    def _told(self, job: VideoJob, told: JobProgress) -> None:
        self._progress[job.id] = told
        self._on_change(self._owners[job.id], job.id)

    def _done(self, job: VideoJob, done: JobOutcome | Died) -> None:
        record = self.store.get(job.id)
        if record is not None and done != CANCELLED:
            outcome = self._without_places(JobOutcome.of(done, job.name))
            try:
                record = self.store.finish(job.id, outcome)
            except OutputError:  # nothing can be noted: it is begun again by the next process
                pass
        self._running.pop(job.id, None)
        self._owners.pop(job.id, None)
        self._progress.pop(job.id, None)
        if record is None:
            self.files.remove(job.id)
            return
        if record.state in FINISHED:
            self.files.remove_video(record)
        self._on_change(record.owner, job.id)

    def _without_places(self, outcome: JobOutcome) -> JobOutcome:
        """The same without the folders of the service, which are nobody's business."""
        place = f"{self.files.folder}{os.sep}"
        changes: dict[str, object] = {"said": outcome.said.replace(place, "")}
        if outcome.repair is not None:
            changes["repair"] = outcome.repair.replace(place, "")
        if outcome.failure is not None:
            cause, remedy = outcome.failure
            changes["failure"] = (cause.replace(place, ""), remedy and remedy.replace(place, ""))
        return replace(outcome, **changes)

    # ------------------------------------------------------------------ deletion

    def _clean(self) -> None:
        keep_s = self.settings.keep_hours * 3600
        pause_s = min(_CLEANED_EVERY_S, max(keep_s / 10, 0.2))
        while keep_s:
            for id in self.store.ended_before(time.time() - keep_s):
                record = self.store.get(id)
                if record is not None:
                    self.delete(record.owner, id)
            with self._changed:
                if self._stopped or self._changed.wait_for(lambda: self._stopped, pause_s):
                    return
