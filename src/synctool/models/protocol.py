"""What the engine asks of a network. Shapes: B batch, C channels, D embedding, T 25 Hz frames."""

from __future__ import annotations

from typing import NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn


class SyncOutput(NamedTuple):
    """What a joint model returns.

    Attributes:
        sync_probs: ``[B, 2K+1, T]``, softmax over the offsets; row K is offset 0.
        audio_features: ``[B, D, T_audio]``.
        video_features: ``[B, D, T]``.
        logits: ``[B, 2K+1, T]``, before the softmax; ``-inf`` where the audio is outside the input.
    """

    sync_probs: Tensor
    audio_features: Tensor
    video_features: Tensor
    logits: Tensor


class SyncModel(Protocol):
    """Two encoders and a score volume."""

    max_offset: int

    def encode_video(self, video: Tensor) -> Tensor:
        """``[B, C, T, H, W] -> [B, D, T]``, row t centred on frame t."""
        ...

    def encode_audio(self, audio: Tensor) -> Tensor:
        """Audio features of T frames ``-> [B, D, T]``, row t centred on frame t."""
        ...

    def score(
        self,
        audio_features: Tensor,
        video_features: Tensor,
        *,
        max_offset: int,
        audio_lead: int = 0,
    ) -> Tensor:
        """Score volume ``[B, 2K+1, T]``, higher is better, ``-inf`` outside the audio.

        Args:
            audio_features: ``[B, D, T_audio]``.
            video_features: ``[B, D, T]``.
            max_offset: K.
            audio_lead: Index in ``audio_features`` of the audio that belongs to video frame 0.
        """
        ...


def sync_model(network: nn.Module) -> SyncModel:
    """The same network, known to have the methods of a complete model.

    Raises:
        TypeError: It lacks one.
    """
    methods = ("encode_video", "encode_audio", "score")
    lacking = [name for name in methods if not callable(getattr(network, name, None))]
    if lacking:
        raise TypeError(f"a network without {', '.join(lacking)}")
    return cast("SyncModel", network)


def expected_offset(sync_probs: Tensor) -> tuple[Tensor, Tensor]:
    """Offset and confidence per frame from offset probabilities.

    The offset is the centre of mass of the best row and its two neighbours, so it is finer than a
    frame; the confidence is their joint probability.

    Args:
        sync_probs: ``[B, 2K+1, T]``.

    Returns:
        Offsets in frames ``[B, T]`` and confidences in 0..1 ``[B, T]``.
    """
    rows = sync_probs.shape[1]
    best = sync_probs.argmax(1, keepdim=True)
    around = best + torch.arange(-1, 2, device=best.device).view(1, 3, 1)
    inside = (around >= 0) & (around < rows)
    mass = sync_probs.gather(1, around.clamp(0, rows - 1)) * inside
    total = mass.sum(1)
    offsets = (mass * (around - rows // 2)).sum(1) / total.clamp_min(1e-12)
    return offsets, total.clamp(0, 1)
