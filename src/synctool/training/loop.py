"""The training loop: one-cycle schedule, bfloat16 where the processor has it, exact resume."""

from __future__ import annotations

import csv
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from synctool.data.windows import WindowBatch, WindowStream
from synctool.errors import TrainingError
from synctool.training.checkpoint import (
    BEST,
    STATE,
    WEIGHTS,
    Average,
    load_state,
    metadata,
    save_state,
    save_weights,
)

Objective = Callable[[nn.Module, WindowBatch], tuple[torch.Tensor, dict[str, float]]]


@dataclass(frozen=True)
class Schedule:
    """Length and learning rate of a run."""

    epochs: int
    steps_per_epoch: int
    learning_rate: float
    weight_decay: float = 0.02
    clip_norm: float = 1.0

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.epochs * self.steps_per_epoch

    def rate(self, step: int) -> float:
        """One-cycle (Smith & Topin 2018): up over a tenth, down by cosine."""
        warm = max(1, self.steps // 10)
        if step < warm:
            return self.learning_rate * (0.05 + 0.95 * step / warm)
        done = (step - warm) / max(1, self.steps - warm)
        return self.learning_rate * max(0.5 * (1 + math.cos(math.pi * done)), 1e-3)


@dataclass(frozen=True)
class TrainProgress:
    """One step done, or one epoch validated (then ``metrics`` is filled)."""

    step: int
    steps: int
    epoch: int
    loss: float
    parts: dict[str, float]
    seconds_per_step: float
    metrics: dict[str, float] | None = None


class Trainer:
    """Trains a network on a stream of windows.

    Args:
        model: The network.
        objective: Loss of a batch.
        schedule: Length and learning rate.
        output: Folder of the run.
        facts: Stored in the header of the weights.
        device: Where to train.
        validate: Called with the averaged network after each epoch; gives metrics, and the one
            named ``score`` decides which epoch is best.
        on_progress: Called after each step and epoch.
    """

    def __init__(
        self,
        *,
        model: nn.Module,
        objective: Objective,
        schedule: Schedule,
        output: Path,
        facts: dict[str, Any],
        device: torch.device,
        validate: Callable[[nn.Module], dict[str, float]] | None = None,
        on_progress: Callable[[TrainProgress], None] | None = None,
    ) -> None:
        self._model = model.to(device)
        self._objective = objective
        self._schedule = schedule
        self._output = output
        self._facts = facts
        self._device = device
        self._validate = validate
        self._tell = on_progress or (lambda _: None)
        decayed = [p for p in model.parameters() if p.ndim > 1]
        others = [p for p in model.parameters() if p.ndim <= 1]
        self._optimizer = torch.optim.AdamW(
            [
                {"params": decayed, "weight_decay": schedule.weight_decay},
                {"params": others, "weight_decay": 0.0},
            ],
            lr=schedule.learning_rate,
        )
        self._average = Average(model)
        self.step = 0
        self.best = -math.inf

    def resume(self) -> bool:
        """Continue the run in the output folder, if there is one.

        Raises:
            WeightsError: Its state is damaged.
        """
        path = self._output / STATE
        if not path.is_file():
            return False
        state = load_state(path)
        self._model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._average.values = {k: v.to(self._device) for k, v in state["average"].items()}
        self._average.steps = self.step = int(state["step"])
        self.best = float(state["best"])
        return True

    def fit(self, stream: WindowStream, *, workers: int = 1) -> None:
        """Train to the end of the schedule.

        Raises:
            TrainingError: The loss is not a number.
        """
        loader = torch.utils.data.DataLoader(
            stream,
            batch_size=None,
            num_workers=workers,
            prefetch_factor=3 if workers else None,
            worker_init_fn=_one_thread,
        )
        self._model.train()
        batches = iter(loader) if self.step < self._schedule.steps else iter(())
        started = time.monotonic()
        first = self.step
        for batch in batches:
            loss, parts = self._take(batch)
            self.step += 1
            pace = (time.monotonic() - started) / (self.step - first)
            epoch = (self.step - 1) // self._schedule.steps_per_epoch + 1
            self._tell(TrainProgress(self.step, self._schedule.steps, epoch, loss, parts, pace))
            if self.step % self._schedule.steps_per_epoch == 0:
                self._end_epoch(epoch, loss, parts, pace)
            if self.step >= self._schedule.steps:
                return

    def _take(self, batch: WindowBatch) -> tuple[float, dict[str, float]]:
        for group in self._optimizer.param_groups:
            group["lr"] = self._schedule.rate(self.step)
        moved = WindowBatch(
            batch.video.to(self._device),
            batch.audio.to(self._device),
            batch.offset_frames.to(self._device),
            batch.audio_lead,
        )
        with torch.autocast(self._device.type, torch.bfloat16, enabled=_has_bfloat16(self._device)):
            loss, parts = self._objective(self._model, moved)
        if not torch.isfinite(loss):
            torch.save({"video": batch.video, "audio": batch.audio}, self._output / "nan-batch.pt")
            raise TrainingError(
                f"the loss is not a number at step {self.step}",
                remedy=f"The batch is in {self._output / 'nan-batch.pt'}; lower --learning-rate.",
            )
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self._model.parameters(), self._schedule.clip_norm)
        self._optimizer.step()
        self._average.update(self._model)
        return float(loss.detach()), parts

    def _end_epoch(self, epoch: int, loss: float, parts: dict[str, float], pace: float) -> None:
        metrics: dict[str, float] = {}
        if self._validate is not None:
            kept = {k: v.clone() for k, v in self._model.state_dict().items()}
            self._model.load_state_dict(self._average.values)
            self._model.eval()
            metrics = self._validate(self._model)
            self._model.load_state_dict(kept)
            self._model.train()
        facts = metadata({**self._facts, "step": self.step, "metrics": metrics})
        score = metrics.get("score", float(self.step))
        if score > self.best:
            self.best = score
            save_weights(self._output / BEST, self._average.values, facts)
        save_weights(self._output / WEIGHTS, self._average.values, facts)
        save_state(
            self._output / STATE,
            {
                "model": self._model.state_dict(),
                "optimizer": self._optimizer.state_dict(),
                "average": self._average.values,
                "step": self.step,
                "best": self.best,
            },
        )
        self._log(epoch, loss, parts, metrics)
        self._tell(
            TrainProgress(self.step, self._schedule.steps, epoch, loss, parts, pace, metrics)
        )

    def _log(
        self, epoch: int, loss: float, parts: dict[str, float], metrics: dict[str, float]
    ) -> None:
        path = self._output / "log.csv"
        row = {
            "epoch": epoch,
            "step": self.step,
            "rate": self._schedule.rate(self.step),
            "loss": loss,
        }
        row |= parts | metrics
        new = not path.is_file()
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(row))
            if new:
                writer.writeheader()
            writer.writerow(
                {k: json.dumps(v) if isinstance(v, dict) else v for k, v in row.items()}
            )


def _one_thread(_: int) -> None:
    # The worker's small matrix products must not fight the training for the cores.
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    # Emulated bfloat16 is slower than float32: only where the processor multiplies in it.
    return device.type == "cpu" and getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
