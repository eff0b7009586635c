"""All that is done with one video of a watched folder or of the service, as the work of a worker process.

It is measured, the report is written, and the repaired file where one is wanted: the same steps as those of
``detect --json --html --fix``. The worker may be killed at any moment: every file is written atomically.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from synctool.errors import EXIT_OK, InconclusiveError, SyncToolError, described
from synctool.files import make_folder, write_text
from synctool.measure.detect import Detector, DetectProgress
from synctool.measure.thumbnails import Thumbnail
from synctool.measure.video_work import BUG
from synctool.repairing.fix import FixResult, fix
from synctool.report.html.pages import detect_page, write_html
from synctool.report.html.player import Copy, copies
from synctool.report.json_out import to_json
from synctool.scoring.verdict import sentence
from synctool.serving.jobs import JobOutcome, JobProgress, Stage, VideoJob
from synctool.serving.limits import check_limits, check_progress
from synctool.settings.service import ServiceSettings
from synctool.types import DetectResult
from synctool.worker_process import Tell
from synctool.workers import limit_torch


class VideoJobs:
    """Does jobs, one after the other, with one loaded model.

    Args:
        settings: How to measure and repair.
        threads: Of the model.
    """

    def __init__(self, settings: ServiceSettings, *, threads: int) -> None:
        self._settings, self._measuring = settings, settings.measuring
        self._detector = Detector(self._measuring, threads=threads)
        limit_torch(threads)

    def __call__(self, job: VideoJob, tell: Tell) -> JobOutcome:
        """Do a job; ``tell`` is given its ``JobProgress``."""
        try:
            return self._done(job, _Brief(tell))
        except SyncToolError as error:
            return JobOutcome.failed(error, job.name)
        except Exception as error:  # a bug with one video must not cost the others
            return JobOutcome.failed(SyncToolError(described(error), remedy=BUG), job.name)

    def _done(self, job: VideoJob, tell: Tell) -> JobOutcome:
        check_limits(job.path, job.limits)
        kept: list[Thumbnail] = []
        found = self._measured(job, job.path, tell, "measuring", kept.extend)
        shown = replace(found, input=job.name)
        tell(JobProgress("reporting"))
        self._report(job, shown, kept)
        outcome = JobOutcome(
            sentence(shown), shown.verdict, shown.offset_ms, round(shown.confidence, 4)
        )
        return (
            outcome if job.fixed is None else self._repaired(job, job.fixed, found, outcome, tell)
        )

    def _measured(
        self,
        job: VideoJob,
        path: str,
        tell: Tell,
        stage: Stage,
        on_thumbnails: Callable[[tuple[Thumbnail, ...]], None] | None = None,
    ) -> DetectResult:
        def show(progress: DetectProgress) -> None:
            check_progress(job.name, progress, job.limits)
            total = progress.frames_total
            tell(JobProgress(stage, min(1.0, progress.frames_done / total) if total else None))

        return self._detector.detect(path, on_progress=show, on_thumbnails=on_thumbnails)

    def _report(self, job: VideoJob, shown: DetectResult, kept: Sequence[Thumbnail]) -> None:
        for path in filter(None, (job.json, job.page, job.plot)):
            make_folder(Path(path).parent)
        if job.json is not None:
            write_text(job.json, to_json(shown))
        if job.plot is not None:
            from synctool.report.plots import write_plot

            write_plot(shown, job.plot)
        if job.page is not None:
            players = partial(self._copies, job.path) if self._settings.player_mb > 0 else None
            page = detect_page(
                [shown], command=job.command, thumbnails={shown.input: kept}, copies=players
            )
            write_html(page, job.page)

    def _copies(self, path: str, results: Sequence[DetectResult]) -> Mapping[str, Copy]:
        """The small copy for the player, made of the video itself and known by its name."""
        made = copies([replace(result, input=path) for result in results], self._measuring)
        return {result.input: made[path] for result in results}

    def _repaired(
        self, job: VideoJob, fixed: str, found: DetectResult, outcome: JobOutcome, tell: Tell
    ) -> JobOutcome:
        make_folder(Path(fixed).parent)
        try:
            done = fix(
                job.path,
                fixed,
                self._settings.repairing,
                measure=lambda path: self._measured(job, path, tell, "checking"),
                before=found,
                overwrite=True,
                on_progress=lambda share: tell(JobProgress("repairing", share)),
            )
        except InconclusiveError as error:
            return replace(
                outcome, repair=f"not repaired: {error.cause}", exit_code=error.exit_code
            )
        except SyncToolError as error:  # the measurement holds all the same
            return replace(outcome, repair=f"not repaired: {error}", exit_code=error.exit_code)
        named = _named(done, job.name, os.path.basename(fixed))
        if job.fix_json is not None:
            write_text(job.fix_json, to_json(named))
        return replace(
            outcome,
            repair=_said(done),
            repaired=done.output is not None,
            exit_code=done.exit_code,
        )


class _Brief:
    """Passes on what is new: another stage, or another hundredth of it."""

    def __init__(self, tell: Tell) -> None:
        self._tell, self._last = tell, JobProgress("measuring")
        tell(self._last)

    def __call__(self, progress: JobProgress) -> None:
        if progress.share is not None:
            progress = JobProgress(progress.stage, round(progress.share, 2))
        if progress != self._last:
            self._last = progress
            self._tell(progress)


def _said(done: FixResult) -> str:
    """What became of a repair, in brief: what was wrong is told already."""
    if done.action == "unchanged":
        return f"not repaired, as the offset is within {done.tolerance_ms:g} ms"
    left = "" if done.residual_ms is None else f", {abs(done.residual_ms)} ms left"
    return (
        f"repaired{left}" if done.exit_code == EXIT_OK else f"repaired, and not in sync yet{left}"
    )


def _named(done: FixResult, name: str, output: str) -> FixResult:
    """The same with the names that people see."""

    def of(result: DetectResult | None, shown: str) -> DetectResult | None:
        return None if result is None else replace(result, input=shown)

    changes: dict[str, Any] = {"before": of(done.before, name), "after": of(done.after, output)}
    if done.report is not None:
        changes["report"] = replace(done.report, input=name, output=output)
    return replace(done, input=name, output=done.output and output, **changes)
