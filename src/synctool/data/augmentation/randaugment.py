"""RandAugment by its published list of operations, alike in all frames of a window."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from synctool.data.augmentation.random_choices import Dice

STRONGEST_MAGNITUDE = 30
"""The published scale of magnitudes goes from 0 to this."""
_GREY = 128
"""What is moved in from beyond the edge."""
_BY_HISTOGRAM = {"AutoContrast", "Equalize", "Contrast"}
"""Operations that look at the levels of the whole image."""


def randaugmented(crops: np.ndarray, dice: Dice) -> np.ndarray:
    """N operations of magnitude M, drawn for the window (Cubuk et al. 2020), as torchvision has them.

    Args:
        crops: uint8 ``[T, S, S]`` or ``[T, S, S, 3]``.
        dice: What happens to this window; ``dice.policy`` is (N, M), and the strength scales M.

    Returns:
        uint8, of the same shape. ``Color`` leaves grey frames as they are.
    """
    rng = dice.of("randaugment")
    if rng is None:
        return crops
    import torch

    operations, magnitude = dice.policy
    magnitude = min(round(magnitude * dice.strength("randaugment")), STRONGEST_MAGNITUDE)
    grey = crops.ndim == 3
    clip = torch.from_numpy(np.ascontiguousarray(crops))
    clip = clip[:, None] if grey else clip.permute(0, 3, 1, 2)
    # torchvision draws from PyTorch's own generator, which belongs to the training.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**63)))
        clip = _of_clips()(operations, magnitude, STRONGEST_MAGNITUDE + 1, fill=_GREY)(clip)
    return clip[:, 0].numpy() if grey else clip.permute(0, 2, 3, 1).contiguous().numpy()


@lru_cache(maxsize=1)
def _of_clips() -> Any:
    """The class, which needs torchvision."""
    from torchvision.transforms.v2 import RandAugment

    class OfClips(RandAugment):
        """RandAugment whose operations by histogram take one of all frames ``[T, C, H, W]``."""

        def _apply_image_or_video_transform(
            self, image: Any, transform_id: str, *args: Any, **more: Any
        ) -> Any:
            # Of each frame by itself the light would jump as the mouth opens.
            as_one = transform_id in _BY_HISTOGRAM
            frames, channels, height, width = image.shape
            if as_one:
                image = image.transpose(0, 1).reshape(channels, frames * height, width)
            image = super()._apply_image_or_video_transform(image, transform_id, *args, **more)
            if as_one:
                image = image.reshape(channels, frames, height, width).transpose(0, 1)
            return image

    return OfClips
