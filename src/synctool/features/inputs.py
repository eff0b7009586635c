"""Pictures as a network's input, in numpy arrays or tensors: colour, range, normalisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from synctool.types import VideoInput


def as_input(crops: np.ndarray, wanted: VideoInput) -> np.ndarray:
    """Crops that have the contract's size and order of colours as the network's input.

    Args:
        crops: uint8 ``[T, S, S]`` or ``[T, S, S, 3]``.
        wanted: The input contract.

    Returns:
        float32 ``[1, C, T, S, S]``.
    """
    video = crops[None, None] if crops.ndim == 3 else crops.transpose(3, 0, 1, 2)[None]
    return normalised(
        video.astype(np.float32),
        wanted,
        channels=lambda values: np.array(values, np.float32).reshape(-1, 1, 1, 1),
    )


def normalised(
    values: Any, wanted: VideoInput, *, channels: Callable[[tuple[float, ...]], Any]
) -> Any:
    """Range, mean and standard deviation; one channel becomes as many as the contract has.

    Args:
        values: Float array or tensor ``[B, C, T, H, W]`` with values 0..255.
        wanted: The input contract.
        channels: Makes an array or tensor ``[C, 1, 1, 1]`` of one value per channel.
    """
    low, high = wanted.value_range
    values = values / (255.0 / (high - low))
    if low:
        values = values + low
    if values.shape[1] != wanted.channels:
        values = values + channels((0.0,) * wanted.channels)
    if any(value != 0.0 for value in wanted.mean):
        values = values - channels(wanted.mean)
    if any(value != 1.0 for value in wanted.std):
        values = values / channels(wanted.std)
    return values
