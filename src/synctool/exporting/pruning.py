"""From trained weights to pruned ones, and what trains these again: files, and a run of ``train``."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from synctool.errors import UsageError
from synctool.exporting.prune import prune, pruned_label, write_pruned
from synctool.files import make_folder
from synctool.models.offset_classifier import OffsetClassifier
from synctool.networks.load import load_model
from synctool.networks.load_torch import training_facts
from synctool.networks.loaded import LoadedModel
from synctool.networks.names import model_spec
from synctool.settings.train import TrainSettings
from synctool.training.train import TrainProgress, train
from synctool.weights.files import find_weights, load_weights

PRUNED = "pruned.safetensors"
TUNING = "tuning"
"""File of the pruned weights, and folder of the run that trains them."""
_LEARNING_RATE = 0.001
"""Half of what training from nothing takes: most of what there is to learn is there."""


@dataclass(frozen=True)
class Pruned:
    """Pruned weights on disk, and what they take to be trained again.

    Attributes:
        path: Their file.
        label: What results call them.
        backbone: Full name of their backbone.
        options: Its options that are not the usual ones, the narrower widths among them.
        original: The file of the weights before.
        teaches: Whether the network before can be the teacher of this one.
        parameters: How many there were, and are.
    """

    path: Path
    label: str
    backbone: str
    options: dict[str, Any]
    original: Path
    teaches: bool
    parameters: tuple[int, int]

    @property
    def run(self) -> Path:
        """Folder of the run that trains them."""
        return self.path.parent / TUNING

    def settings(self, steps: int) -> TrainSettings:
        """The settings of that run.

        Args:
            steps: Its length; rounded up to whole epochs.
        """
        usual = TrainSettings()
        epochs = max(1, round(steps / usual.steps_per_epoch))
        return TrainSettings(
            backbone=self.backbone,
            options=(self.options,),
            max_offset=self.options.get("max_offset", usual.max_offset),
            learning_rate=_LEARNING_RATE,
            epochs=epochs,
            steps_per_epoch=math.ceil(steps / epochs),
        )

    def command(self, processed: Path | str = "PROCESSED", *, steps: int = 400) -> str:
        """The command that does the same as ``fine_tune``.

        Args:
            processed: Processed folder to train on.
            steps: Length of the run.
        """
        wanted = self.settings(steps)
        words = ["synctool", "train", "--backbone", self.backbone, "--data", str(processed)]
        words += ["--out", str(self.run), "--init", str(self.path)]
        words += ["--teacher", str(self.original)] if self.teaches else []
        for name, value in self.options.items():
            if name != "max_offset":
                words += ["--option", f"{name}={value}"]
        words += ["--max-offset", str(wanted.max_offset)] if "max_offset" in self.options else []
        words += ["--learning-rate", f"{wanted.learning_rate:g}"]
        words += ["--epochs", str(wanted.epochs), "--steps-per-epoch", str(wanted.steps_per_epoch)]
        return shlex.join(words)


def prune_weights(name: str, ratio: float, out: Path, *, weights: Path | None = None) -> Pruned:
    """Prune trained weights, and write what is left as weights of the same backbone.

    What an earlier call wrote of the same weights with the same ratio stays, so that training it can go
    on after an interruption.

    Args:
        name: Name of the backbone.
        ratio: Share of the channels that is taken out.
        out: Folder for ``pruned.safetensors``.
        weights: Weights of the backbone; None takes its own.

    Raises:
        UsageError: The network cannot be pruned so, or the folder holds other pruned weights.
        MissingError: The weights are not here.
        WeightsError: They do not fit, or what is left does not answer as it must.
        OutputError: The folder cannot be written to.
    """
    model = load_model(name, weights=weights, device="cpu", runtime="torch")
    path, label = out / PRUNED, pruned_label(model, ratio)
    if path.exists():
        if load_weights(path).metadata.get("pruned") != label:
            raise UsageError(
                f"{path} was made of other weights or with another share",
                remedy="Give another folder, or remove it.",
            )
        less = load_model(model.spec.full_name, weights=path, device="cpu", runtime="torch")
    else:
        less = prune(model, ratio)
        make_folder(out)
        write_pruned(path, less)
    plain = model_spec(less.spec.full_name)
    return Pruned(
        path=path,
        label=label,
        backbone=less.spec.full_name,
        options=training_facts(less.spec, plain).get("options", {}),
        original=weights or find_weights(model.spec.weights, backbone=model.spec.full_name),
        teaches=isinstance(model.network, OffsetClassifier),
        parameters=(_count(model), _count(less)),
    )


def fine_tune(
    pruned: Pruned,
    processed: Path,
    *,
    steps: int,
    constants: Path | None = None,
    on_progress: Callable[[TrainProgress], None] | None = None,
) -> Path:
    """Train pruned weights by ``train``, with the network that they were before as the teacher.

    Losing weights and learning again is how Han et al. 2015 ("Learning both weights and connections")
    prune; the teacher's distribution as a further target is Hinton et al. 2015. An interrupted run
    goes on when it is called again.

    Args:
        pruned: What ``prune_weights`` gave.
        processed: What ``preprocess`` made.
        steps: Length of the run; rounded up to whole epochs.
        constants: Constant offsets of the clips, as of ``train``.
        on_progress: Called after each step and epoch.

    Returns:
        The weights of the best epoch, with a calibration of their own where there are people to
        validate with.

    Raises:
        UsageError: The folder of the run holds another one, or the clips are not what the network
            takes.
        MissingError: There are no processed videos.
    """
    return train(
        processed,
        pruned.run,
        pruned.settings(steps),
        constants=constants,
        init=pruned.path,
        teacher=pruned.original if pruned.teaches else None,
        on_progress=on_progress,
    )


def _count(model: LoadedModel) -> int:
    network: nn.Module = model.network
    return sum(parameter.numel() for parameter in network.parameters())
