"""Lines of the progress bar, one for each video that is being worked on."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from synctool.measure.detect import DetectProgress

_LONGEST_SHOWN = 30


class VideoBars:
    """Shows how far each video is.

    Args:
        bar: What the lines are of.
        names: All videos; one of several is counted in its line.
    """

    def __init__(self, bar: Progress, names: Sequence[str]) -> None:
        self._bar = bar
        self._counts = {name: f"{n}/{len(names)} " for n, name in enumerate(names, 1)}
        self._tasks: dict[str, tuple[TaskID, float]] = {}

    def begin(self, name: str) -> None:
        """Add the line of a video, unless it is there."""
        if name in self._tasks:
            return
        count = self._counts[name] if len(self._counts) > 1 else ""
        task = self._bar.add_task(f"{count}{_short(name)}", total=None, speed="")
        self._tasks[name] = task, time.monotonic()

    def show(self, name: str, progress: DetectProgress) -> None:
        """Move the line of a video."""
        from synctool.types import VIDEO_FPS

        self.begin(name)
        task, started = self._tasks[name]
        pace = progress.frames_done / VIDEO_FPS / max(time.monotonic() - started, 1e-3)
        self._bar.update(
            task,
            completed=progress.frames_done,
            total=progress.frames_total,
            speed=f"{pace:.1f}x" if progress.frames_done else "",
        )

    def done(self, name: str) -> None:
        """Remove the line of a video, if there is one."""
        task, _ = self._tasks.pop(name, (None, 0.0))
        if task is not None:
            self._bar.remove_task(task)


def _short(name: str) -> str:
    from synctool.report.text import printable, shortened

    return shortened(printable(os.path.basename(name) or name), _LONGEST_SHOWN)
