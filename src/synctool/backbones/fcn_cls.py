"""``fcn-cls``: its tags, each a pair of encoders for the offset classifier."""

from __future__ import annotations

from synctool.backbones.mouthnet import MelEncoder, MouthEncoder
from synctool.models.offset_classifier import OffsetClassifier


def mouth(*, max_offset: int = 15, embedding: int = 256, width: int = 32) -> OffsetClassifier:
    """The default tag: grey mouth crops of 72 px and 64 log-mel bands.

    Args:
        max_offset: K.
        embedding: D.
        width: Channels of the first layers of both encoders.
    """
    widths = (width, 2 * width, 4 * width, 8 * width)
    return OffsetClassifier(
        video_encoder=MouthEncoder(embedding=embedding, widths=widths),
        audio_encoder=MelEncoder(embedding=embedding, width=width),
        max_offset=max_offset,
    )
