"""Two windows of a batch mixed; the label stays that of the stronger one."""

from __future__ import annotations

import numpy as np

from synctool.data.augmentation.augmented_audio import mixed
from synctool.data.augmentation.random_choices import Dice

_MOST = 0.4
"""Of the other image, so that there is no doubt whose audio is the right one."""
_CONCENTRATION = 0.4
IMAGE_MIXES = ("mixup", "cutmix")
SECOND_VOICE = "second_voice"


def mix_images(crops: np.ndarray, other: np.ndarray, dice: Dice) -> np.ndarray:
    """Let another window's image shine through, or put a rectangle of it before this one.

    Args:
        crops: uint8 ``[T, S, S]`` or ``[T, S, S, 3]``.
        other: The other window's, of the same shape.
        dice: What happens to this window.

    Returns:
        uint8, of the same shape, new where anything is mixed.
    """
    if rng := dice.of("mixup"):
        drawn = rng.beta(_CONCENTRATION, _CONCENTRATION)
        part = np.float32(min(min(drawn, 1 - drawn) * dice.strength("mixup"), _MOST))
        crops = np.round(crops * (1 - part) + other * part).astype(np.uint8)
    if rng := dice.of("cutmix"):
        size = crops.shape[1]
        area = min(rng.uniform(0.05, _MOST) * dice.strength("cutmix"), _MOST)
        ratio = np.exp(rng.uniform(-0.5, 0.5))
        height = int(np.clip(np.sqrt(area) * size * ratio, 1, size))
        width = int(np.clip(area * size * size / height, 1, size))
        top = int(rng.integers(0, size - height + 1))
        left = int(rng.integers(0, size - width + 1))
        crops = crops.copy()
        place = (slice(None), slice(top, top + height), slice(left, left + width))
        crops[place] = other[place]
    return crops


def mix_audio(audio: np.ndarray, other: np.ndarray, dice: Dice) -> np.ndarray:
    """Put another window's audio behind this one's.

    Args:
        audio: float32 ``[N]``.
        other: The other window's, float32 ``[N]``.
        dice: What happens to this window.
    """
    rng = dice.of(SECOND_VOICE)
    if rng is None:
        return audio
    return mixed(audio, other, rng.uniform(0, 15), dice.strength(SECOND_VOICE)).astype(np.float32)
