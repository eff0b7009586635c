"""Light and tone: one curve for a window, lamps from elsewhere, the shades of another person's face."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from synctool.data.augmentation.random_choices import Dice


def lit(
    crops: np.ndarray, dice: Dice, other_person: Callable[[], np.ndarray] | None = None
) -> np.ndarray:
    """Add smooth light that is the same in all frames.

    Args:
        crops: uint8 ``[T, S, S]`` or ``[T, S, S, 3]``.
        dice: What happens to this window.
        other_person: Gives one crop of another person, of the same shape; None for no such.
    """
    field = np.zeros(crops.shape[1:], np.float32)
    if rng := dice.of("lamps"):
        field += _spread(_lamps(crops.shape[1], rng) * dice.strength("lamps"), crops.ndim)
    rng = dice.of("shades")
    if rng and other_person is not None:
        field += _shades(crops, other_person(), rng) * dice.strength("shades")
    if not field.any():
        return crops
    field = field.astype(np.int16)
    out = np.empty(crops.shape, np.uint8)
    for t, crop in enumerate(crops):
        cv2.add(crop, field, out[t], dtype=cv2.CV_8U)
    return out


def toned(crops: np.ndarray, dice: Dice) -> np.ndarray:
    """Change gamma, contrast and brightness of a window."""
    rng = dice.of("light")
    if rng is None:
        return crops
    size = dice.size("light")
    gamma, contrast = np.exp(rng.normal(0, (0.25, 0.2)) * size)
    brightness = rng.normal(0, 0.06 * size)
    curve = ((np.arange(256) / 255.0) ** gamma - 0.5) * contrast + 0.5 + brightness
    table = np.clip(np.round(curve * 255), 0, 255).astype(np.uint8)
    return cv2.LUT(crops.reshape(len(crops), -1), table).reshape(crops.shape)


def _lamps(size: int, rng: np.random.Generator) -> np.ndarray:
    lamps = rng.normal(0, 18, (3, 3)).astype(np.float32)
    return cv2.resize(lamps, (size, size), interpolation=cv2.INTER_CUBIC)


def _shades(crops: np.ndarray, other_person: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    mean = crops[:: max(1, len(crops) // 6)].mean(0, dtype=np.float32)
    other = other_person[:, ::-1] if rng.random() < 0.5 else other_person
    sigma = rng.uniform(4, 12) * len(mean) / 96  # chosen on crops of 96 px
    return cv2.GaussianBlur(other - mean, (0, 0), sigma) * np.float32(rng.uniform(0.5, 1))


def _spread(field: np.ndarray, ndim: int) -> np.ndarray:
    return field if ndim == 3 else field[..., None]
