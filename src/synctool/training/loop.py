"""The training loop: precision and processes by Lightning Fabric, exact resume, averaged weights."""

from __future__ import annotations

import copy
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from synctool.data.windows import WindowBatch, WindowStream
from synctool.errors import TrainingError
from synctool.training import replicas
from synctool.training.averaging import Average
from synctool.training.batch_loading import batches
from synctool.training.checkpoint import (
    BEST,
    STATE,
    WEIGHTS,
    damaged_state,
    load_state,
    metadata,
    random_state,
    save_state,
    save_weights,
    set_random_state,
)
from synctool.training.logs import RunLog, open_logs
from synctool.training.schedules import Patience, Plateau, Schedule
from synctool.training.stage_timing import Stage, StageTimer
from synctool.training.unfreezing import LayerGroups, Unfreezing
from synctool.untrusted.tensors import check_tensors

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["LoopSettings", "Objective", "Schedule", "TrainProgress", "Trainer"]

Objective = Callable[[nn.Module, WindowBatch], tuple[Tensor, dict[str, float]]]
"""Loss of a batch and its parts by name. A module may have parameters, which are trained along."""
NAN_BATCH = "nan-batch.safetensors"


@dataclass(frozen=True)
class LoopSettings:
    """How a run goes, beside its schedule.

    Attributes:
        ema: Share of the averaged weights kept per step; 0 for none.
        accumulate: Batches whose gradients make one step.
        early_stopping: Epochs without a better validation score before the run ends; 0 for never.
        plateau_epochs: The same for halving the rate, with the schedule ``plateau``.
        save_every: Steps between two saves inside an epoch; 0 for none.
        save_minutes: Minutes between two; 0 for none.
        log_every: Steps that one row of ``steps.csv`` stands for.
        loggers: What the run is written to, see ``synctool.training.logs.loggers``.
        unfreezing: When the encoders are trained.
    """

    ema: float = 0.998
    accumulate: int = 1
    early_stopping: int = 0
    plateau_epochs: int = 3
    save_every: int = 0
    save_minutes: float = 10.0
    log_every: int = 50
    loggers: tuple[str, ...] = ("csv",)
    unfreezing: Unfreezing = field(default_factory=Unfreezing)


@dataclass(frozen=True)
class TrainProgress:
    """One step done, or one epoch validated (then ``metrics`` is filled).

    Attributes:
        step: Steps done.
        steps: Steps of the run.
        epoch: From 1.
        loss: Of the step; of an epoch, its mean.
        parts: Its parts by name.
        seconds_per_step: Mean of this session.
        metrics: Of the validation.
        rate: Learning rate.
        stages: With an epoch, where its time went.
    """

    step: int
    steps: int
    epoch: int
    loss: float
    parts: dict[str, float]
    seconds_per_step: float
    metrics: dict[str, float] | None = None
    rate: float = 0.0
    stages: tuple[Stage, ...] = ()


class Trainer:
    """Trains a network on a stream of windows.

    Args:
        model: The network.
        objective: Loss of a batch.
        schedule: Length and learning rate.
        output: Folder of the run.
        facts: Stored in the header of the weights.
        fabric: Device, precision and processes, launched.
        settings: How the run goes.
        validate: Called with the averaged network after each epoch, in the first process; gives
            metrics, and the one named ``score`` decides which epoch is best.
        on_progress: Called after each step and epoch, in the first process.
    """

    def __init__(
        self,
        *,
        model: nn.Module,
        objective: Objective,
        schedule: Schedule,
        output: Path,
        facts: dict[str, Any],
        fabric: Fabric,
        settings: LoopSettings | None = None,
        validate: Callable[[nn.Module], dict[str, float]] | None = None,
        on_progress: Callable[[TrainProgress], None] | None = None,
    ) -> None:
        self._settings = settings or LoopSettings()
        self._fabric = fabric
        self._unit = _Unit(replicas.synchronised(model), objective).to(fabric.device)
        self._schedule = schedule
        self._output = output
        self._facts = facts
        self._first = fabric.is_global_zero
        self._validate = validate
        self._tell = on_progress if on_progress and self._first else lambda _: None
        self._groups = LayerGroups(self._unit.model, self._settings.unfreezing)
        self._optimizer = self._make_optimizer()
        self._stepper: Any = fabric.setup_optimizers(self._optimizer)
        self._average = Average(self._unit.model, decay=self._settings.ema)
        # Validation reads clips one by one and is at home on the processor.
        self._judged = copy.deepcopy(self._unit.model).cpu().eval().requires_grad_(False)
        self._plateau = Plateau(patience=self._settings.plateau_epochs)
        self._patience = Patience(self._settings.early_stopping)
        self._timer = StageTimer(fabric.device)
        self._of_epoch, self._of_steps = _Means(), _Means()
        self._logs: list[RunLog] = []
        self._random: dict[str, Any] | None = None
        self._saved_at = time.monotonic()
        self._stop = 0
        self.step = 0
        self.best = -math.inf

    @property
    def over(self) -> bool:
        """Whether the run has reached its end."""
        return self.step >= self._schedule.steps or self._patience.over

    def resume(self) -> bool:
        """Continue the run in the output folder, if there is one.

        Raises:
            WeightsError: Its state is damaged.
        """
        path = self._output / STATE
        if not path.is_file():
            return False
        state = load_state(path)
        try:
            check_tensors(state["model"])
            self._unit.model.load_state_dict(state["model"])
            self._unit.load_own(state["objective"])
            self._optimizer.load_state_dict(state["optimizer"])
            self._average.load(state["average"], steps=int(state["averaged"]))
            self._fabric.strategy.precision.load_state_dict(state["precision"])
            self._plateau.load_state_dict(state["plateau"])
            self._patience.waited = int(state["waited"])
            self._of_epoch.load(state["means"][0])
            self._of_steps.load(state["means"][1])
            self.step, self.best = int(state["step"]), float(state["best"])
            if self.step < 0 or math.isnan(self.best):
                raise ValueError("its counters make no sense")
            states = state["random"]
            if self._fabric.global_rank < len(states):
                self._random = states[self._fabric.global_rank]
        except (
            LookupError,
            TypeError,
            ArithmeticError,
            ValueError,
            AttributeError,
            RuntimeError,
        ) as error:
            raise damaged_state(path, error) from error
        return True

    def fit(self, stream: WindowStream, *, workers: int = 1) -> None:
        """Train to the end of the schedule.

        Args:
            stream: Batches; where gradients are accumulated, a step takes several in turn.
            workers: Processes that make batches; 0 for this one.

        Raises:
            TrainingError: The loss is not a number.
            WeightsError: The state that the run goes on from is damaged.
            KeyboardInterrupt: Ctrl-C; the state is saved.
            SystemExit: The system asked the process to end; the state is saved.
        """
        if self.over:
            return
        start = self.step * self._settings.accumulate
        source = batches(stream, start=start, workers=workers)
        if self._first:
            self._logs = open_logs(self._output, self._settings.loggers, since=self.step)
        if self._random is not None:
            try:
                set_random_state(self._random, self._fabric.device)
            except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
                raise damaged_state(self._output / STATE, error) from error
        self._groups.at(self._epoch)
        self._wrap()
        self._saved_at = time.monotonic()
        try:
            with self._catching_signals(), self._timer.watching(self._unit.model):
                self._run(source)
        finally:
            for log in self._logs:
                log.close()

    @property
    def _epoch(self) -> int:
        """The epoch of the step to come, from 1."""
        return self.step // self._schedule.steps_per_epoch + 1

    def _run(self, source: Iterator[WindowBatch]) -> None:
        began, first = time.monotonic(), self.step
        while not self.over:
            epoch = self._epoch
            if self._groups.at(epoch):
                self._wrap()
            rate = self._schedule.rate(self.step) * self._plateau.scale
            self._timer.begin(self.step)
            with self._timer.stage("other"):
                loss, parts, stop, due = self._take(source, rate)
            self.step += 1
            self._of_epoch.add(loss, parts)
            self._of_steps.add(loss, parts)
            pace = (time.monotonic() - began) / (self.step - first)
            progress = TrainProgress(
                self.step, self._schedule.steps, epoch, loss, parts, pace, rate=rate
            )
            if self.step % self._settings.log_every == 0:
                self._log_steps(progress)
            self._tell(progress)
            if self.step % self._schedule.steps_per_epoch == 0:
                self._end_epoch(progress)
            elif due or stop:
                self._save()
            if stop:
                raise KeyboardInterrupt if stop == signal.SIGINT else SystemExit(128 + stop)

    def _take(
        self, source: Iterator[WindowBatch], rate: float
    ) -> tuple[float, dict[str, float], int, bool]:
        """One step; gives its loss, the parts, the signal to end, and whether a save is due."""
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        times = self._settings.accumulate
        total, sums = torch.zeros((), device=self._fabric.device), _Means()
        bad: _NotFinite | None = None
        value, stop, due = 0.0, 0, False
        for i in range(times):
            batch = self._next(source)
            apart = i < times - 1 and self._fabric.world_size > 1
            with self._fabric.no_backward_sync(self._wrapped) if apart else nullcontext():
                with self._timer.stage("loss"):
                    loss, parts = self._wrapped(_Held(batch))
                total += loss.detach() / times
                sums.add(0.0, parts)
                if bad is None and not math.isfinite(float(loss.detach())):
                    bad = _NotFinite(i, batch, parts)
                if i == times - 1:
                    value, stop, due = self._agree(total)
                    if not math.isfinite(value):
                        self._not_a_number(bad, rate)
                with self._timer.stage("backward"):
                    self._fabric.backward(loss / times if times > 1 else loss)
        with self._timer.stage("optimizer"):
            if self._schedule.clip_norm > 0:
                self._fabric.clip_gradients(
                    self._unit,
                    self._optimizer,
                    max_norm=self._schedule.clip_norm,
                    error_if_nonfinite=False,
                )
            self._stepper.step()
            self._optimizer.zero_grad(set_to_none=True)
            self._average.update(self._unit.model)
        return value, sums.parts, stop, due

    def _next(self, source: Iterator[WindowBatch]) -> WindowBatch:
        with self._timer.stage("waiting for data"):
            batch = next(source)
        self._timer.loaded(batch.seconds)
        if self._fabric.device.type == "cpu":
            return batch
        with self._timer.stage("to the device"):
            moved = {
                f.name: value.to(self._fabric.device, non_blocking=True)
                for f in fields(batch)
                if isinstance(value := getattr(batch, f.name), Tensor)
            }
            return replace(batch, **moved)

    def _agree(self, loss: Tensor) -> tuple[float, int, bool]:
        """The loss of all processes, and what one of them wants of all: to end, or to save."""
        every = self._settings.save_minutes * 60
        due = bool(self._settings.save_every and (self.step + 1) % self._settings.save_every == 0)
        late = every > 0 and self._first and time.monotonic() - self._saved_at > every
        if self._fabric.world_size == 1:
            return float(loss), self._stop, due or late
        wishes = loss.new_tensor([0.0, float(self._stop), float(late)])
        wishes[0] = loss
        value, stop, late_somewhere = replicas.average(wishes).tolist()
        # Signals are told apart by their size only where one process got one; others end as Ctrl-C.
        return value, (self._stop or signal.SIGINT) if stop else 0, due or late_somewhere > 0

    def _not_a_number(self, bad: _NotFinite | None, rate: float) -> None:
        path = self._output / NAN_BATCH
        if bad is not None:  # else it is another process's
            batch = bad.batch
            tensors = {
                f.name: value.float() if value.is_floating_point() else value
                for f in fields(batch)
                if isinstance(value := getattr(batch, f.name), Tensor)
            }
            facts = {
                "step": self.step,
                "batch": self.step * self._settings.accumulate + bad.number,
                "rate": rate,
                "parts": {k: str(v) for k, v in bad.parts.items()},
            }
            plain = {
                f.name: value
                for f in fields(batch)
                if isinstance(value := getattr(batch, f.name), int | float | str)
            }
            save_weights(path, tensors, metadata({**facts, **plain}))
        raise TrainingError(
            f"the loss is not a number at step {self.step}",
            remedy=f"The batch is in {path}; lower --learning-rate, or use --precision float32.",
        )

    def _end_epoch(self, progress: TrainProgress) -> None:
        metrics: dict[str, float] = {}
        if self._validate is not None and self._first:
            self._judged.load_state_dict(self._average.values)
            metrics = self._validate(self._judged)
        if self._fabric.world_size > 1:
            metrics = self._fabric.broadcast(metrics)
        score = metrics.get("score", float(self.step))
        better = score > self.best
        self.best = max(self.best, score)
        self._patience.see(better=better)
        if self._schedule.shape == "plateau":
            self._plateau.see(score)
        stages = tuple(self._timer.table())
        told = replace(
            progress,
            loss=self._of_epoch.loss,
            parts=self._of_epoch.parts,
            metrics=metrics,
            stages=stages,
        )
        self._of_epoch = _Means()
        self._timer.clear()
        if self._first:
            facts = metadata({**self._facts, "step": self.step, "metrics": metrics})
            if better:
                save_weights(self._output / BEST, self._average.values, facts)
            save_weights(self._output / WEIGHTS, self._average.values, facts)
        for log in self._logs:
            log.epoch({**_row(told), **metrics, **_seconds(stages)})
        self._save()
        self._tell(told)

    def _log_steps(self, progress: TrainProgress) -> None:
        told = replace(progress, loss=self._of_steps.loss, parts=self._of_steps.parts)
        self._of_steps = _Means()
        for log in self._logs:
            log.step({**_row(told), "seconds_per_step": round(told.seconds_per_step, 4)})

    def _save(self) -> None:
        states = replicas.gather_objects(random_state(self._fabric.device))
        self._saved_at = time.monotonic()
        if not self._first:
            return
        save_state(
            self._output / STATE,
            {
                "model": self._unit.model.state_dict(),
                "objective": self._unit.own_state(),
                "optimizer": self._optimizer.state_dict(),
                "average": self._average.values,
                "averaged": self._average.steps,
                "precision": self._fabric.strategy.precision.state_dict(),
                "plateau": self._plateau.state_dict(),
                "waited": self._patience.waited,
                "means": [self._of_epoch.state(), self._of_steps.state()],
                "step": self.step,
                "best": self.best,
                "random": states,
            },
        )

    def _make_optimizer(self) -> torch.optim.Optimizer:
        groups: dict[tuple[float, bool], dict[str, Any]] = {}
        for parameter in self._unit.parameters():
            decayed, scale = parameter.ndim > 1, self._groups.scale(parameter)
            group = groups.setdefault(
                (scale, not decayed),
                {
                    "params": [],
                    "weight_decay": self._schedule.weight_decay if decayed else 0.0,
                    "scale": scale,
                },
            )
            group["params"].append(parameter)
        # The fused one is one call for all tensors; it does not go with scaled gradients.
        scaled = getattr(self._fabric.strategy.precision, "scaler", None) is not None
        return torch.optim.AdamW(
            [groups[key] for key in sorted(groups, key=lambda k: (-k[0], k[1]))],
            lr=self._schedule.learning_rate,
            fused=self._fabric.device.type in {"cpu", "cuda"} and not scaled,
        )

    def _wrap(self) -> None:
        """Hand the network to Fabric; anew when layers thaw, since gradients to share are counted."""
        self._wrapped = self._fabric.setup_module(self._unit)
        self._into_training()

    def _into_training(self) -> None:
        self._unit.train()
        self._groups.hold()

    @contextmanager
    def _catching_signals(self) -> Iterator[None]:
        """Ctrl-C and the system's wish to end wait for the end of the step; a second time they do not."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before: dict[int, Any] = {}

        def note(number: int, frame: FrameType | None) -> None:
            self._stop = number
            signal.signal(number, before[number])

        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, note)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@dataclass(frozen=True)
class _NotFinite:
    """The first batch of a step whose loss is not a number.

    Attributes:
        number: Which of the batches of the step, from 0.
        batch: The batch.
        parts: Parts of its loss.
    """

    number: int
    batch: WindowBatch
    parts: Mapping[str, float]


class _Held:
    """Carries a batch through Fabric, which would else round its offsets to half precision."""

    def __init__(self, batch: WindowBatch) -> None:
        self.batch = batch


class _Unit(nn.Module):
    """The network with its objective: what a step calls, and what is trained."""

    def __init__(self, model: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.model = model
        self.objective = objective

    def forward(self, held: _Held) -> tuple[Tensor, dict[str, float]]:
        return self.objective(self.model, held.batch)

    def own_state(self) -> dict[str, Tensor]:
        """Tensors of the objective itself."""
        return self.objective.state_dict() if isinstance(self.objective, nn.Module) else {}

    def load_own(self, state: dict[str, Tensor]) -> None:
        """Load what ``own_state`` gave."""
        if isinstance(self.objective, nn.Module):
            self.objective.load_state_dict(state)


class _Means:
    """Means of the loss and its parts over some steps."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def add(self, loss: float, parts: Mapping[str, float]) -> None:
        """Take in a step."""
        for name, value in {"": loss, **parts}.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
            self._counts[name] = self._counts.get(name, 0) + 1

    @property
    def loss(self) -> float:
        """Mean loss."""
        return self._sums.get("", 0.0) / max(self._counts.get("", 0), 1)

    @property
    def parts(self) -> dict[str, float]:
        """Mean of each part, over the steps that had it."""
        return {n: s / self._counts[n] for n, s in self._sums.items() if n}

    def state(self) -> list[dict[str, Any]]:
        """What a continued run needs."""
        return [self._sums, self._counts]

    def load(self, state: list[dict[str, Any]]) -> None:
        """Load what ``state`` gave."""
        self._sums, self._counts = dict(state[0]), dict(state[1])


def _row(progress: TrainProgress) -> dict[str, Any]:
    return {
        "epoch": progress.epoch,
        "step": progress.step,
        "rate": progress.rate,
        "loss": progress.loss,
        **progress.parts,
    }


def _seconds(stages: tuple[Stage, ...]) -> dict[str, float]:
    """Columns of the seconds a step of each stage."""
    return {f"{stage.name.replace(' ', '_')}_s": round(stage.seconds, 5) for stage in stages}
