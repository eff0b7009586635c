"""What ``synctool train`` shows: the plan, the progress, and where the time goes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from synctool.cli.common import print_text
from synctool.cli.progress import progress_bar
from synctool.settings.shared import DEFAULT_BACKBONE

if TYPE_CHECKING:
    from synctool.training.train import TrainPlan, TrainProgress

_OF_A_SOURCE = re.compile(r".+_([a-z]+_(?:[0-9]+|clip))")
"""A figure of one source, such as ``GRID_head_5``."""


def show_plan(plan: TrainPlan) -> None:
    """Print what would be trained."""
    lines = [
        f"backbone: {plan.backbone}, {plan.parameters / 1e6:.2f} million parameters, "
        f"{plan.trained / 1e6:.2f} of them trained at first",
        *(f"published weights: {side}: {name}" for side, name in plan.pretrained.items()),
        f"frames: {plan.video_input.crop} crops, {plan.video_input.size_px} px, {plan.video_input.colour}",
        f"where: {plan.device}, {plan.precision}",
        f"length: {plan.steps} steps, {plan.windows} clips drawn",
    ]
    if plan.losses:
        lines.append("losses: " + ", ".join(f"{name} x {w:g}" for name, w in plan.losses.items()))
    if plan.teacher:
        lines.append(f"teacher: {plan.teacher}")
    for label, sources in (("train", plan.train), ("validate", plan.val)):
        lines += [
            f"{label}: {source}: {figures['clips']} clips of {figures['people']} people, "
            f"{figures['hours']:.2f} hours"
            for source, figures in sources.items()
        ] or [f"{label}: nobody"]
    if plan.continues:
        lines.append("the run in this folder would go on")
    print_text("\n".join(lines))


def use_of(weights: Path, backbone: str) -> str:
    """How to measure with trained weights, in one line."""
    name = "" if backbone == DEFAULT_BACKBONE else f"--backbone {backbone} "
    return f"use them: synctool detect VIDEO {name}--weights {shlex.quote(str(weights))}"


class TrainBar:
    """Loss, rate and time left while it trains; a line and a table after every epoch.

    Args:
        quiet: Show nothing.
        steps_per_epoch: After so many steps the network is validated, which takes a while.
    """

    def __init__(self, *, quiet: bool, steps_per_epoch: int) -> None:
        self._quiet = quiet
        self._steps_per_epoch = steps_per_epoch
        self._bars = progress_bar(quiet=quiet)

    def __enter__(self) -> TrainBar:
        self._bar = self._bars.__enter__()
        self._task = self._bar.add_task("training", total=None, speed="")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.__exit__(kind, error, trace)

    def __call__(self, progress: TrainProgress) -> None:
        if progress.metrics is None:
            validating = progress.step % self._steps_per_epoch == 0
            self._bar.update(
                self._task,
                description=f"epoch {progress.epoch} loss {progress.loss:.3f} "
                f"rate {progress.rate:.1e}" + (", validating" if validating else ""),
                completed=progress.step,
                total=progress.steps,
                speed=f"{progress.seconds_per_step:.2f} s/step",
            )
        elif not self._quiet:
            self._bar.console.print(_epoch(progress), highlight=False, markup=False, soft_wrap=True)


def _epoch(progress: TrainProgress) -> str:
    figures = "  ".join(f"{n} {v:.3f}" for n, v in averaged(progress.metrics or {}).items())
    head = f"epoch {progress.epoch}  step {progress.step}  loss {progress.loss:.3f}  {figures}"
    return "\n".join([head.rstrip(), *_times(progress)])


def averaged(metrics: Mapping[str, float]) -> dict[str, float]:
    """Means over the sources: twenty of them would fill the terminal. ``log.csv`` has each.

    Args:
        metrics: Of a validation: ``SOURCE_FIGURE`` each, or a figure of all.
    """
    values: dict[str, list[float]] = {}
    for name, value in metrics.items():
        found = _OF_A_SOURCE.fullmatch(name)
        values.setdefault(found[1] if found else name, []).append(value)
    return {name: sum(of) / len(of) for name, of in values.items()}


def _times(progress: TrainProgress) -> list[str]:
    """The table of stages: name, seconds a step, share."""
    from synctool.training.train import bottleneck

    rows = [row for row in progress.stages if row.seconds > 0]
    if not rows:
        return []
    width = max(len(row.name) for row in rows)
    lines = []
    for beside, title in ((True, "making a batch, beside the training"), (False, "a step")):
        of = [row for row in rows if row.beside == beside]
        if of:
            lines.append(f"  {title}: {sum(row.seconds for row in of):.3f} s")
        lines += [f"    {row.name:<{width}}  {row.seconds:7.3f} s  {row.share:4.0%}" for row in of]
    return [*lines, f"  {bottleneck(list(progress.stages))}"]
