"""``fcn-transformer``: the local stages of ``fcn-cls`` under a small transformer along time."""

from __future__ import annotations

from torch import Tensor, nn

from synctool.backbones.mouthnet import encoder_pair
from synctool.models.attention import AttentionBlock, FeedForwardBlock, over_channels
from synctool.models.offset_classifier import OffsetClassifier
from synctool.types import DEFAULT_MAX_OFFSET

_DROPOUT = 0.1


class LastNorm(nn.LayerNorm):
    """The normalisation behind the last layer of a pre-norm transformer."""

    reach = 0
    """Frames that it looks at to either side."""

    def forward(self, input: Tensor) -> Tensor:
        """``[B, D, T] -> [B, D, T]``."""
        return over_channels(super().forward, input)


def mouth(
    *,
    max_offset: int = DEFAULT_MAX_OFFSET,
    embedding: int = 256,
    width: int = 32,
    layers: int = 3,
    heads: int = 4,
    attention_reach: int = 4,
) -> OffsetClassifier:
    """Grey mouth crops of 72 px and 64 log-mel bands.

    Args:
        max_offset: K.
        embedding: D.
        width: Channels of the first layers of both encoders.
        layers: Layers of each transformer.
        heads: Heads of its attention; they divide D.
        attention_reach: Frames that each layer looks at to either side.

    Raises:
        ValueError: The heads do not divide D, the reach is negative, or there is no layer.
    """
    if layers < 1:
        raise ValueError("a transformer needs a layer")

    def temporal() -> nn.Sequential:
        halves: list[nn.Module] = []
        for _ in range(layers):
            halves += [
                AttentionBlock(embedding, reach=attention_reach, heads=heads, dropout=_DROPOUT),
                FeedForwardBlock(embedding, dropout=_DROPOUT),
            ]
        return nn.Sequential(*halves, LastNorm(embedding))

    seeing, hearing = encoder_pair(embedding=embedding, width=width, temporal=temporal)
    return OffsetClassifier(video_encoder=seeing, audio_encoder=hearing, max_offset=max_offset)
