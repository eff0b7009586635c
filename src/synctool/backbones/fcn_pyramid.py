"""``fcn-pyramid``: the local stages of ``fcn-cls`` under a temporal network of several scales."""

from __future__ import annotations

from torch import nn

from synctool.backbones.mouthnet import TemporalBlock, encoder_pair
from synctool.models.offset_classifier import OffsetClassifier
from synctool.models.pyramid import PyramidBlock
from synctool.types import DEFAULT_MAX_OFFSET

_DROPOUT = 0.15


def mouth(
    *, max_offset: int = DEFAULT_MAX_OFFSET, embedding: int = 256, width: int = 32, scales: int = 4
) -> OffsetClassifier:
    """Grey mouth crops of 72 px and 64 log-mel bands.

    Args:
        max_offset: K.
        embedding: D.
        width: Channels of the first layers of both encoders.
        scales: How many; their dilations are 1, 2, 4, ... frames.

    Raises:
        ValueError: There is no scale.
    """

    def temporal() -> nn.Sequential:
        dilations = tuple(2**i for i in range(scales))
        return nn.Sequential(
            TemporalBlock(embedding, dropout=_DROPOUT),
            PyramidBlock(embedding, dilations=dilations, dropout=_DROPOUT),
            TemporalBlock(embedding, dropout=_DROPOUT),
        )

    seeing, hearing = encoder_pair(embedding=embedding, width=width, temporal=temporal)
    return OffsetClassifier(video_encoder=seeing, audio_encoder=hearing, max_offset=max_offset)
