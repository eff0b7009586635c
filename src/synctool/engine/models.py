"""Names to networks: building one, giving it weights, choosing the device."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from synctool import registry
from synctool.errors import MissingError, UsageError, WeightsError
from synctool.scoring.confidence import UNCALIBRATED, Calibration
from synctool.types import BackboneSpec
from synctool.weights.files import find_weights, fit, load_weights

_LARGEST_ZERO_FRAMES = 25.0


@dataclass(frozen=True)
class LoadedModel:
    """A network ready to measure.

    Attributes:
        spec: What it is and what it takes.
        network: The module, in evaluation mode on ``device``.
        device: Where it is.
        weights: Name and checksum of its weights.
        calibration: Confidence calibration that came with the weights, else the default one.
        zero_frames: Constant that is subtracted from its offsets, from the weights' calibration.
    """

    spec: BackboneSpec
    network: nn.Module
    device: torch.device
    weights: str
    calibration: Calibration
    zero_frames: float


def build(name: str, **options: Any) -> tuple[BackboneSpec, nn.Module]:
    """Build a joint network by name, with fresh random weights.

    Args:
        name: ``NAME[.TAG]``.
        options: Options of the backbone.

    Raises:
        UsageError: No such backbone or option.
    """
    spec = registry.backbone(name)
    if not isinstance(spec, BackboneSpec):
        raise UsageError(
            f"{spec.full_name} is a pair of encoders, which cannot be built yet",
            remedy="Choose a joint backbone: synctool backbones.",
        )
    unknown = sorted(set(options) - set(spec.options))
    if unknown:
        known = ", ".join(sorted(spec.options)) or "none"
        raise UsageError(
            f"{spec.full_name} has no option {unknown[0]!r}", remedy=f"Its options: {known}."
        )
    network = registry.imported(spec.factory)(**options)
    return replace(spec, options={**spec.options, **options}), network


def load_model(
    name: str = "fcn-cls", *, weights: str | Path | None = None, device: str = "auto"
) -> LoadedModel:
    """Build a network and give it trained weights.

    Args:
        name: ``NAME[.TAG]``.
        weights: Weight file; None takes the backbone's own.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Raises:
        MissingError: The weights or the device are not here.
        WeightsError: The weights do not fit.
        UsageError: No such backbone.
    """
    spec, network = build(name)
    own = spec.weights.name if spec.weights and weights is None else None
    path = (
        Path(weights)
        if weights is not None
        else find_weights(spec.weights, backbone=spec.full_name)
    )
    loaded = load_weights(path, name=own)
    fit(network, loaded, backbone=spec.full_name)
    calibration, zero_frames = _header(loaded.metadata, path)
    chosen = choose_device(device)
    network.to(chosen).eval().requires_grad_(False)
    return LoadedModel(
        spec=spec,
        network=network,
        device=chosen,
        weights=loaded.label,
        calibration=calibration,
        zero_frames=zero_frames,
    )


def _header(metadata: dict[str, str], path: Path) -> tuple[Calibration, float]:
    """Calibration and zero from the header of a weight file."""
    try:
        text = metadata.get("calibration")
        calibration = Calibration.from_dict(json.loads(text)) if text else UNCALIBRATED
        zero_frames = float(metadata.get("zero_frames", 0.0))
        if not abs(zero_frames) <= _LARGEST_ZERO_FRAMES:
            raise ValueError(f"zero_frames is {zero_frames}")
    except (ValueError, TypeError) as error:
        raise WeightsError(
            f"the header of {path.name} is damaged: {error}",
            remedy="Get the file again, or train anew.",
        ) from error
    return calibration, zero_frames


def choose_device(name: str) -> torch.device:
    """The device of a name; ``auto`` takes the fastest that is here.

    Raises:
        MissingError: It is not on this machine.
    """
    here = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if name == "auto":
        name = next(n for n in ("cuda", "mps", "cpu") if here[n])
    if not here.get(name, False):
        raise MissingError(
            f"no {name} device on this machine", remedy="Use --device cpu, or --device auto."
        )
    return torch.device(name)
