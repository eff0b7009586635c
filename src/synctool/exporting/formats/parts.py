"""A network cut into the graphs that are exported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from synctool.errors import ExportError
from synctool.exporting.formats.graph import GraphInput, GraphPart
from synctool.features.frontends import FRONT_ENDS
from synctool.plugins.specs import ModelSpec

OUTSIDE = -1e30
"""What a graph gives where there is no audio: infinities do not survive every format."""
_BATCH, _FRAMES = 2, 25
_SPARE = 15
"""Offsets to either side that the example of a head has rows for."""
_HALO_FRAMES = 16
"""Frames that a head may look at unless it says otherwise."""


def graph_parts(spec: ModelSpec, network: nn.Module, *, parts: Sequence[str]) -> list[GraphPart]:
    """The graphs of a network.

    ``video``
        Prepared frames ``video [batch, C, frames, S, S]`` to ``video_features [batch, D, frames]``.
    ``audio``
        Audio features ``audio [batch, 1, bands, 4*frames]``, or samples ``[batch, 640*frames]``, to
        ``audio_features [batch, D, frames]``.
    ``head``
        Embeddings of a window, ``sounds [batch, D, sounds]``, ``inside [batch, sounds]`` (1 where there is
        audio; elsewhere ``sounds`` is zero) and ``video_features [batch, D, frames]``, to
        ``scores [batch, sounds - frames + 1 - 2*margin, frames]``. With K offsets asked for to
        either side, ``sounds`` is ``frames + 2*(K + margin)``, row r is offset ``r - K``, and audio
        ``i + t`` is compared with frame t at offset ``K + margin - i``. Without audio it is
        ``OUTSIDE``.
    ``one``
        All of it as a graph ``model``: ``video [batch, C, frames, S, S]``; ``audio`` of ``sounds`` frames, in
        whose middle the frames are; and ``inside [batch, sounds]``, 0 where the audio is filling.
        Gives ``scores`` as above, ``audio_features [batch, D, sounds]``, of zeros where there is no
        audio, and ``video_features``.

    Args:
        spec: What the network takes, as it was built.
        network: A ``SyncModel``; it is brought to the CPU, float32 and evaluation mode.
        parts: Names of graphs, of ``video``, ``audio`` and ``head``, or ``one`` alone; their order is kept.

    Raises:
        ExportError: The network scores in a way that cannot be written as a graph.
        ValueError: There is no such part.
    """
    makers = {"video": _video, "audio": _audio, "head": _head, "one": _one}
    unknown = [name for name in parts if name not in makers]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is not one of {', '.join(makers)}")
    network.cpu().float().eval().requires_grad_(False)
    return [makers[name](spec, network) for name in parts]


def head_margin(network: nn.Module) -> int:
    """Rows of the score volume that the head needs beyond the asked range, on either side."""
    return int(getattr(network, "margin", 0))


def head_reach(network: nn.Module) -> int:
    """Frames beyond a frame that its scores may look at."""
    return max(_HALO_FRAMES, int(getattr(network, "reach", 0)))


class _Graph(nn.Module):
    """A part of a network as a module of its own.

    Args:
        network: A ``SyncModel``, whose head may have ``score_window``.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network: Any = network


class _VideoGraph(_Graph):
    def forward(self, video: Tensor) -> Tensor:
        """Video embeddings."""
        return self.network.encode_video(video).float()


class _AudioGraph(_Graph):
    def forward(self, audio: Tensor) -> Tensor:
        """Audio embeddings."""
        return self.network.encode_audio(audio).float()


class _HeadGraph(_Graph):
    def forward(self, sounds: Tensor, inside: Tensor, video_features: Tensor) -> Tensor:
        """Scores of a window."""
        return self.network.score_window(sounds, inside, video_features, outside=OUTSIDE).float()


class _WholeGraph(_Graph):
    def forward(
        self, video: Tensor, audio: Tensor, inside: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Scores, and embeddings of audio and video."""
        video_features = self.network.encode_video(video).float()
        audio_features = self.network.encode_audio(audio).float() * inside[:, None]
        scores = self.network.score_window(
            audio_features, inside, video_features, outside=OUTSIDE
        ).float()
        return scores, audio_features, video_features


def _video(spec: ModelSpec, network: nn.Module) -> GraphPart:
    return GraphPart("video", _VideoGraph(network), (_video_input(spec),), ("video_features",))


def _audio(spec: ModelSpec, network: nn.Module) -> GraphPart:
    # All the audio that the frames of the other examples are compared with: a format of one length
    # then has graphs that go together.
    sounds = _FRAMES + 2 * (head_margin(network) + _SPARE)
    return GraphPart(
        "audio", _AudioGraph(network), (_audio_input(spec, "frames", sounds),), ("audio_features",)
    )


def _head(spec: ModelSpec, network: nn.Module) -> GraphPart:
    _check_scoring(spec, network)
    sounds = _FRAMES + 2 * (head_margin(network) + _SPARE)
    size = spec.embedding_size
    inputs = (
        GraphInput("sounds", _noise(_BATCH, size, sounds), ("batch", size, "sounds")),
        GraphInput("inside", torch.ones(_BATCH, sounds), ("batch", "sounds")),
        GraphInput("video_features", _noise(_BATCH, size, _FRAMES), ("batch", size, "frames")),
    )
    return GraphPart("head", _HeadGraph(network), inputs, ("scores",))


def _one(spec: ModelSpec, network: nn.Module) -> GraphPart:
    _check_scoring(spec, network)
    sounds = _FRAMES + 2 * (head_margin(network) + _SPARE)
    inputs = (
        _video_input(spec),
        _audio_input(spec, "sounds", sounds),
        GraphInput("inside", torch.ones(_BATCH, sounds), ("batch", "sounds")),
    )
    return GraphPart(
        "model", _WholeGraph(network), inputs, ("scores", "audio_features", "video_features")
    )


def _check_scoring(spec: ModelSpec, network: nn.Module) -> None:
    """Refuse a plugin's network, or head, that scores in a way of its own and offers no graph of it."""
    scoring = getattr(network, "head", network) if hasattr(network, "head") else network
    if callable(getattr(scoring, "score_window", None)):
        return
    raise ExportError(
        f"the head of {spec.full_name} cannot be exported: {type(scoring).__name__} "
        "has no score_window",
        remedy="Export the encoders alone with --parts video,audio, or give it that method.",
    )


def _video_input(spec: ModelSpec) -> GraphInput:
    """Noise in the range that the network wants."""
    wanted = spec.video
    low, high = wanted.value_range
    mean = torch.tensor(wanted.per_channel(wanted.mean, flow=0.0)).view(-1, 1, 1, 1)
    std = torch.tensor(wanted.per_channel(wanted.std, flow=1.0)).view(-1, 1, 1, 1)
    side = wanted.size_px
    noise = _noise(_BATCH, wanted.channels, _FRAMES, side, side).abs().clamp_max(1)
    example = (noise * (high - low) + low - mean) / std
    return GraphInput("video", example, ("batch", wanted.channels, "frames", side, side))


def _audio_input(spec: ModelSpec, axis: str, frames: int) -> GraphInput:
    front = FRONT_ENDS[spec.audio.kind]
    shape = front.shape(frames, batch=_BATCH)
    noise = _noise(*shape) * (1.0 if front.bands else 0.1)
    return GraphInput("audio", noise, ("batch", *shape[1:-1], f"{front.steps}*{axis}"))


def _noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))
