"""The images of one window, from stored crops to what the network is given."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from synctool.data.augmentation.camera import (
    darkened,
    grained,
    jittered_time,
    lost_frames,
    recorded,
    smoothed,
)
from synctool.data.augmentation.lighting import lit, toned
from synctool.data.augmentation.occlusion import behind_hand, captioned, covered
from synctool.data.augmentation.randaugment import randaugmented
from synctool.data.augmentation.random_choices import Dice
from synctool.data.augmentation.warp import centre_crop, fit_crops, warped, with_room

__all__ = ["augment_images", "centre_crop", "fit_crops", "with_room"]


def augment_images(
    crops: np.ndarray,
    size_px: int,
    dice: Dice,
    *,
    other_person: Callable[[], np.ndarray] | None = None,
) -> np.ndarray:
    """Move, turn, bend, relight and degrade the crops of one window.

    What is drawn for a window stays the same over its frames, so that it makes another face or camera
    and leaves the movement of the mouth. Frame t stays frame t, but for frames that are lost or blended.

    Args:
        crops: uint8 ``[T, S, S]``, or ``[T, S, S, 3]`` in colour, with or without room round the
            network's crop: ``with_room``.
        size_px: Side of the network's crop.
        dice: What happens to this window.
        other_person: Gives a crop of another person, ``[S, S]`` or ``[S, S, 3]``, whose light and skin may
            be borrowed; asked only when they are.

    Returns:
        uint8 ``[T, size_px, size_px]`` or ``[T, size_px, size_px, 3]``, new.
    """
    crops = jittered_time(lost_frames(crops, dice), dice)
    crops = warped(lit(crops, dice, other_person), size_px, dice)
    crops = randaugmented(crops, dice)
    crops = smoothed(darkened(behind_hand(crops, dice), dice), dice)
    crops = recorded(captioned(crops, dice), dice)
    return covered(grained(toned(crops, dice), dice), dice)
