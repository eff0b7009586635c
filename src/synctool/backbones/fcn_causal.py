"""``fcn-cls-causal``: ``fcn-cls`` for streams, with no look into the future but a stated one.

The layers are those of ``fcn-cls``, so its weights fit. Along time they are padded on the left: the temporal
networks and the head see no later frame, and the local stages, five frames, see ``look_ahead`` of them.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from synctool.backbones.mouthnet import STACK, MelEncoder, MouthEncoder, TemporalBlock
from synctool.models.heads import CausalVolumeHead
from synctool.models.offset_classifier import OffsetClassifier
from synctool.models.offset_regressor import reach_of
from synctool.types import DEFAULT_MAX_OFFSET

MOST_LOOK_AHEAD = STACK // 2
"""Frames: with so many the local stages are those of ``fcn-cls``."""
_DROPOUT = 0.15
_STEPS = 4
"""Of the audio per frame."""


class CausalTemporalBlock(TemporalBlock):
    """Two convolutions along time, residual; looks four frames back and none ahead."""

    reach = 4
    padding = (2, 0)


class CausalMouthEncoder(MouthEncoder):
    """Mouth crops to embeddings that look back.

    Args:
        look_ahead: Frames after its own that an embedding looks at, 0 to 2.
        embedding: D.
        width: Channels of the first layer.
    """

    def __init__(self, *, look_ahead: int, embedding: int, width: int) -> None:
        super().__init__(
            embedding=embedding,
            widths=(width, 2 * width, 4 * width, 8 * width),
            temporal=_temporal(embedding),
        )
        self.ahead = self.look_ahead_frames = look_ahead

    @property
    def receptive_field_frames(self) -> int:
        """Twice as many as it looks back, and its own: what is needed on either side at most."""
        return _field(self.temporal, self.look_ahead_frames)


class CausalMelEncoder(MelEncoder):
    """Log-mel bands to embeddings that look back.

    Args:
        look_ahead: Frames after its own that an embedding looks at, 0 to 2.
        embedding: D.
        width: Channels of the first layer.
    """

    def __init__(self, *, look_ahead: int, embedding: int, width: int) -> None:
        super().__init__(embedding=embedding, width=width, temporal=_temporal(embedding))
        self.look_ahead_frames = look_ahead

    @property
    def receptive_field_frames(self) -> int:
        """See ``CausalMouthEncoder``."""
        return _field(self.temporal, self.look_ahead_frames)

    def local(self, audio: Tensor) -> Tensor:
        """``[B, 1, 64, 4T] -> [B, D, T]``: row t sees the five frames up to t + look_ahead."""
        later = _STEPS * (MOST_LOOK_AHEAD - self.look_ahead_frames)
        if later:
            steps = audio.shape[-1]
            audio = F.pad(audio, (later, 0, 0, 0), mode="replicate")[..., :steps]
        return super().local(audio)


def mouth(
    *,
    max_offset: int = DEFAULT_MAX_OFFSET,
    embedding: int = 256,
    width: int = 32,
    look_ahead: int = 0,
) -> OffsetClassifier:
    """Grey mouth crops of 72 px and 64 log-mel bands.

    Args:
        max_offset: K.
        embedding: D.
        width: Channels of the first layers of both encoders.
        look_ahead: Frames after its own that an embedding looks at, 0 to 2.

    Raises:
        ValueError: Such a look-ahead is not possible.
    """
    if not 0 <= look_ahead <= MOST_LOOK_AHEAD:
        raise ValueError(f"look_ahead {look_ahead} is not in 0 to {MOST_LOOK_AHEAD}")
    sizes = {"look_ahead": look_ahead, "embedding": embedding, "width": width}
    return OffsetClassifier(
        video_encoder=CausalMouthEncoder(**sizes),
        audio_encoder=CausalMelEncoder(**sizes),
        max_offset=max_offset,
        head=CausalVolumeHead(),
    )


def _temporal(embedding: int) -> nn.Sequential:
    return nn.Sequential(*(CausalTemporalBlock(embedding, dropout=_DROPOUT) for _ in range(2)))


def _field(temporal: nn.Sequential, look_ahead: int) -> int:
    return 2 * (STACK - 1 - look_ahead + reach_of(temporal)) + 1
