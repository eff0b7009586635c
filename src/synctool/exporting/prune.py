"""Structured pruning: the same backbone with narrower options, of the channels that matter most.

The result is a network like any other of its backbone, so that its weights load, train and export as all
do. How much a channel matters is what the layers give to it, in energy, times what the next layers take
from it: the scale of its batch normalisation (Liu et al. 2017, "Learning efficient convolutional networks
through network slimming") and the weights that read it (Li et al. 2017, "Pruning filters for efficient
ConvNets"). Both are zero for a channel that does nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from synctool._version import __version__
from synctool.errors import UsageError, WeightsError
from synctool.features.frontends import FRONT_ENDS
from synctool.models.channels import Channel, Channels, ChannelSet, Inseparable
from synctool.models.protocol import SyncModel
from synctool.networks.build import build
from synctool.networks.load_torch import training_facts
from synctool.networks.loaded import LoadedModel
from synctool.networks.names import model_spec
from synctool.plugins.specs import ModelSpec
from synctool.runtimes.torch import TorchRuntime
from synctool.scoring.confidence import UNCALIBRATED
from synctool.training.checkpoint import metadata, save_weights

_WIDTH = "width"
_FRAMES = 2
_TOLERANCE = 1e-3
"""Largest difference of unit-length embeddings that rounding may make."""


def prune(model: LoadedModel, ratio: float) -> LoadedModel:
    """A narrower network made of the most important channels of a trained one.

    The options ``width`` of a backbone, or of both encoders of a pair, are reduced and rounded; the size
    of the embedding and the head stay. The confidence is no longer calibrated, as the calibration
    was another network's. Whatever is pruned is compared with the original in which the same channels
    are silent, so that nothing but the choice of channels can go wrong.

    Args:
        model: A trained network in PyTorch.
        ratio: Share of the channels of every layer that is taken out, above 0 and below 1.

    Raises:
        UsageError: No such ratio, or a network that cannot be pruned; the message says why.
        WeightsError: The pruned network does not answer as it must.
    """
    options = narrower(model.spec, ratio)
    changed = {**_own_options(model.spec), **options}
    spec, network = build(model.spec.full_name, **changed)
    original = copy.deepcopy(model.network).cpu().eval()
    network.eval().requires_grad_(False)
    runs = _runs(replace(spec, video=model.spec.video), original)
    try:
        channels = Channels(original, network, runs)
    except Inseparable as error:
        raise _cannot(model.spec, str(error)) from error
    taken = [c for chosen in channels.sets for c in _least(channels, chosen)]
    network.load_state_dict(channels.state(taken))
    with channels.silenced(taken):
        _check_same(original, network, _runs(spec, network), runs)
    device = torch.device(model.runtime.device)
    return replace(
        model,
        spec=replace(spec, video=model.spec.video),
        runtime=TorchRuntime(network.to(device), device),
        weights=pruned_label(model, ratio),
        calibration=UNCALIBRATED,
    )


def narrower(spec: ModelSpec, ratio: float) -> dict[str, int]:
    """The options that make a backbone narrower, with their values.

    Args:
        spec: As it was built.
        ratio: Share of the channels that is taken out.

    Raises:
        UsageError: No such ratio, or it has no option for its width.
    """
    if not 0 < ratio < 1:
        raise UsageError(
            f"a share of {ratio:g} of the channels cannot be taken out",
            remedy="Give a number above 0 and below 1, such as 0.25.",
        )
    widths = {k: v for k, v in spec.options.items() if k.rpartition(".")[2] == _WIDTH}
    if not widths:
        raise _cannot(spec, "it has no option for its width; published networks have fixed ones")
    new = {name: max(1, round(value * (1 - ratio))) for name, value in widths.items()}
    if new == widths:
        raise UsageError(
            f"a share of {ratio:g} of {max(widths.values())} channels is less than one",
            remedy="Give a larger one.",
        )
    return new


def pruned_label(model: LoadedModel, ratio: float) -> str:
    """What results call the weights that pruning leaves.

    Args:
        model: The network before.
        ratio: Share of the channels that is taken out.
    """
    return f"{model.weights} pruned by {100 * ratio:g}%"


def write_pruned(path: Path, model: LoadedModel) -> Path:
    """Write a pruned network as weights that load as all others do.

    Args:
        path: A new ``.safetensors`` file.
        model: What ``prune`` gave.

    Raises:
        OutputError: It cannot be written.
    """
    facts: dict[str, Any] = training_facts(model.spec, model_spec(model.spec.full_name))
    facts |= {"synctool": __version__, "pruned": model.weights}
    if model.zero_frames:
        facts["zero_frames"] = model.zero_frames
    save_weights(path, model.network.state_dict(), metadata(facts))
    return path


def _own_options(spec: ModelSpec) -> dict[str, Any]:
    plain = model_spec(spec.full_name).options
    return {k: v for k, v in spec.options.items() if k not in plain or plain[k] != v}


def _cannot(spec: ModelSpec, why: str) -> UsageError:
    return UsageError(
        f"{spec.full_name} cannot be pruned: {why}",
        remedy="Train a smaller network that learns from it: synctool train --teacher WEIGHTS.",
    )


def _runs(spec: ModelSpec, network: nn.Module) -> dict[str, Callable[[], Tensor]]:
    """What runs each encoder on an example, by the beginning of the names of its layers."""
    chance = torch.Generator().manual_seed(0)
    crop, sync = spec.video, cast(SyncModel, network)
    side = crop.size_px
    video = torch.rand(1, crop.channels, _FRAMES, side, side, generator=chance)
    audio = torch.randn(FRONT_ENDS[spec.audio.kind].shape(_FRAMES, batch=1), generator=chance)
    return {
        "video_encoder.": partial(sync.encode_video, video),
        "audio_encoder.": partial(sync.encode_audio, audio),
    }


def _least(channels: Channels, chosen: ChannelSet) -> list[Channel]:
    """The least important channels of a set, as many as do not stay."""
    energies = {axis: channels.energy(axis) for axis in chosen.channels[0]}
    normalised = any(axis.end == "norm" for axis in energies)
    giving = ("norm", "free") if normalised else ("out", "free")

    def importance(channel: Channel) -> float:
        given, taken = (
            sum(_at(energies[axis], channel[axis]) for axis in channel if axis.end in ends)
            for ends in (giving, ("in",))
        )
        return given * taken

    ranked = sorted(chosen.channels, key=importance)  # of equals the first ones go
    return ranked[: len(ranked) - chosen.kept]


def _at(energy: Tensor, places: tuple[int, ...]) -> float:
    return float(energy[list(places)].sum())


def _check_same(
    silenced: nn.Module,
    pruned: nn.Module,
    runs: dict[str, Callable[[], Tensor]],
    before: dict[str, Callable[[], Tensor]],
) -> None:
    """A pruned network answers as the original in which the same channels are silent."""
    for part, run in runs.items():
        with torch.no_grad():
            apart = float((run() - before[part]()).abs().max())
        if not apart <= _TOLERANCE:
            raise WeightsError(
                f"the pruned {part.rstrip('.')} is {apart:.2g} off the original without these channels",
                remedy="Its channels hang together in a way that pruning does not know; train a "
                "smaller network that learns from it: synctool train --teacher WEIGHTS.",
            )
