"""Trained weights in the PyTorch network that they were made with, on a device."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from synctool.errors import MissingError, PluginError, UsageError
from synctool.networks.build import build
from synctool.networks.loaded import LoadedModel, check_holds, damaged, of_header
from synctool.plugins.specs import ModelSpec
from synctool.runtimes.torch import TorchRuntime
from synctool.untrusted.documents import parse_json, typed
from synctool.untrusted.origin import MalformedError
from synctool.weights.artefact import read_artefact
from synctool.weights.files import LoadedWeights, find_weights, fit, load_weights
from synctool.weights.inputs import video_input
from synctool.weights.locate import located_export


def load_network(spec: ModelSpec, *, weights: Path | None, device: str) -> LoadedModel:
    """Build a network and give it trained weights.

    Args:
        spec: What to build.
        weights: Weight file; None takes the backbone's own. Its header says with which options and
            on which crops it was trained.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Raises:
        MissingError: The weights or the device are not here.
        WeightsError: The weights do not fit, or are another backbone's.
    """
    own = spec.weights.name if spec.weights and weights is None else None
    path = weights or find_weights(spec.weights, backbone=spec.full_name)
    loaded = load_weights(path, name=own)
    spec, network = _rebuilt(spec, loaded, path)
    fit(network, loaded, backbone=spec.full_name)
    calibration, zero_frames = of_header(loaded.metadata | _exported_sets(spec, loaded, own), path)
    chosen = choose_device(device)
    network.to(chosen).eval().requires_grad_(False)
    return LoadedModel(
        spec=spec,
        runtime=TorchRuntime(network, chosen),
        weights=loaded.label,
        calibration=calibration,
        zero_frames=zero_frames,
    )


def _exported_sets(spec: ModelSpec, loaded: LoadedWeights, own: str | None) -> dict[str, str]:
    """The calibration of offset sets of a backbone's own weights, where only their exported copy has it."""
    if own is None or spec.weights is None or "offset_sets" in loaded.metadata:
        return {}
    folder = located_export(spec.weights)
    artefact = None if folder is None else read_artefact(folder)
    if artefact is None or artefact.weights != loaded.label or artefact.offset_sets is None:
        return {}
    return {"offset_sets": json.dumps(dict(artefact.offset_sets))}


def training_facts(spec: ModelSpec, plain: ModelSpec) -> dict[str, Any]:
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


def _rebuilt(spec: ModelSpec, loaded: LoadedWeights, path: Path) -> tuple[ModelSpec, nn.Module]:
    """The network that weights were made with: its options and its crops are in their header."""
    trained = loaded.metadata.get("backbone", spec.full_name)
    check_holds(path.name, held=trained, wanted=spec.full_name)
    try:
        options = typed(parse_json(loaded.metadata.get("options", "{}")), dict[str, Any])
        stored = parse_json(loaded.metadata.get("pictures", "null"))
        if options:
            _check_size(spec, options, loaded)
        built, network = build(spec.full_name, **options)
        if stored is not None:
            built = replace(built, video=video_input(stored))
    except (ValueError, TypeError, RuntimeError, UsageError) as error:
        raise damaged(path, error) from error
    return built, network


def _check_size(spec: ModelSpec, options: dict[str, Any], loaded: LoadedWeights) -> None:
    """Refuse options that make a network of more numbers than the file has, before it is made.

    Raises:
        MalformedError: They do.
    """
    try:
        with torch.device("meta"):
            _, network = build(spec.full_name, **options)
    except (UsageError, MissingError):
        return  # the same in earnest
    except PluginError as error:
        if _computes(spec):
            return
        raise MalformedError(f"its options make no network: {error.cause}") from error
    # Counters of batch normalisation may be missing.
    needed = sum(
        tensor.numel()
        for name, tensor in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    )
    held = sum(tensor.numel() for tensor in loaded.state.values())
    if needed > held:
        raise MalformedError(
            f"its options make a network of {needed:,} numbers, and it holds {held:,}"
        )


def _computes(spec: ModelSpec) -> bool:
    """Whether a plugin needs the numbers that it makes, so that it cannot be built without them."""
    try:
        with torch.device("meta"):
            build(spec.full_name)
    except PluginError:
        return True
    return False


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
