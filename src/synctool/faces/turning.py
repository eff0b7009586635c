"""Boxes of turned images, in the image as it was. Loads no decoder."""

from __future__ import annotations

import numpy as np


def box_before_turning(
    box: np.ndarray, quarters: int, *, width_px: float, height_px: float
) -> np.ndarray:
    """Where a box of a turned frame lies in the frame as it was.

    Args:
        box: ``[4]``: left, top, right, bottom in the turned frame.
        quarters: Quarters by which it was turned clockwise.
        width_px: Width of the frame as it was.
        height_px: Its height.
    """
    # Each turn back swaps the sides: the turned frame is as wide as the one before is high.
    size = (width_px, height_px) if quarters % 2 == 0 else (height_px, width_px)
    for _ in range(quarters % 4):
        left, top, right, bottom = box
        box = np.array([top, size[0] - right, bottom, size[0] - left])
        size = (size[1], size[0])
    return box
