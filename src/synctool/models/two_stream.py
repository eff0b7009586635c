"""Any video encoder with any audio encoder: what brings their embeddings together."""

from __future__ import annotations

from torch import Tensor, nn

from synctool.models.offset_classifier import OffsetClassifier


class Projected(nn.Module):
    """An encoder whose embeddings are brought to another size, frame by frame.

    Embeddings of published networks have scales of their own, so they are normalised first.

    Args:
        encoder: Input ``-> [B, D, T]``.
        inputs: D of the encoder.
        outputs: D of the result.
    """

    def __init__(self, encoder: nn.Module, *, inputs: int, outputs: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.norm = nn.BatchNorm1d(inputs)
        self.project = nn.Conv1d(inputs, outputs, 1)

    @property
    def pretrained(self) -> nn.Module:
        """What published weights are for, and what is thawed step by step: not the projection."""
        return getattr(self.encoder, "pretrained", self.encoder)

    def forward(self, x: Tensor) -> Tensor:
        """``-> [B, D, T]``, not of unit length."""
        return self.project(self.norm(self.encoder(x).float()))


def two_stream(
    video_encoder: nn.Module,
    audio_encoder: nn.Module,
    *,
    sizes: tuple[int, int],
    projection: int,
    max_offset: int,
    head: nn.Module,
) -> OffsetClassifier:
    """Two encoders as one model: projections, correlation over all candidate offsets, and a head.

    Args:
        video_encoder: ``[B, C, T, H, W] -> [B, D, T]``.
        audio_encoder: Audio ``-> [B, D, T]``.
        sizes: D of both.
        projection: D that both are brought to; an encoder that has it already stays as it is. 0 for
            none.
        max_offset: K of ``forward``.
        head: What makes a volume of embeddings of unit length; called as ``SyncModel.score`` is.

    Raises:
        ValueError: There is no projection, and the sizes differ.
    """
    if not projection and sizes[0] != sizes[1]:
        raise ValueError(f"embeddings of {sizes[0]} and {sizes[1]} numbers cannot be compared")
    encoders = [
        Projected(encoder, inputs=size, outputs=projection)
        if projection and size != projection
        else encoder
        for encoder, size in zip((video_encoder, audio_encoder), sizes)
    ]
    return OffsetClassifier(
        video_encoder=encoders[0],
        audio_encoder=encoders[1],
        max_offset=max_offset,
        head=head,
    )
