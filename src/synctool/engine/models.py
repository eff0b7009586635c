"""Networks ready to measure: trained weights in the network that they were made with, on a device."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from synctool.engine.build import build, named
from synctool.errors import MissingError, UsageError, WeightsError
from synctool.scoring.confidence import UNCALIBRATED, Calibration
from synctool.types import BackboneSpec, VideoInput
from synctool.weights.files import LoadedWeights, find_weights, fit, load_weights

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


def load_model(
    name: str = "fcn-cls", *, weights: str | Path | None = None, device: str = "auto"
) -> LoadedModel:
    """Build a network and give it trained weights.

    Args:
        name: ``NAME[.TAG]`` or ``VIDEO[.TAG]+AUDIO[.TAG]``.
        weights: Weight file; None takes the backbone's own. Its header says with which options and
            on which crops it was trained.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Raises:
        MissingError: The weights or the device are not here.
        WeightsError: The weights do not fit, or are another backbone's.
        UsageError: No such backbone.
    """
    spec = named(name)
    own = spec.weights.name if spec.weights and weights is None else None
    path = (
        Path(weights)
        if weights is not None
        else find_weights(spec.weights, backbone=spec.full_name)
    )
    loaded = load_weights(path, name=own)
    spec, network = _rebuilt(spec, loaded, path)
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


def training_facts(spec: BackboneSpec, plain: BackboneSpec) -> dict[str, Any]:
    """What the header of weights must say so that their network can be built again.

    Args:
        spec: What was trained.
        plain: The same with all defaults.
    """
    changed = {k: v for k, v in spec.options.items() if plain.options.get(k) != v}
    facts: dict[str, Any] = {"backbone": spec.full_name}
    if changed:
        facts["options"] = changed
    if spec.video != plain.video:
        facts["pictures"] = asdict(spec.video)
    return facts


def _rebuilt(
    spec: BackboneSpec, loaded: LoadedWeights, path: Path
) -> tuple[BackboneSpec, nn.Module]:
    """The network that weights were made with: its options and its crops are in their header."""
    trained = loaded.metadata.get("backbone", spec.full_name)
    try:
        same = trained == spec.full_name or named(trained).full_name == spec.full_name
    except UsageError:  # of a plugin that is not installed, perhaps
        same = False
    if not same:
        raise WeightsError(
            f"{path.name} holds weights of {trained}, not of {spec.full_name}",
            remedy=f"Give --backbone {trained} with it.",
        )
    try:
        options = json.loads(loaded.metadata.get("options", "{}"))
        pictures = json.loads(loaded.metadata.get("pictures", "null"))
        built, network = build(spec.full_name, **options)
        if pictures is not None:
            built = replace(built, video=_video_input(pictures))
    except (ValueError, TypeError, UsageError) as error:
        raise _damaged(path, error) from error
    return built, network


def _video_input(facts: dict[str, Any]) -> VideoInput:
    known = {f.name for f in fields(VideoInput)}
    tuples = {k: tuple(v) if isinstance(v, list) else v for k, v in facts.items() if k in known}
    return VideoInput(**tuples)


def _header(metadata: dict[str, str], path: Path) -> tuple[Calibration, float]:
    """Calibration and zero from the header of a weight file."""
    try:
        text = metadata.get("calibration")
        calibration = Calibration.from_dict(json.loads(text)) if text else UNCALIBRATED
        zero_frames = float(metadata.get("zero_frames", 0.0))
        if not abs(zero_frames) <= _LARGEST_ZERO_FRAMES:
            raise ValueError(f"zero_frames is {zero_frames}")
    except (ValueError, TypeError) as error:
        raise _damaged(path, error) from error
    return calibration, zero_frames


def _damaged(path: Path, error: Exception) -> WeightsError:
    return WeightsError(
        f"the header of {path.name} is damaged: {error}",
        remedy="Get the file again, or train anew.",
    )


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
