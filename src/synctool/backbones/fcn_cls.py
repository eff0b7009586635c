"""``fcn-cls``: its tags, each a pair of encoders for the offset classifier."""

from __future__ import annotations

from synctool.backbones.fcn_rgb import BandEncoder, FaceEncoder
from synctool.backbones.mouthnet import MelEncoder, MouthEncoder
from synctool.models.offset_classifier import OffsetClassifier
from synctool.types import DEFAULT_MAX_OFFSET


def mouth(
    *, max_offset: int = DEFAULT_MAX_OFFSET, embedding: int = 256, width: int = 32
) -> OffsetClassifier:
    """The default tag: grey mouth crops of 72 px and 64 log-mel bands.

    Args:
        max_offset: K.
        embedding: D.
        width: Channels of the first layers of both encoders.
    """
    return OffsetClassifier(
        video_encoder=mouth_encoder(embedding=embedding, width=width),
        audio_encoder=mel_encoder(embedding=embedding, width=width),
        max_offset=max_offset,
    )


def mouth_encoder(*, embedding: int = 256, width: int = 32) -> MouthEncoder:
    """The video half of the default tag: grey mouth crops of 72 px.

    Args:
        embedding: D.
        width: Channels of the first layer.
    """
    return MouthEncoder(embedding=embedding, widths=(width, 2 * width, 4 * width, 8 * width))


def mel_encoder(*, embedding: int = 256, width: int = 32) -> MelEncoder:
    """The audio half of the default tag: 64 log-mel bands.

    Args:
        embedding: D.
        width: Channels of the first layer.
    """
    return MelEncoder(embedding=embedding, width=width)


def rgb112(
    *,
    max_offset: int = DEFAULT_MAX_OFFSET,
    embedding: int = 512,
    width: int = 32,
    audio_bands: int = 13,
) -> OffsetClassifier:
    """Face crops of 112 px in colour and MFCCs.

    Args:
        max_offset: K.
        embedding: D.
        width: Channels of the first layers of both encoders.
        audio_bands: Rows of the audio features: 13 MFCCs, or 40 to 128 mel bands.
    """
    return _rgb(max_offset, embedding, [width << stage for stage in range(5)], audio_bands)


def rgb224(
    *,
    max_offset: int = DEFAULT_MAX_OFFSET,
    embedding: int = 512,
    width: int = 16,
    audio_bands: int = 13,
) -> OffsetClassifier:
    """Face crops of 224 px in colour and MFCCs: one stage more, and half as wide at the first.

    Args:
        max_offset: K.
        embedding: D.
        width: Channels of the first video layer; the first audio layer has twice as many.
        audio_bands: Rows of the audio features: 13 MFCCs, or 40 to 128 mel bands.
    """
    return _rgb(max_offset, embedding, [width << stage for stage in range(6)], audio_bands)


def _rgb(max_offset: int, embedding: int, widths: list[int], bands: int) -> OffsetClassifier:
    return OffsetClassifier(
        video_encoder=FaceEncoder(embedding=embedding, widths=tuple(widths)),
        audio_encoder=BandEncoder(bands=bands, embedding=embedding, width=widths[-1] // 16),
        max_offset=max_offset,
    )
