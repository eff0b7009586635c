"""The settings of ``train``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from synctool.errors import no_effect
from synctool.settings import shared
from synctool.settings.base import Settings
from synctool.settings.fields import Auto, did_you_mean, setting

_DATA = "Data"
_MODEL = shared.MODEL
_OPTIMIZATION = "Optimization"
_AUGMENTATION = "Windows and augmentation"
_FREEZING = "Freezing and unfreezing"
_HARDWARE = "Hardware"
_SAVING = "Saving and logging"
_POLICY = re.compile(r"\s*([0-9]{1,3})\s*,\s*([0-9]{1,3})\s*")
_MOST_OPERATIONS = 14
_STRONGEST_MAGNITUDE = 30
LOGGERS = ("csv", "tensorboard", "wandb")
"""What a run can be written to."""


def _known_loggers(names: Sequence[str]) -> None:
    for name in names:
        if name not in LOGGERS:
            raise ValueError(
                f"{name!r} is not one of {', '.join(LOGGERS)}{did_you_mean(name, LOGGERS)}"
            )


def randaugment_policy(text: str) -> tuple[int, int]:
    """N and M of ``--randaugment``.

    Raises:
        ValueError: The text says something else.
    """
    found = _POLICY.fullmatch(text)
    operations, magnitude = (int(n) for n in found.groups()) if found else (0, 0)
    if not (1 <= operations <= _MOST_OPERATIONS and magnitude <= _STRONGEST_MAGNITUDE):
        raise ValueError(
            f"{text!r} is not N,M: 1 to {_MOST_OPERATIONS} operations of magnitude 0 to "
            f"{_STRONGEST_MAGNITUDE}, such as 2,9"
        )
    return operations, magnitude


@dataclass(frozen=True, kw_only=True)
class TrainSettings(Settings):
    """What is trained, on what, and how: see ``synctool train --help``."""

    section: ClassVar[str] = "train"

    data: Path | None = setting(
        None, "Folder made by synctool preprocess", metavar="FOLDER", group=_DATA
    )
    out: Path | None = setting(None, "Folder of the run", metavar="FOLDER", group=_DATA)
    split: Path | None = shared.split(group=_DATA)
    pairs: Path | None = setting(
        None,
        "Train on this file of synctool pairs",
        unset="offsets drawn on the fly",
        metavar="FILE",
        group=_DATA,
    )
    constants: Path | None = shared.constants(group=_DATA)
    source: str | None = setting(None, "Train on the videos of this source only", group=_DATA)
    targets: Path | None = setting(
        None,
        "Auxiliary targets of every frame, as safetensors",
        metavar="FILE",
        group=_DATA,
    )
    units: Path | None = setting(
        None,
        "Speech units of every frame, as synctool units makes them",
        metavar="FILE",
        group=_DATA,
    )
    backbone: str = shared.backbone(help="Model to train, as listed by synctool backbones")
    options: tuple[str | Mapping[str, Any], ...] | None = setting(
        None,
        "Option NAME=VALUE of the model, may be given again; video.NAME and audio.NAME in a pair",
        flag="option",
        metavar="NAME=VALUE",
        group=_MODEL,
    )
    pretrained: Auto = setting(
        "auto",
        "Published weights in the encoders of a pair; auto: where they are downloaded",
        group=_MODEL,
    )
    use_attention: Auto = setting("auto", "Attention, in models that have the choice", group=_MODEL)
    init: Path | None = setting(None, "Weights to start from", metavar="FILE", group=_MODEL)
    teacher: Path | None = setting(
        None, "Weights of a teacher, whose logits are learned as well", metavar="FILE", group=_MODEL
    )
    task: Literal["sync", "avc", "order", "masked", "retrieval", "simclr", "moco"] = setting(
        "sync",
        "What is learned: offsets, or a self-supervised task for pretraining",
        metavar="TASK",
        group=_OPTIMIZATION,
    )
    losses: tuple[str | Mapping[str, Any], ...] | None = setting(
        None,
        "Loss NAME[=WEIGHT[,OPTION=VALUE...]], given again for a mixture",
        flag="loss",
        metavar="LOSS",
        group=_OPTIMIZATION,
    )
    epochs: int = setting(10, "Epochs", minimum=1, group=_OPTIMIZATION)
    steps_per_epoch: int = setting(200, "Steps per epoch", minimum=1, group=_OPTIMIZATION)
    batch_size: int = setting(
        32, "Clips per batch, over all processes", minimum=1, group=_OPTIMIZATION
    )
    accumulate: int = setting(1, "Gradient accumulation steps", minimum=1, group=_OPTIMIZATION)
    learning_rate: float = setting(
        0.002, "Peak learning rate", minimum=1e-7, maximum=1, group=_OPTIMIZATION
    )
    schedule: Literal["one-cycle", "cosine", "plateau", "constant"] = setting(
        "one-cycle", "Learning rate schedule", metavar="SCHEDULE", group=_OPTIMIZATION
    )
    warmup: float | None = setting(
        None,
        "Share of the run that warms up",
        unset="0.1 with one-cycle, else 0",
        minimum=0,
        maximum=0.9,
        group=_OPTIMIZATION,
    )
    plateau_epochs: int = setting(
        3,
        "Epochs without improvement before plateau halves the learning rate",
        minimum=1,
        needs=("schedule=plateau",),
        group=_OPTIMIZATION,
    )
    weight_decay: float = setting(
        0.02, "Weight decay of AdamW", minimum=0, maximum=10, group=_OPTIMIZATION
    )
    clip_norm: float = setting(
        1.0, "Gradient clipping norm, 0 for none", minimum=0, group=_OPTIMIZATION
    )
    ema: float = setting(
        0.998,
        "EMA decay of the weights, 0 for no average",
        minimum=0,
        maximum=0.99999,
        group=_OPTIMIZATION,
    )
    early_stopping: int = setting(
        0,
        "Epochs without improvement before the run stops, 0 for never",
        minimum=0,
        group=_OPTIMIZATION,
    )
    max_offset: int = shared.max_offset(
        help="Largest offset learned, in frames of 40 ms", group=_AUGMENTATION
    )
    window_frames: int = setting(
        24, "Length of a window, in frames of 40 ms", minimum=5, group=_AUGMENTATION
    )
    augment: float = setting(
        1.0, "Strength of the augmentation", minimum=0, maximum=1, group=_AUGMENTATION
    )
    augmentations: str | Mapping[str, Any] | None = setting(
        None,
        "Changes to single augmentations, such as codec=0.2,noise=0.5:1.5,hand=off",
        metavar="CHANGES",
        group=_AUGMENTATION,
    )
    randaugment: str | None = setting(
        None,
        "RandAugment in every window: N operations of magnitude M, 0 to 30, alike in all its frames",
        joined=True,
        metavar="N,M",
        check=randaugment_policy,
        group=_AUGMENTATION,
    )
    backgrounds: Path | None = setting(
        None,
        "Folder of recorded room responses, noise and music to mix in: rir/, noise/, music/",
        metavar="FOLDER",
        group=_AUGMENTATION,
    )
    curriculum: int = setting(
        0,
        "Epochs until short, quiet and far-shifted windows are as frequent as others",
        minimum=0,
        group=_AUGMENTATION,
    )
    rhythm_pairs: float = setting(
        0.0,
        "Share of clips followed by another person's of the same source and place, for foreign-audio",
        minimum=0,
        maximum=1,
        group=_AUGMENTATION,
    )
    progressive_resolution: int = setting(
        0, "Epochs over which the images become sharper", minimum=0, group=_AUGMENTATION
    )
    freeze: Literal["none", "video", "audio", "both"] = setting(
        "none", "Encoders that stay frozen", metavar="SIDE", group=_FREEZING
    )
    train_top: int = setting(
        0,
        "Layer groups at the top of frozen encoders that are trained anyway",
        minimum=0,
        needs=("freeze",),
        group=_FREEZING,
    )
    unfreeze_epoch: int = setting(
        0,
        "Epoch from which the encoders are trained, from the top down; 0: from the start",
        minimum=0,
        group=_FREEZING,
    )
    unfreeze_every: int = setting(
        1,
        "Epochs between one layer group and the next below",
        minimum=1,
        needs=("unfreeze_epoch",),
        group=_FREEZING,
    )
    layer_decay: float = setting(
        1.0,
        "Learning rate of a layer group relative to the one above",
        minimum=0.01,
        maximum=1,
        group=_FREEZING,
    )
    seed: int = shared.seed()
    device: shared.Device = shared.device(help="Where the training runs", group=_HARDWARE)
    precision: Literal["auto", "float32", "bfloat16", "float16"] = setting(
        "auto", "Precision of the computation", metavar="PRECISION", group=_HARDWARE
    )
    devices: int = setting(
        1, "Processes on this machine that train together", minimum=1, group=_HARDWARE
    )
    nodes: int = setting(1, "Machines that train together", minimum=1, group=_HARDWARE)
    workers: int = setting(1, "DataLoader workers, 0 for none", minimum=0, group=_HARDWARE)
    cache_mb: int = setting(
        4096, "Cache for clips, in MiB, of all workers together", minimum=0, group=_HARDWARE
    )
    save_every: int = setting(
        0, "Steps between checkpoints within an epoch, 0 for none", minimum=0, group=_SAVING
    )
    save_minutes: float = setting(
        10.0, "Minutes between checkpoints within an epoch, 0 for none", minimum=0, group=_SAVING
    )
    log_every: int = setting(50, "Steps per row of steps.csv", minimum=1, group=_SAVING)
    tensorboard: Auto = setting(
        "auto",
        "Write TensorBoard logs; auto: where tensorboardX is installed and --logger names none",
        group=_SAVING,
    )
    logger: tuple[str, ...] | None = setting(
        None,
        "Loggers with commas between them: csv, tensorboard, wandb; the CSV tables are always written",
        separator=",",
        metavar="LOGGERS",
        check=_known_loggers,
        group=_SAVING,
    )

    def refuse_idle(self, given: Iterable[str]) -> None:
        """See ``Settings.refuse_idle``."""
        given = list(given)
        super().refuse_idle(given)
        if self.augment == 0:
            for name in ("augmentations", "randaugment"):
                if name in given:
                    raise no_effect(f"--{name}", "with --augment 0")
