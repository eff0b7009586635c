"""``train``: from processed videos to weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import torch

from synctool.cores import usable_cores
from synctool.files import make_folder
from synctool.models.offset_regressor import OffsetRegressor
from synctool.networks.load_torch import choose_device
from synctool.settings.train import TrainSettings
from synctool.training import replicas
from synctool.training.checkpoint import BEST, WEIGHTS
from synctool.training.config import CONFIG, settings_toml, settle_config
from synctool.training.devices import arrange_images, choose_precision, make_fabric
from synctool.training.loop import Trainer, TrainProgress
from synctool.training.run import TrainPlan, TrainRun
from synctool.training.stage_timing import bottleneck
from synctool.training.validation import CALIBRATION

__all__ = [
    "CALIBRATION",
    "CONFIG",
    "TrainPlan",
    "TrainProgress",
    "bottleneck",
    "check_training",
    "is_first_process",
    "settings_toml",
    "train",
]


def check_training(
    data: Path | str | None = None,
    out: Path | str | None = None,
    settings: TrainSettings | None = None,
    **changes: Any,
) -> TrainPlan:
    """Find everything that ``train`` would refuse before it trains; nothing is written.

    Args and Raises: as of ``train``.
    """
    return TrainRun(_asked(data, out, settings, changes)).plan()


def train(
    data: Path | str | None = None,
    out: Path | str | None = None,
    settings: TrainSettings | None = None,
    *,
    on_progress: Callable[[TrainProgress], None] | None = None,
    **changes: Any,
) -> Path:
    """Train a model; a killed run in the same folder is continued.

    Under ``torchrun``, or with more than one of ``devices``, several processes train together, each
    on its share of every batch; the first of them writes, validates and tells.

    Args:
        data: What ``preprocess`` made; None for that of the settings.
        out: Folder of the run; None for that of the settings.
        settings: What to train, and how; None for the defaults.
        on_progress: Called after each step and epoch.
        changes: Settings by name that differ from ``settings``: see ``TrainSettings``.

    Returns:
        Path of the weights of the best epoch; the last ones lie beside them.

    Raises:
        MissingError: No processed videos, no split, nothing to train on, or pairs of videos that are
            not there.
        UsageError: The backbone cannot be trained so, the folder holds another run, or the pairs,
            the teacher or the losses do not fit the settings.
        WeightsError: ``init`` or ``teacher`` are another network's, or the run's state is damaged.
        OutputError: The folder cannot be written to.
        TrainingError: The loss is not a number.
        KeyboardInterrupt: Ctrl-C; the state is saved.
    """
    settings = _asked(data, out, settings, changes)
    torch.set_num_threads(min(torch.get_num_threads(), usable_cores()))
    cv2.setNumThreads(1)  # the windows are made in a process of their own beside the training
    device = choose_device(settings.device)
    fabric = make_fabric(
        device,
        precision=choose_precision(settings.precision, device),
        devices=settings.devices,
        nodes=settings.nodes,
    )
    run = TrainRun(settings)
    output = run.output
    fabric.barrier()  # every process has looked into the folder before one writes there
    if fabric.is_global_zero:
        make_folder(output)
        settle_config(output, settings, split=run.data.split, pretrained=run.pretrained)
    arrange_images(run.model, device)
    torch.manual_seed(settings.seed + fabric.global_rank)
    trainer = Trainer(
        model=run.model,
        objective=run.objective,
        schedule=run.schedule,
        output=output,
        facts=run.facts,
        fabric=fabric,
        settings=run.loop,
        validate=run.validation.score if run.validates else None,
        on_progress=on_progress,
    )
    trainer.resume()
    trainer.fit(run.stream(), workers=settings.workers)
    if fabric.is_global_zero:
        network = run.model.cpu()
        for name in (WEIGHTS, BEST):
            if isinstance(network, OffsetRegressor):
                run.fit_line(output / name)
            if run.validates:
                run.validation.calibrate(output / name, network)
    fabric.barrier()
    return output / BEST


def is_first_process() -> bool:
    """Whether this process writes and tells, where several train together."""
    return replicas.rank() == 0


def _asked(
    data: Path | str | None,
    out: Path | str | None,
    settings: TrainSettings | None,
    changes: Mapping[str, Any],
) -> TrainSettings:
    places = {"data": data, "out": out}
    named = {name: place for name, place in places.items() if place is not None}
    return TrainSettings.of(settings, {**named, **changes})
