"""``train``: from processed films to weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import torch
from torch import nn

from synctool.cores import usable_cores
from synctool.files import make_folder
from synctool.models.offset_regressor import OffsetRegressor
from synctool.networks.load_torch import choose_device
from synctool.training import replicas
from synctool.training.checkpoint import BEST, WEIGHTS
from synctool.training.config import (
    CONFIG,
    TrainSettings,
    settings_toml,
    settle_config,
)
from synctool.training.devices import choose_precision, make_fabric
from synctool.training.loop import Trainer, TrainProgress
from synctool.training.run import TrainPlan, TrainRun
from synctool.training.timing import bottleneck
from synctool.training.validation import CALIBRATION

__all__ = [
    "CALIBRATION",
    "CONFIG",
    "TrainPlan",
    "TrainProgress",
    "TrainSettings",
    "bottleneck",
    "check_training",
    "is_first_process",
    "settings_toml",
    "train",
]


def check_training(
    processed: Path,
    output: Path,
    settings: TrainSettings,
    *,
    split: Path | None = None,
    constants: Path | None = None,
    init: Path | None = None,
    source: str | None = None,
    pairs: Path | None = None,
    teacher: Path | None = None,
    targets: Path | None = None,
    backgrounds: Path | None = None,
) -> TrainPlan:
    """Find everything that ``train`` would refuse before it trains; nothing is written.

    Args and Raises: as of ``train``.
    """
    files = _files(
        processed, output, split, constants, init, source, pairs, teacher, targets, backgrounds
    )
    run = TrainRun(settings, files)
    return run.plan()


def train(
    processed: Path,
    output: Path,
    settings: TrainSettings,
    *,
    split: Path | None = None,
    constants: Path | None = None,
    init: Path | None = None,
    source: str | None = None,
    pairs: Path | None = None,
    teacher: Path | None = None,
    targets: Path | None = None,
    backgrounds: Path | None = None,
    on_progress: Callable[[TrainProgress], None] | None = None,
) -> Path:
    """Train a backbone; a killed run in the same folder is continued.

    Under ``torchrun``, or with more than one of ``devices``, several processes train together, each
    on its share of every batch; the first of them writes, validates and tells.

    Args:
        processed: What ``preprocess`` made.
        output: Folder of the run.
        settings: Length, rates, sizes.
        split: ``split.json`` of ``pairs``; None looks beside ``pairs``, and in ``processed``.
        constants: JSON object of constant offsets in frames by sample, person or source.
        init: Weights to start from.
        source: Train on the films of this source only.
        pairs: Train on the samples and offsets that this file of ``pairs`` lists; None draws offsets.
        teacher: Weights of a trained network with the same inputs, for the loss ``distillation``.
        targets: safetensors file with further values ``[T, N]`` of every frame of a sample, by its
            key, for the loss ``auxiliary``.
        backgrounds: Folder with recorded rooms, noises and music: ``rir``, ``noise``, ``music``.
        on_progress: Called after each step and epoch.

    Returns:
        Path of the weights of the best epoch; the last ones lie beside them.

    Raises:
        MissingError: No processed films, no split, nothing to train on, or pairs of films that are
            not there.
        UsageError: The backbone cannot be trained so, the folder holds another run, or the pairs,
            the teacher or the losses do not fit the settings.
        WeightsError: ``init`` or ``teacher`` are another network's, or the run's state is damaged.
        OutputError: The folder cannot be written to.
        TrainingError: The loss is not a number.
        KeyboardInterrupt: Ctrl-C; the state is saved.
    """
    torch.set_num_threads(min(torch.get_num_threads(), usable_cores()))
    cv2.setNumThreads(1)  # the windows are made in a process of their own beside the training
    device = choose_device(settings.device)
    fabric = make_fabric(
        device,
        precision=choose_precision(settings.precision, device),
        devices=settings.devices,
        nodes=settings.nodes,
    )
    files = _files(
        processed, output, split, constants, init, source, pairs, teacher, targets, backgrounds
    )
    run = TrainRun(settings, files)
    fabric.barrier()  # every process has looked into the folder before one writes there
    if fabric.is_global_zero:
        make_folder(output)
        settle_config(output, settings, files, split=run.data.split, pretrained=run.pretrained)
    for layer in run.model.modules():
        if isinstance(layer, nn.Conv2d):  # the layout is for pictures, and others refuse it
            layer.to(memory_format=torch.channels_last)
    torch.manual_seed(settings.seed + fabric.global_rank)
    trainer = Trainer(
        model=run.model,
        objective=run.objective,
        schedule=run.schedule,
        output=output,
        facts=run.facts,
        fabric=fabric,
        settings=run.loop,
        validate=run.validation.score,
        on_progress=on_progress,
    )
    trainer.resume()
    trainer.fit(run.stream(), workers=settings.workers)
    if fabric.is_global_zero:
        network = run.model.cpu()
        for name in (WEIGHTS, BEST):
            if isinstance(network, OffsetRegressor):
                run.fit_line(output / name)
            run.validation.calibrate(output / name, network)
    fabric.barrier()
    return output / BEST


def is_first_process() -> bool:
    """Whether this process writes and tells, where several train together."""
    return replicas.rank() == 0


def _files(
    processed: Path,
    output: Path,
    split: Path | None,
    constants: Path | None,
    init: Path | None,
    source: str | None,
    pairs: Path | None,
    teacher: Path | None,
    targets: Path | None,
    backgrounds: Path | None,
) -> dict[str, Any]:
    return {
        "data": processed, "out": output, "split": split, "pairs": pairs,
        "constants": constants, "source": source, "init": init, "teacher": teacher,
        "targets": targets, "backgrounds": backgrounds,
    }  # fmt: skip
