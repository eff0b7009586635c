"""The training runs of ``experiments.py``: small, by the product's own code, each kept in a folder."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from rich.progress import Progress
from small_network import NAME, SPEC, regressor, small
from torch import nn

from synctool._version import __version__
from synctool.data.pool import PooledSample
from synctool.data.windows import WindowSettings, WindowStream
from synctool.errors import MissingError, UsageError
from synctool.files import make_folder, write_text
from synctool.models.heads import VolumeHead
from synctool.networks.load_torch import choose_device
from synctool.settings.train import TrainSettings
from synctool.training.checkpoint import BEST, WEIGHTS
from synctool.training.data import TrainData, train_data
from synctool.training.devices import choose_precision, make_fabric
from synctool.training.logs import EPOCHS
from synctool.training.loop import LoopSettings, Schedule, Trainer
from synctool.training.regression_objective import RegressionObjective
from synctool.training.train import TrainProgress, train
from synctool.weights.files import fit, load_weights

MAX_OFFSET = 15
MARGIN = sum(kernel[0] // 2 for kernel in VolumeHead.kernels)
"""Further frames of audio on either side, which the classifier's head looks at."""
SETTINGS = "settings.json"
DONE = "done.json"
_ROUNDS = 15
_CACHE_MB = 512.0


@dataclass(frozen=True)
class Plan:
    """What all runs share.

    Attributes:
        source: Collection that the networks learn on.
        target: Collection that they are carried over to.
        steps: Of a whole run; carrying over takes half as many.
        batch: Windows in a batch.
        frames: Length of a window.
        learning_rate: The greatest.
        augment: Strength of the augmentation.
        seed: Of everything.
        few_clips: Clips of one person, to learn by heart.
        target_clips: Clips of ``target`` to learn on.
        patience: Epochs without a better score before early stopping ends a run.
        loss: Of the regression: ``mse`` or ``l1``.
        pretext: Task without labels.
    """

    source: str = "GRID"
    target: str = "LRW-AR"
    steps: int = 360
    batch: int = 16
    frames: int = 16
    learning_rate: float = 0.002
    augment: float = 0.25
    seed: int = 1
    few_clips: int = 32
    target_clips: int = 200
    patience: int = 3
    loss: Literal["mse", "l1"] = "mse"
    pretext: Literal["retrieval", "avc"] = "retrieval"

    def settings(self, steps: int, **changes: Any) -> TrainSettings:
        """The settings of a run of about so many steps."""
        rounds = min(_ROUNDS, steps)
        given = TrainSettings(
            backbone=NAME,
            epochs=rounds,
            steps_per_epoch=steps // rounds,
            batch_size=self.batch,
            learning_rate=self.learning_rate,
            ema=0.97,
            max_offset=MAX_OFFSET,
            window_frames=self.frames,
            augment=self.augment,
            seed=self.seed,
            device="cpu",
            cache_mb=int(2 * _CACHE_MB),
            log_every=10,
            tensorboard="no",
        )
        return replace(given, **changes)


class Runs:
    """The runs in a folder; one that is finished is not made again.

    Args:
        processed: What ``synctool preprocess`` made.
        out: Where the runs go.
        plan: What they share.
        progress: Where they are shown.
        split: ``split.json``; None looks in ``processed``.
        constants: Constant offsets, for ``synctool train --constants``.
        workers: Processes that make batches.
    """

    def __init__(
        self,
        processed: Path,
        out: Path,
        plan: Plan,
        *,
        progress: Progress,
        split: Path | None = None,
        constants: Path | None = None,
        workers: int = 1,
    ) -> None:
        self.plan = plan
        self.out = out
        self._processed = processed
        self._split = split
        self._constants = constants
        self._progress = progress
        self._workers = workers

    def claim(self) -> None:
        """Make the folder these runs' own.

        Raises:
            UsageError: It holds runs with other settings.
            MissingError: Nobody to learn from, or nobody to be judged by.
        """
        import hashlib

        own: dict[str, Any] = {**asdict(self.plan), "processed": str(self._processed.resolve())}
        files = {"split": self.data.split, "constants": self._constants}
        for name, path in files.items():
            own[name] = path and hashlib.sha256(path.read_bytes()).hexdigest()
        kept = self.out / SETTINGS
        if kept.is_file():
            there = json.loads(kept.read_text("utf-8"))
            other = sorted(k for k in {**own, **there} if own.get(k) != there.get(k))
            if other:
                raise UsageError(
                    f"{self.out} holds experiments with another {', '.join(other)}",
                    remedy="Give the same to go on with them, or another --out.",
                )
        make_folder(self.out)
        write_text(kept, json.dumps(own, indent=1) + "\n")

    @property
    def has_constants(self) -> bool:
        """Whether the collections' own delays are known."""
        return self._constants is not None

    @cached_property
    def data(self) -> TrainData:
        """All clips."""
        return train_data(
            self._processed,
            split=self._split,
            constants=self._constants,
            source=None,
            pairs=None,
            max_offset=MAX_OFFSET,
            cache_mb=_CACHE_MB,
        )

    def learners(self, source: str) -> list[PooledSample]:
        """Clips of a collection that may be learnt from, as long as a window."""
        return self._of(self.data.train, source, "to learn from")

    def held_out_speakers(self, source: str) -> list[PooledSample]:
        """Clips of its held-out people."""
        return self._of(self.data.val, source, "of held-out people")

    def _of(self, samples: Sequence[PooledSample], source: str, what: str) -> list[PooledSample]:
        found = [
            s for s in samples if s.info.source == source and s.info.num_frames >= self.plan.frames
        ]
        if not found:
            raise MissingError(
                f"{self._processed} has no clips of {source} {what}",
                remedy="Make them with synctool preprocess and synctool pairs, or name another "
                "--source or --target.",
            )
        return found

    def train(
        self,
        name: str,
        clips: Sequence[PooledSample],
        *,
        settings: TrainSettings | None = None,
        judges: Sequence[PooledSample] = (),
        init: Path | None = None,
        keep_epochs: bool = False,
    ) -> Path:
        """A run by ``synctool.training.train``.

        Args:
            name: Its folder.
            clips: To learn from.
            settings: None for the plan's.
            judges: To validate with after each epoch.
            init: Weights to start from.
            keep_epochs: Keep the weights of each epoch.

        Returns:
            Its folder.
        """
        folder = self.out / name
        if (folder / DONE).is_file():
            return folder
        chosen = replace(settings or self.plan.settings(self.plan.steps), workers=self._workers)
        make_folder(folder)
        split = folder / "split.json"
        self._write_split(split, clips, judges)
        with self._shown(name, chosen.epochs * chosen.steps_per_epoch) as tell:

            def told(progress: TrainProgress) -> None:
                if keep_epochs and progress.metrics is not None:
                    shutil.copyfile(folder / WEIGHTS, epoch_weights(folder, progress.epoch))
                tell(progress)

            train(
                self._processed,
                folder,
                chosen,
                split=split,
                constants=self._constants,
                init=init,
                on_progress=told,
            )
        return self._finished(folder, tell.last)

    def regress(self, name: str, clips: Sequence[PooledSample]) -> Path:
        """The regression, by the product's ``Trainer`` on the batches that ``train`` would make.

        Args:
            name: Its folder.
            clips: To learn from.

        Returns:
            Its folder.
        """
        folder, plan = self.out / name, self.plan
        if (folder / DONE).is_file():
            return folder
        make_folder(folder)
        given = plan.settings(plan.steps)
        device = choose_device(given.device)
        schedule = Schedule(
            epochs=given.epochs,
            steps_per_epoch=given.steps_per_epoch,
            learning_rate=given.learning_rate,
            weight_decay=given.weight_decay,
            clip_norm=given.clip_norm,
            shape=given.schedule,
            warmup=given.warmup,
        )
        windows = WindowSettings(
            frames=plan.frames,
            batch=plan.batch,
            max_offset=MAX_OFFSET,
            margin=MARGIN,
            video=SPEC.video,
            audio=SPEC.audio,
            strength=plan.augment,
            ramp_steps=schedule.steps // 2,
        )
        stream = WindowStream(
            clips,
            windows,
            constants=[self.data.constant(x) for x in clips],
            people=[self.data.person(x) for x in clips],
            seed=plan.seed,
        )
        torch.manual_seed(plan.seed)
        model = regressor(max_offset=MAX_OFFSET)
        model.to(memory_format=torch.channels_last)
        torch.manual_seed(plan.seed)
        with self._shown(name, schedule.steps) as tell:
            trainer = Trainer(
                model=model,
                objective=RegressionObjective(max_offset=MAX_OFFSET, loss=plan.loss),
                schedule=schedule,
                output=folder,
                facts={"backbone": "fcn-reg", "synctool": __version__, "seed": plan.seed},
                fabric=make_fabric(device, precision=choose_precision(given.precision, device)),
                settings=LoopSettings(ema=given.ema, log_every=given.log_every),
                on_progress=tell,
            )
            trainer.resume()
            trainer.fit(stream, workers=self._workers)
        return self._finished(folder, tell.last)

    def _write_split(
        self, path: Path, clips: Sequence[PooledSample], judges: Sequence[PooledSample]
    ) -> None:
        rows = [
            {"key": s.info.key, "person": self.data.person(s), "split": part}
            for part, samples in (("train", clips), ("val", judges))
            for s in samples
        ]
        write_text(path, json.dumps(rows, ensure_ascii=False) + "\n")

    @contextmanager
    def _shown(self, name: str, steps: int) -> Any:
        task = self._progress.add_task(name, total=steps)
        tell = _Teller(
            lambda p: self._progress.update(
                task, completed=p.step, description=f"{name}, loss {p.loss:.2f}"
            )
        )
        try:
            yield tell
        finally:
            self._progress.remove_task(task)

    def _finished(self, folder: Path, last: TrainProgress | None) -> Path:
        facts = {"seconds_per_step": last.seconds_per_step, "steps": last.step} if last else {}
        write_text(folder / DONE, json.dumps(facts) + "\n")
        return folder


class _Teller:
    """Remembers what a run told last."""

    def __init__(self, show: Callable[[TrainProgress], None]) -> None:
        self._show = show
        self.last: TrainProgress | None = None

    def __call__(self, progress: TrainProgress) -> None:
        self.last = progress
        self._show(progress)


def epoch_weights(folder: Path, epoch: int) -> Path:
    """Where a run keeps the weights of an epoch."""
    return folder / f"epoch-{epoch:02d}.safetensors"


def taken_up(path: Path, *, regression: bool = False) -> nn.Module:
    """A small network with weights, ready to answer.

    Args:
        path: The weights.
        regression: Whether they are the regression's.
    """
    network = (regressor if regression else small)(max_offset=MAX_OFFSET)
    fit(network, load_weights(path), backbone="fcn-reg" if regression else NAME)
    return network.eval().requires_grad_(False)


def best(folder: Path) -> Path:
    """The weights of a run's best epoch; of its last where nobody judged."""
    return folder / BEST


def curve(folder: Path) -> list[dict[str, float]]:
    """``epoch``, ``loss`` and ``score`` of each epoch of a run with judges."""
    with (folder / EPOCHS).open(newline="", encoding="utf-8") as file:
        return [
            {k: float(row[k]) for k in ("epoch", "loss", "score")} for row in csv.DictReader(file)
        ]


def pace(folder: Path) -> float | None:
    """Seconds a step of a finished run."""
    return json.loads((folder / DONE).read_text("utf-8")).get("seconds_per_step")


def spread_out(samples: Sequence[PooledSample], count: int) -> list[PooledSample]:
    """So many of them, evenly over their order."""
    if len(samples) <= count:
        return list(samples)
    return [samples[i * len(samples) // count] for i in range(count)]
