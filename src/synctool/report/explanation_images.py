"""Images of an explanation: the crop with its map over it, and the score volume."""

from __future__ import annotations

import cv2
import numpy as np

from synctool.explaining.run import Explanation

STRENGTH = 0.6
"""Opacity of the map where it is highest."""


def overlay(explanation: Explanation, frame: int, colour: str, *, side_px: int) -> np.ndarray:
    """One crop with its own map over it: uint8 ``[side_px, side_px, 3]`` in BGR.

    Args:
        explanation: The explanation.
        frame: Number of the crop.
        colour: Order of its colours: ``gray``, ``rgb`` or ``bgr``.
        side_px: Side of the image.
    """
    return blended(
        as_bgr(explanation.moment.crops[frame], colour), explanation.heats[frame], side_px=side_px
    )


def mean_overlay(explanation: Explanation, colour: str, *, side_px: int) -> np.ndarray:
    """The middle crop with the map of the whole moment over it: uint8 ``[side_px, side_px, 3]`` in BGR."""
    target = explanation.moment.target
    crop = explanation.moment.crops[(target.start + target.stop) // 2]
    return blended(as_bgr(crop, colour), explanation.heat, side_px=side_px)


def as_bgr(crop: np.ndarray, colour: str) -> np.ndarray:
    """A crop as OpenCV has images: uint8 ``[S, S, 3]``."""
    if crop.ndim == 2:
        return cv2.cvtColor(crop, cv2.COLOR_GRAY2BGR)
    return np.ascontiguousarray(crop[..., ::-1]) if colour == "rgb" else crop


def blended(image: np.ndarray, heat: np.ndarray, *, side_px: int) -> np.ndarray:
    """An image with a map of 0..1 over it: uint8 ``[side_px, side_px, 3]`` in BGR."""
    size = (side_px, side_px)
    big = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC).astype(np.float32)
    warm = np.clip(cv2.resize(heat.astype(np.float32), size, interpolation=cv2.INTER_CUBIC), 0, 1)
    painted = cv2.applyColorMap((255 * warm).astype(np.uint8), cv2.COLORMAP_INFERNO)
    weight = STRENGTH * np.sqrt(warm)[..., None]
    return (big * (1 - weight) + painted * weight).round().astype(np.uint8)


def volume_image(volume: np.ndarray, *, size_px: tuple[int, int]) -> np.ndarray:
    """A score volume ``[2K+1, T]`` with the largest offset at the top: uint8 ``[H, W, 3]`` in BGR.

    Args:
        volume: Scores, NaN where there is none.
        size_px: Width and height.
    """
    values = volume - np.nanmean(volume, 0, keepdims=True)
    low, high = np.nanpercentile(values, [5, 99.5])
    share = np.clip((values - low) / max(high - low, 1e-9), 0, 1)
    grey = (255 * np.nan_to_num(share)).astype(np.uint8)[::-1]
    return cv2.applyColorMap(
        cv2.resize(grey, size_px, interpolation=cv2.INTER_NEAREST), cv2.COLORMAP_VIRIDIS
    )
