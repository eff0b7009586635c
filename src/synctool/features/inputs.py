"""Frames as a network's input, in numpy arrays or tensors: colour, range, normalisation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from synctool.features.optical_flow import with_flow
from synctool.plugins.specs import ModelSpec, VideoInput

_MOST_PIXELS = 2000 * 72 * 72
"""Of frames that are encoded at once; no clip of the default network's crops has so many."""
_LEAST_FRAMES = 16


def overlapping(frames: int, *, side_px: int, spec: ModelSpec) -> Iterator[tuple[slice, slice]]:
    """How to encode many frames part by part, each with as much context as the network looks at.

    Args:
        frames: T.
        side_px: Side of the frames.
        spec: What the network takes, and how far it looks.

    Yields:
        Frames to encode, and which of the embeddings that these give to keep; together T of them.
    """
    reach = spec.receptive_field_frames // 2
    pixels = spec.video.channels * side_px * side_px
    size = max(_MOST_PIXELS // pixels, _LEAST_FRAMES, 2 * reach)
    for start in range(0, frames, size):
        stop, first = min(start + size, frames), max(start - reach, 0)
        yield slice(first, stop + reach), slice(start - first, stop - first)


def stored_as_input(crops: np.ndarray, wanted: VideoInput) -> np.ndarray:
    """Stored crops, whose colours are in the order RGB, as the network's input.

    Args:
        crops: uint8 ``[T, S, S]`` or ``[T, S, S, 3]``; the contract's size.
        wanted: The input contract.

    Returns:
        float32 ``[1, C, T, S, S]``.

    Raises:
        ValueError: The crops have colours, and the contract is grey.
    """
    if crops.ndim == 4:
        if wanted.colour == "gray":
            raise ValueError("colour crops for a network that takes grey ones")
        if wanted.colour == "bgr":
            crops = crops[..., ::-1]
    return as_input(crops, wanted)


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
    """Range, mean and standard deviation; one channel becomes as many as the contract has. Optical flow is
    put behind them where the contract has it.

    Args:
        values: Float array or tensor ``[B, C, T, H, W]`` with values 0..255.
        wanted: The input contract.
        channels: Makes an array or tensor ``[C, 1, 1, 1]`` of one value per channel.
    """
    low, high = wanted.value_range
    frames, values = values, values / (255.0 / (high - low))
    if low:
        values = values + low
    if values.shape[1] != wanted.image_channels:
        values = values + channels((0.0,) * wanted.image_channels)
    if any(value != 0.0 for value in wanted.mean):
        values = values - channels(wanted.mean)
    if any(value != 1.0 for value in wanted.std):
        values = values / channels(wanted.std)
    if wanted.flow:
        return with_flow(values, frames, colour=wanted.colour)
    return values
