"""Where the time of a training step goes, so that its bottleneck can be seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from synctool.data.windows import STAGES

LOADING = STAGES
"""Parts of making a batch, in the workers beside the training."""
STEPPING = (
    "waiting for data",
    "to the device",
    "video forward",
    "audio forward",
    "loss",
    "backward",
    "optimizer",
    "other",
)
"""Parts of a step, one after the other."""
_ENCODING = {
    "encode_video": "video forward",
    "encode_video_both": "video forward",
    "encode_audio": "audio forward",
    "encode_audio_both": "audio forward",
}
_SLOW_LOADING = 0.2


@dataclass(frozen=True)
class Stage:
    """One row of the table.

    Attributes:
        name: What is done.
        seconds: Mean seconds a step.
        share: Share of the whole step, 0..1; for parts of the loading, share of making a batch.
        beside: Whether it is done by the workers, beside the training.
    """

    name: str
    seconds: float
    share: float
    beside: bool


class StageTimer:
    """Adds up the seconds of the parts of a step.

    On a device that works beside the program, seconds mean something only where the two are brought
    together, which costs time: only every ``every``-th step is measured there.

    Args:
        device: Where the network is.
        every: Measure one step of so many, except on the processor, where all are measured.
    """

    def __init__(self, device: torch.device, *, every: int = 20) -> None:
        self._every = 1 if device.type == "cpu" else every
        self._wait: Callable[[], None] = {
            "cuda": torch.cuda.synchronize,
            "mps": torch.mps.synchronize,
        }.get(device.type, _nothing)
        self._seconds: dict[str, float] = {}
        self._loading: dict[str, float] = {}
        self._steps = self._batches = 0
        self._measured = False
        self._inside: list[float] = []

    def begin(self, step: int) -> None:
        """A step begins."""
        self._measured = step % self._every == 0
        self._steps += self._measured

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure a part; what parts inside it measure is theirs alone."""
        if not self._measured:
            yield
            return
        self._wait()
        started = time.perf_counter()
        self._inside.append(0.0)
        try:
            yield
        finally:
            self._wait()
            passed = time.perf_counter() - started
            own = passed - self._inside.pop()
            self._seconds[name] = self._seconds.get(name, 0.0) + own
            if self._inside:
                self._inside[-1] += passed

    def loaded(self, seconds: Mapping[str, float]) -> None:
        """Take in what a worker measured while it made a batch."""
        self._batches += 1
        for name, value in seconds.items():
            self._loading[name] = self._loading.get(name, 0.0) + value

    @contextmanager
    def watching(self, model: nn.Module) -> Iterator[None]:
        """Measure the encoders of a network wherever they are used inside the block."""
        watched = [name for name in _ENCODING if hasattr(model, name)]
        for name in watched:
            # On the object and not by hooks on the encoders, which may be called in two halves.
            object.__setattr__(model, name, self._timed(getattr(model, name), _ENCODING[name]))
        try:
            yield
        finally:
            for name in watched:
                object.__delattr__(model, name)

    def _timed(self, method: Callable[..., Any], name: str) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.stage(name):
                return method(*args, **kwargs)

        return timed

    def table(self) -> list[Stage]:
        """Mean seconds and shares since the last ``clear``."""
        batches, steps = max(self._batches, 1), max(self._steps, 1)
        loading = {name: self._loading.get(name, 0.0) / batches for name in LOADING}
        stepping = {name: self._seconds.get(name, 0.0) / steps for name in STEPPING}
        made, taken = sum(loading.values()) or 1.0, sum(stepping.values()) or 1.0
        return [Stage(n, s, s / made, True) for n, s in loading.items()] + [
            Stage(n, s, s / taken, False) for n, s in stepping.items()
        ]

    def clear(self) -> None:
        """Begin anew."""
        self._seconds, self._loading = {}, {}
        self._steps = self._batches = 0


def bottleneck(table: list[Stage]) -> str:
    """What holds a run up most, in a sentence."""
    steps = [row for row in table if not row.beside]
    if not any(row.seconds for row in steps):
        return ""
    slowest = max(steps, key=lambda row: row.seconds)
    waiting = next(row for row in steps if row.name == "waiting for data")
    if waiting.share >= _SLOW_LOADING:
        part = max((row for row in table if row.beside), key=lambda row: row.seconds)
        return (
            f"{waiting.share:.0%} of the time is waiting for data, most of it {part.name}: "
            "more --workers, or a larger --cache-mb, may help"
        )
    return f"most of the time is {slowest.name} ({slowest.share:.0%})"


def _nothing() -> None:
    return None
