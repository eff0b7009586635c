"""Training the last layers and the head on a domain by labels that the model gave itself.

The windows of ``train`` move the audio of a clip by a random amount k, and ask for k more than the clip's
label. Another clip's audio must fit nowhere (the loss ``foreign-audio``), and the network as it was is a
teacher whose distributions are kept in view, as a few minutes of video know less than it does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from synctool.adapting.domain import DomainClip
from synctool.files import make_folder, write_text
from synctool.networks.loaded import LoadedModel
from synctool.settings.adapt import AdaptSettings
from synctool.settings.train import TrainSettings
from synctool.training.checkpoint import WEIGHTS
from synctool.training.loop import TrainProgress
from synctool.training.train import train
from synctool.untrusted.documents import parse_json

TOP = 2
"""Layer groups of each encoder that are trained, from the top: in ``fcn-cls`` its temporal network."""
_LOSSES = (
    "cross-entropy=1,on=head",
    "cross-entropy=0.5,on=plain",
    "cross-entropy=0.3,on=plain,pool=clip",
    "distillation=0.5",
    "foreign-audio=0.25,pool=clip",
)
_RATE = 2e-4
_BATCH = 16
_EPOCHS = 4


def trained(
    weights: Path,
    processed: Path,
    clips: Sequence[DomainClip],
    labels: Mapping[str, float],
    folder: Path,
    model: LoadedModel,
    settings: AdaptSettings,
    *,
    header: Mapping[str, str],
    steps: int,
    on_progress: Callable[[TrainProgress], None] | None = None,
) -> Path:
    """Train on the labelled clips; an interrupted training goes on.

    Args:
        weights: What to begin with, and the teacher.
        processed: Where the clips are.
        clips: Clips to learn from; those without a label take no part.
        labels: Offsets in frames by the key of the clip.
        folder: Of the run.
        model: The model that the weights are of.
        settings: Seed and device.
        header: Of the weights: the options that their network was built with.
        steps: Optimizer steps.
        on_progress: See ``train``.

    Returns:
        Path of the weights.

    Raises:
        UsageError: This network cannot be trained so.
        KeyboardInterrupt: Ctrl-C; the state is saved.
    """
    make_folder(folder)
    chosen = [clip for clip in clips if clip.key in labels]
    split = [{"key": clip.key, "person": clip.unit, "split": "train"} for clip in chosen]
    _write_once(folder / "split.json", split)
    _write_once(folder / "labels.json", {clip.key: labels[clip.key] for clip in chosen})
    options: Any = parse_json(header.get("options", "{}"))
    train(
        processed,
        folder / "run",
        TrainSettings(
            split=folder / "split.json",
            constants=folder / "labels.json",
            backbone=model.spec.full_name,
            options=(options,) if options else None,
            init=weights,
            teacher=weights,
            losses=_LOSSES,
            epochs=_EPOCHS,
            steps_per_epoch=-(-steps // _EPOCHS),
            batch_size=_BATCH,
            window_frames=min(24, max(clip.frames for clip in chosen)),
            learning_rate=_RATE,
            schedule="cosine",
            warmup=0.1,
            ema=0.99,
            augment=0.4,
            freeze="both",
            train_top=TOP,
            seed=settings.seed,
            device=settings.device,
            workers=0,
            save_minutes=0.5,
            logger=("csv",),
        ),
        on_progress=on_progress,
    )
    return folder / "run" / WEIGHTS


def _write_once(path: Path, data: Any) -> None:
    if not path.is_file():
        write_text(path, json.dumps(data, indent=1) + "\n")
