"""What ``synctool adapt`` shows while it works, and how to use what it wrote."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from synctool.cli.progress import progress_bar
from synctool.settings.shared import DEFAULT_BACKBONE

if TYPE_CHECKING:
    from synctool.adapting.adaptation import Adaptation
    from synctool.adapting.run import AdaptProgress


class AdaptBar:
    """The step at hand, how far it is, and what is left of it.

    Args:
        quiet: Show nothing.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._bars = progress_bar(quiet=quiet)
        self._step = ""

    def __enter__(self) -> AdaptBar:
        self._bar = self._bars.__enter__()
        self._task = self._bar.add_task("preparing", total=None, speed="")
        return self

    def __exit__(self, *error: Any) -> None:
        self._bars.__exit__(*error)

    def __call__(self, progress: AdaptProgress) -> None:
        if progress.step != self._step:  # the time left is that of this step
            self._step = progress.step
            self._bar.remove_task(self._task)
            self._task = self._bar.add_task(progress.step, total=None, speed="")
        self._bar.update(
            self._task,
            completed=progress.done,
            total=progress.total or None,
            speed=f"{progress.done}/{progress.total}" if progress.total else "",
        )


def use_of(found: Adaptation) -> str:
    """How to measure with an adapted model, and how to have it without PyTorch."""
    backbone = (
        "" if found.backbone.startswith(DEFAULT_BACKBONE) else f" --backbone {found.backbone}"
    )
    place = shlex.quote(str(found.output))
    lines = [f"use it: synctool detect VIDEO{backbone} --weights {place}"]
    if place.endswith((".safetensors", ".safetensors'")):
        lines.append(
            f"without PyTorch: synctool export{backbone} --weights {place} --out FOLDER, then "
            "--weights FOLDER"
        )
    return "\n".join(lines)
