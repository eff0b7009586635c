"""Where a worker process begins. What measures is loaded there, not in the process that serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synctool.settings.service import ServiceSettings

if TYPE_CHECKING:
    from synctool.serving.video_job import VideoJobs


def job_worker(settings: ServiceSettings, threads: int) -> VideoJobs:
    """What a worker process begins with.

    Args:
        settings: How to measure and repair.
        threads: Of the model.
    """
    from synctool.serving.video_job import VideoJobs

    return VideoJobs(settings, threads=threads)
