"""``fcn-reg``: the encoders of ``fcn-cls``, and one number for every frame in place of a choice."""

from __future__ import annotations

from synctool.backbones.fcn_cls import mel_encoder, mouth_encoder
from synctool.models.offset_regressor import Calibrated, OffsetRegressor
from synctool.types import DEFAULT_MAX_OFFSET


def mouth(
    *,
    max_offset: int = DEFAULT_MAX_OFFSET,
    embedding: int = 256,
    width: int = 32,
    head_width: int = 64,
    calibration: Calibrated = "fitted",
) -> OffsetRegressor:
    """Grey mouth crops of 72 px and 64 log-mel bands.

    Args:
        max_offset: K, of training and of use: see ``OffsetRegressor``.
        embedding: D.
        width: Channels of the first layers of both encoders.
        head_width: Channels of the head.
        calibration: ``linear`` or ``fitted``, see ``OffsetRegressor``.

    Raises:
        ValueError: There is no such calibration.
    """
    return OffsetRegressor(
        video_encoder=mouth_encoder(embedding=embedding, width=width),
        audio_encoder=mel_encoder(embedding=embedding, width=width),
        embedding=embedding,
        max_offset=max_offset,
        width=head_width,
        calibration=calibration,
    )
