"""Statistics of batch normalisation from the clips of a domain (AdaBN: Li et al. 2016, arXiv:1603.04779)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import update_bn

from synctool.adapting.domain import DomainClip
from synctool.data.windows import WindowBatch, WindowSettings, WindowStream
from synctool.features.stored_crops import fitted
from synctool.features.video_input import prepared
from synctool.plugins.specs import ModelSpec
from synctool.types import DEFAULT_MAX_OFFSET

OWN_SHARE = 0.5
"""How much of the network's own statistics is kept: those of a few minutes are of few people and rooms."""
_BATCH, _FRAMES = 16, 24


class NoStatistics(Exception):
    """The network has no batch normalisation."""


def with_statistics_of(
    network: nn.Module,
    clips: Sequence[DomainClip],
    spec: ModelSpec,
    *,
    batches: int,
    seed: int,
    on_batch: Callable[[int, int], None] | None = None,
) -> dict[str, Tensor]:
    """The tensors of a network with the statistics of a domain mixed into its own.

    Args:
        network: The network; it ends as it was.
        clips: Clips of the domain; no label is looked at.
        spec: What it takes.
        batches: Batches of 16 windows of 24 frames.
        seed: Chooses the windows.
        on_batch: Told how many are done, and how many there are.

    Raises:
        NoStatistics: It has no batch normalisation.
    """
    layers = {name: m for name, m in network.named_modules() if isinstance(m, _BatchNorm)}
    layers = {name: m for name, m in layers.items() if m.running_mean is not None}
    if not layers:
        raise NoStatistics
    before = {name: value.clone() for name, value in network.state_dict().items()}
    modes = {module: module.training for module in network.modules()}
    torch.manual_seed(seed)
    longest = max(clip.frames for clip in clips)
    settings = WindowSettings(
        frames=min(_FRAMES, longest),
        batch=_BATCH,
        max_offset=DEFAULT_MAX_OFFSET,
        margin=0,
        video=fitted(clips[0].sample.info, spec.video, any_crop=spec.any_crop),
        audio=spec.audio,
        strength=0.0,
    )
    stream = WindowStream(
        [clip.sample for clip in clips],
        settings,
        constants=None,
        people=[clip.unit for clip in clips],
        seed=seed,
    )
    both = _BothEncoders(network)
    dropout = [m for m in network.modules() if isinstance(m, nn.Dropout)]
    try:
        with _without(dropout):
            update_bn(_told(stream, batches, on_batch), both)
        found = {name: value.clone() for name, value in network.state_dict().items()}
    finally:
        network.load_state_dict(before)
        for module, training in modes.items():
            module.training = training
    names = [f"{layer}.{part}" for layer in layers for part in ("running_mean", "running_var")]
    return {
        name: torch.lerp(found[name], value, OWN_SHARE) if name in names else value
        for name, value in before.items()
    }


class _BothEncoders(nn.Module):
    """What ``update_bn`` runs: frames and audio of a batch through their encoders."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network: Any = network

    def forward(self, held: WindowBatch) -> None:
        """Encode a batch."""
        self.network.encode_video(prepared(held.video, held.video_input))
        self.network.encode_audio(held.audio)


class _without:
    """Features are not dropped in the block: statistics would be those of training."""

    def __init__(self, layers: Sequence[nn.Dropout]) -> None:
        self._layers = {layer: layer.p for layer in layers}

    def __enter__(self) -> None:
        for layer in self._layers:
            layer.p = 0.0

    def __exit__(self, *error: object) -> None:
        for layer, share in self._layers.items():
            layer.p = share


def _told(
    stream: WindowStream, batches: int, on_batch: Callable[[int, int], None] | None
) -> Iterator[WindowBatch]:
    for number in range(batches):
        yield stream.batch(number)
        if on_batch is not None:
            on_batch(number + 1, batches)
