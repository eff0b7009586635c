"""Frames degraded one by one: smaller, out of focus, too dark."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np

from synctool.data.augmentation.camera import with_grain
from synctool.media.frame_reader import Planes

_BLACK, _WHITE, _NEUTRAL = 16, 235, 128
_DISPLAY_GAMMA = 2.2
_GRAIN_PER_STOP = 2.0
_SMALLEST_PX = 16


def image_change(name: str, value: float, rng: np.random.Generator) -> Callable[[Planes], Planes]:
    """What a degradation does to every frame.

    Args:
        name: ``resolution``, ``blur`` or ``low-light``.
        value: Of its level.
        rng: Random generator.
    """
    change = _CHANGES[name]
    return lambda planes: change(planes, value, rng)


def _smaller(planes: Planes, percent: float, _: np.random.Generator) -> Planes:
    height, width = (max(_SMALLEST_PX, round(n * percent / 200) * 2) for n in planes[0].shape)
    sizes = [(width, height), (width // 2, height // 2), (width // 2, height // 2)]
    luma, blue, red = (
        cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane, size in zip(planes, sizes)
    )
    return luma, blue, red


def _blurred(planes: Planes, percent: float, _: np.random.Generator) -> Planes:
    sigma = min(planes[0].shape) * percent / 100
    luma, blue, red = (
        cv2.GaussianBlur(plane, (0, 0), size, borderType=cv2.BORDER_REPLICATE)
        for plane, size in zip(planes, (sigma, sigma / 2, sigma / 2))
    )
    return luma, blue, red


def _darkened(planes: Planes, stops: float, rng: np.random.Generator) -> Planes:
    less = 2 ** (-stops / _DISPLAY_GAMMA)
    levels = np.arange(256)
    luma = np.clip(_BLACK + (levels - _BLACK) * less, 0, 255).round().astype(np.uint8)
    chroma = (_NEUTRAL + (levels - _NEUTRAL) * less).round().astype(np.uint8)
    dark = with_grain(cv2.LUT(planes[0], luma), _GRAIN_PER_STOP * stops, rng)
    return (
        np.clip(dark, _BLACK, _WHITE),
        cv2.LUT(planes[1], chroma),
        cv2.LUT(planes[2], chroma),
    )


_CHANGES: Mapping[str, Callable[[Planes, float, np.random.Generator], Planes]] = {
    "resolution": _smaller,
    "blur": _blurred,
    "low-light": _darkened,
}
