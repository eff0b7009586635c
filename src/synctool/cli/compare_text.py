"""What ``synctool compare`` shows while it works, and its lists."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from synctool.cli.common import print_table
from synctool.cli.progress import progress_bar

if TYPE_CHECKING:
    from synctool.comparison.run import CompareProgress

_LONGEST_SHOWN = 30


class CompareBar:
    """Videos done, the video and step at hand, and the time left."""

    def __init__(self, *, quiet: bool) -> None:
        self._bars = progress_bar(quiet=quiet)

    def __enter__(self) -> CompareBar:
        self._bar = self._bars.__enter__()
        self._task = self._bar.add_task("videos", total=None, speed="")
        return self

    def __exit__(self, *error: Any) -> None:
        self._bars.__exit__(*error)

    def __call__(self, progress: CompareProgress) -> None:
        many = progress.videos_total > 1
        share = None if progress.share is None else min(max(progress.share, 0.0), 1.0)
        failed = f"{progress.failed} failed" if progress.failed else ""
        self._bar.update(
            self._task,
            # Of many videos each is a step; of one, the step that it is at.
            completed=progress.videos_done if many else (share or 0.0),
            total=progress.videos_total if many else (None if share is None else 1.0),
            description=described(progress),
            speed=failed,
        )


def described(progress: CompareProgress) -> str:
    """Which video and step, for example ``3/12 talk.mp4: noise 3``."""
    from synctool.report.text import printable, shortened

    name = printable(os.path.basename(progress.video) or progress.video)
    place = f"{progress.videos_done}/{progress.videos_total}" if progress.videos_total > 1 else ""
    step = f": {progress.step}" if progress.step else ""
    return " ".join(filter(None, [place, shortened(name, _LONGEST_SHOWN) + step])) or "videos"


def show_degradations() -> None:
    """Print what ``--perturb`` knows: names, five steps from mild to severe, what each does."""
    from synctool.comparison.choices import degradations

    rows = [
        [
            spec.name,
            spec.kind,
            f"{' '.join(f'{level:g}' for level in spec.levels)} {spec.unit}".strip(),
            spec.summary,
        ]
        for spec in degradations()
    ]
    print_table(["name", "kind", "steps 1 to 5", "what it does"], rows)
