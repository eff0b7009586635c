"""A model that is ready to measure, whatever runs it. Imports no PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from synctool.errors import UsageError, WeightsError
from synctool.networks.names import full_name
from synctool.plugins.specs import ModelSpec
from synctool.runtimes.protocol import Runtime
from synctool.scoring.confidence import UNCALIBRATED, Calibration
from synctool.scoring.offset_sets import SetCalibration
from synctool.untrusted.documents import parse_json

if TYPE_CHECKING:
    from torch import nn

_LARGEST_ZERO_FRAMES = 25.0


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to measure.

    Attributes:
        spec: What it is and what it takes.
        runtime: What runs it.
        weights: Name and checksum of its weights.
        calibration: Confidence calibration that came with the weights, else the default one.
        zero_frames: Constant that is subtracted from its offsets, from the weights' calibration.
        compared: How many numbers of an embedding SyncNet's distances are of, None for all: those of the
            first member of an ensemble.
    """

    spec: ModelSpec
    runtime: Runtime
    weights: str
    calibration: Calibration
    zero_frames: float
    compared: int | None = None

    @property
    def network(self) -> nn.Module:
        """The PyTorch module, in evaluation mode.

        Raises:
            UsageError: The model is an exported one.
        """
        network = getattr(self.runtime, "network", None)
        if network is None:
            raise UsageError(
                f"{self.spec.full_name} is exported to {self.runtime.name}, and this takes a PyTorch "
                "network",
                remedy='Load it with runtime="torch" (--runtime torch); a weight file in place of a folder.',
            )
        return network


def check_holds(where: str, *, held: str, wanted: str) -> None:
    """Make sure that weights are those of the wanted model.

    Args:
        where: Name of the file or folder, for the message.
        held: Name of the model that it is of.
        wanted: Name of the model that is asked for.

    Raises:
        WeightsError: They are another model's.
    """
    if full_name(held) != full_name(wanted):
        raise WeightsError(
            f"{where} holds weights of {held}, not of {full_name(wanted)}",
            remedy=f"Give --backbone {held} with it.",
        )


def of_header(metadata: Mapping[str, str], path: Path) -> tuple[Calibration, float]:
    """Calibration and zero from what came with weights.

    Args:
        metadata: ``calibration`` and ``offset_sets``, JSON, and ``zero_frames``, a number; all may be
            missing.
        path: The file that they are from, for the message.

    Raises:
        WeightsError: They are damaged.
    """
    try:
        text = metadata.get("calibration")
        calibration = UNCALIBRATED if text is None else Calibration.from_dict(parse_json(text))
        if (sets := metadata.get("offset_sets")) is not None:
            calibration = replace(calibration, sets=SetCalibration.from_dict(parse_json(sets)))
        zero_frames = float(metadata.get("zero_frames", 0.0))
        if not abs(zero_frames) <= _LARGEST_ZERO_FRAMES:
            raise ValueError(f"zero_frames is {zero_frames}")
    except (ValueError, TypeError) as error:
        raise damaged(path, error) from error
    return calibration, zero_frames


def damaged(path: Path, error: Exception) -> WeightsError:
    """The error for a file whose header cannot be used."""
    return WeightsError(
        f"the header of {path.name} is damaged: {error}",
        remedy="Get the file again, or train anew.",
    )
