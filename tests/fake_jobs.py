"""What does jobs in worker processes in place of measuring: the first word of a video says what happens."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from synctool.errors import MediaError, OutputError
from synctool.files import make_folder, write_text
from synctool.serving.jobs import JobOutcome, JobProgress, VideoJob
from synctool.worker_process import Tell

NOTES = "FAKE_JOBS"
"""Environment variable: folder in which every video that is begun leaves a line, and ``go`` ends waiting."""


def fake_worker(settings: Any, threads: int) -> FakeJobs:
    """As ``jobs.job_worker``."""
    return FakeJobs(Path(os.environ[NOTES]))


class FakeJobs:
    """As ``video_job.VideoJobs``."""

    def __init__(self, notes: Path) -> None:
        self._notes = notes

    def __call__(self, job: VideoJob, tell: Tell) -> JobOutcome:
        """Note the video, and do what it says."""
        said = Path(job.path).read_text().split()[0]
        with (self._notes / os.path.basename(job.path)).open("a") as notes:
            notes.write(f"{os.getpid()}\n")
        tell(JobProgress("measuring", 0.5))
        if said == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        while said == "wait" and not (self._notes / "go").exists():
            time.sleep(0.02)
        if said == "hang":
            time.sleep(600)
        if said == "bad":
            return JobOutcome.failed(MediaError("no video", remedy="Get one."), job.name)
        if said == "full":
            return JobOutcome.failed(OutputError("the disk is full"), job.name)
        for path in filter(None, (job.json, job.page, job.plot)):
            make_folder(Path(path).parent)
            write_text(path, f'{{"said": "{said}"}}\n')
        if job.fixed is not None:
            make_folder(Path(job.fixed).parent)
            write_text(job.fixed, "repaired")
            write_text(str(job.fix_json), "{}\n")
        tell(JobProgress("reporting"))
        return JobOutcome(f"audio is {said}", "in sync", 7, 0.9, repaired=job.fixed is not None)


def begun(notes: Path) -> dict[str, int]:
    """How often each video was begun."""
    return {p.name: len(p.read_text().split()) for p in notes.iterdir() if p.name != "go"}
