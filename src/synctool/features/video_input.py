"""Stored crops as a network is trained on them: as tensors."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from synctool.features.inputs import normalised
from synctool.plugins.specs import VideoInput


def as_batch(crops: np.ndarray) -> Tensor:
    """Crops of one face as a batch of one.

    Args:
        crops: uint8 ``[T, S, S]`` or ``[T, S, S, 3]``.

    Returns:
        uint8 ``[1, 1, T, S, S]`` or ``[1, 3, T, S, S]``; a view, unless what is stored may not be
        written to.
    """
    video = torch.from_numpy(crops if crops.flags.writeable else crops.copy())
    return video[None, None] if video.ndim == 3 else video.permute(3, 0, 1, 2)[None]


def prepared(video: Tensor, wanted: VideoInput) -> Tensor:
    """Stored frames as the network's input.

    Args:
        video: uint8 ``[B, 1, T, S, S]`` grey or ``[B, 3, T, S, S]`` RGB.
        wanted: The input contract.

    Returns:
        float32 ``[B, C, T, S, S]`` with C of the contract.

    Raises:
        ValueError: The frames have colours, and the contract is grey.
    """
    if video.shape[1] == 3:
        if wanted.colour == "gray":
            raise ValueError("colour frames for a network that takes grey ones")
        if wanted.colour == "bgr":
            video = video.flip(1)
    return normalised(
        video.float(), wanted, channels=lambda values: _channels(values, video.device)
    )


def _channels(values: tuple[float, ...], device: torch.device) -> Tensor:
    return torch.tensor(values, device=device).view(-1, 1, 1, 1)
