"""Measuring many videos from Python, one result at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from synctool.cores import usable_cores
from synctool.errors import SyncToolError
from synctool.measure.detect import Detector
from synctool.measure.video_work import Measured, VideoWork, video_worker
from synctool.settings.detect import DetectSettings
from synctool.types import DetectResult
from synctool.workers import Died, core_share, in_order, in_workers

_AHEAD_VIDEOS = 16


def detect_many(
    paths: Iterable[str | os.PathLike[str]],
    settings: DetectSettings | None = None,
    *,
    on_error: Callable[[str, SyncToolError], object] | None = None,
    **changes: Any,
) -> Iterator[DetectResult]:
    """Measure videos one after the other, or with ``jobs`` several at a time.

    A video that is named twice is measured once.

    Args:
        paths: The videos; they are asked for as they are needed, with one job.
        settings: How to measure; None for the defaults.
        on_error: Called with a video that cannot be measured and why; without it, the error is raised.
        changes: Settings by name that differ from ``settings``: see ``DetectSettings``.

    Returns:
        The results in the order of the videos, each as soon as it is there.

    Raises:
        SyncToolError: See ``Detector``; and of a video, while the results are taken.
    """
    wanted = DetectSettings.of(settings, changes)
    detector = Detector(wanted)  # what is missing is told first
    names = _different(paths)
    measured = _here(detector, names) if wanted.jobs == 1 else _by_workers(wanted, list(names))
    return _results(measured, on_error)


def _different(paths: Iterable[str | os.PathLike[str]]) -> Iterator[str]:
    seen: set[str] = set()
    for path in paths:
        name = os.fspath(path)
        if name not in seen:
            seen.add(name)
            yield name


def _here(detector: Detector, names: Iterable[str]) -> Iterator[tuple[str, Measured]]:
    work = VideoWork(detector, thumbnails=False)
    for name in names:
        yield name, work(name, lambda told: None)


def _by_workers(settings: DetectSettings, names: list[str]) -> Iterator[tuple[str, Measured]]:
    jobs = max(1, min(settings.jobs or usable_cores(), len(names)))
    make = partial(video_worker, settings, False, core_share(jobs))
    done = in_workers(make, names, workers=jobs, ahead=jobs * _AHEAD_VIDEOS)
    for name, measured in in_order(names, done):
        if isinstance(measured, Died):
            measured = Measured(SyncToolError(f"{name}: {measured.reason}"))
        yield name, measured


def _results(
    measured: Iterator[tuple[str, Measured]],
    on_error: Callable[[str, SyncToolError], object] | None,
) -> Iterator[DetectResult]:
    for name, one in measured:
        if not isinstance(one.outcome, Exception):
            yield one.outcome
        elif on_error is None or not isinstance(one.outcome, SyncToolError):
            raise one.outcome
        else:
            on_error(name, one.outcome)
