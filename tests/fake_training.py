"""A training so small that a test can run many: ``python fake_training.py OUT KILLED_AT``."""

from __future__ import annotations

import itertools
import os
import random
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from synctool.data.windows import WindowBatch
from synctool.training.devices import make_fabric
from synctool.training.loop import LoopSettings, Schedule, Trainer, TrainProgress

EPOCHS, STEPS = 3, 4


class TinyNet(nn.Module):
    """Two layers with batch normalisation and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.norm = nn.BatchNorm1d(4)
        self.drop = nn.Dropout(0.5)
        self.second = nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, 3] -> [B, 1]``."""
        return self.second(self.drop(self.norm(self.first(x))))


class TinyStream(torch.utils.data.IterableDataset):
    """Batch i is made of the number i alone."""

    def start_at(self, step: int) -> None:
        """Begin with a later batch."""
        self._start = step

    def __iter__(self) -> Iterator[WindowBatch]:
        yield from map(self.batch, itertools.count(self._start))

    def batch(self, step: int) -> WindowBatch:
        """The batch of a number."""
        noise = np.random.default_rng(step).normal(size=(4, 3)).astype(np.float32)
        x = torch.from_numpy(noise)
        return WindowBatch(
            video=torch.full((4, 1, 1, 1, 1), step, dtype=torch.uint8),
            audio=x[:, None, None],
            offset_frames=x.sum(1),
            audio_lead=step,
        )


def chancy(model: nn.Module, batch: WindowBatch) -> tuple[Tensor, dict[str, float]]:
    """A loss that draws from all sources of chance."""
    chance = random.random() + np.random.random()
    loss = ((model(batch.audio[:, 0, 0])[:, 0] - batch.offset_frames) ** 2).mean() * (1 + chance)
    return loss, {"batch": float(batch.audio_lead)}


def tiny_trainer(
    out: Path,
    *,
    objective: Callable[..., tuple[Tensor, dict[str, float]]] = chancy,
    model: nn.Module | None = None,
    schedule: Schedule | None = None,
    settings: LoopSettings | None = None,
    scores: list[float] | None = None,
    precision: str = "float32",
    on_progress: Callable[[TrainProgress], None] | None = None,
) -> Trainer:
    """A trainer of a small network; ``scores`` are what its epochs get in validation."""
    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)
    left = iter(scores or [])
    return Trainer(
        model=model or TinyNet(),
        objective=objective,
        schedule=schedule or Schedule(EPOCHS, STEPS, 0.01),
        output=out,
        facts={"backbone": "tiny"},
        fabric=make_fabric(torch.device("cpu"), precision=precision),
        settings=settings or LoopSettings(save_every=3),
        validate=(lambda _: {"score": next(left)}) if scores else None,
        on_progress=on_progress,
    )


def main() -> None:
    """Train, and be killed after a step."""
    torch.set_num_threads(1)  # as in the tests: sums depend on it
    killed_at = int(sys.argv[2])

    def kill(progress: TrainProgress) -> None:
        if progress.step == killed_at and progress.metrics is None:
            os.kill(os.getpid(), signal.SIGKILL)

    tiny_trainer(Path(sys.argv[1]), on_progress=kill).fit(TinyStream(), workers=0)


if __name__ == "__main__":
    main()
