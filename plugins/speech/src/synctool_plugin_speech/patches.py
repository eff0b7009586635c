"""Spectrograms cut into patches of 16 x 16, one column of them for each video frame."""

from __future__ import annotations

import torch
from torch import Tensor

from synctool.types import SAMPLES_PER_FRAME
from synctool_plugin_speech.spectrograms import HOP, WINDOW

PATCH = 16
"""Steps and bands of a patch, as published."""
COLUMN_STRIDE = SAMPLES_PER_FRAME // HOP
"""Steps of the spectrogram from one column of patches to the next: 4, one video frame."""
SIDE = (HOP * (PATCH - 1) + WINDOW - SAMPLES_PER_FRAME) // 2
"""Samples of silence on either side of the audio. A patch spans 15 steps and one window; with what that is
more than a frame there is exactly one column for each frame, centred on its middle."""
MARGIN_FRAMES = 25
"""Rows of this many frames next to a cut are dropped where an input is longer than the positions go."""


def most_columns(published: int, *, stride: int) -> int:
    """Columns up to the last published position.

    Args:
        published: Columns of the published network.
        stride: Steps from one of these to the next.
    """
    return (published - 1) * stride // COLUMN_STRIDE + 1


def positions_at_frames(table: Tensor, *, columns: int, stride: int) -> Tensor:
    """Position embeddings of dense columns: the published ones, read at the columns' own times.

    Args:
        table: ``[..., published columns, D]``.
        columns: How many columns there are.
        stride: Steps from one published column to the next.

    Returns:
        ``[..., columns, D]``.
    """
    place = COLUMN_STRIDE * torch.arange(columns, device=table.device)
    before = (place // stride).clamp_max(table.shape[-2] - 2)
    share = ((place - before * stride) / stride).to(table.dtype)[:, None]
    return torch.lerp(table[..., before, :], table[..., before + 1, :], share)
