"""Where each pixel of the network's crop comes from: place, size, turn, slant, bend, shake."""

from __future__ import annotations

import cv2
import numpy as np

from synctool.data.augmentation.random_choices import Dice
from synctool.errors import UsageError
from synctool.plugins.specs import VideoInput

_USUAL_PX = 72
"""Side of the crop that the sizes below were chosen for; others in proportion."""
_GEOMETRY = ("shift", "zoom", "turn", "shear", "mirror", "elastic", "drift", "jitter")


def centre_crop(crops: np.ndarray, size_px: int) -> np.ndarray:
    """The middle of stored crops, as at inference.

    Args:
        crops: uint8 ``[T, S, S]`` or ``[T, S, S, 3]``.
        size_px: Side of the middle.

    Returns:
        uint8 ``[T, size_px, size_px]`` or ``[T, size_px, size_px, 3]``, a view.
    """
    edge = (crops.shape[2] - size_px) // 2
    return crops[:, edge : edge + size_px, edge : edge + size_px]


def fit_crops(crops: np.ndarray, stored_crop: str, wanted: VideoInput) -> np.ndarray:
    """Stored crops as a network is given them at inference, but for range and normalisation.

    Args:
        crops: uint8 ``[T, S, S]`` or ``[T, S, S, 3]`` in RGB.
        stored_crop: ``mouth``, of which the middle is taken, or ``face``, which is resized.
        wanted: The network's input contract.

    Returns:
        uint8 ``[T, s, s]``, or ``[T, s, s, 3]`` in RGB where the contract and the crops are in colour;
        may be a view.

    Raises:
        UsageError: Mouth crops smaller than the network's.
    """
    return centre_crop(with_room(crops, stored_crop, wanted), wanted.size_px)


def with_room(crops: np.ndarray, stored_crop: str, wanted: VideoInput) -> np.ndarray:
    """Stored crops in the colours and at the scale of a network's, with all that lies round it.

    Args, Returns and Raises: as of ``fit_crops``, but mouth crops keep their size.
    """
    if wanted.colour == "gray" and crops.ndim == 4:
        crops = np.stack([cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) for crop in crops])
    stored_px, size_px = crops.shape[2], wanted.size_px
    if stored_crop == "face" and stored_px != size_px:
        mode = cv2.INTER_AREA if size_px < stored_px else cv2.INTER_LINEAR
        return np.stack([cv2.resize(c, (size_px, size_px), interpolation=mode) for c in crops])
    if stored_px < size_px:
        raise UsageError(
            f"mouth crops of {stored_px} px are too small for a network that takes {size_px} px",
            remedy="Make them anew with synctool preprocess and a larger --size.",
        )
    return crops


def warped(crops: np.ndarray, size_px: int, dice: Dice) -> np.ndarray:
    """Cut the network's crop out of stored crops, moved and bent alike in all frames but for shaking.

    Args:
        crops: uint8 ``[T, S, S]`` or ``[T, S, S, 3]`` with room round the network's crop.
        size_px: Side of the network's crop.
        dice: What happens to this window.

    Returns:
        uint8 ``[T, size_px, size_px]`` or ``[T, size_px, size_px, 3]``; without any hit the middle,
        untouched.
    """
    if not any(dice.hit(name) for name in _GEOMETRY):
        return centre_crop(crops, size_px).copy()
    unit = size_px / _USUAL_PX
    map_x, map_y = _maps(crops.shape[2], size_px, dice)
    moves = np.zeros((len(crops), 2))
    if rng := dice.of("drift"):
        along = np.arange(len(crops))[:, None] / len(crops) - 0.5
        moves += rng.normal(0, 1.5 * unit, 2) * dice.size("drift") * along
    if rng := dice.of("jitter"):
        moves += rng.normal(0, 0.3 * unit, moves.shape) * dice.size("jitter")
    out = np.empty((len(crops), size_px, size_px, *crops.shape[3:]), np.uint8)
    for t, (x, y) in enumerate(moves.astype(np.float32)):
        cv2.remap(
            crops[t], map_x + x, map_y + y, cv2.INTER_LINEAR, out[t], cv2.BORDER_REPLICATE
        )  # fmt: skip
    return out


def _maps(source_px: int, size_px: int, dice: Dice) -> tuple[np.ndarray, np.ndarray]:
    """A random affine map, mirrored or not, bent a little: float32 ``[size_px, size_px]`` each."""
    angle = zoom = aspect = shear = 0.0
    shift = np.zeros(2)
    unit = size_px / _USUAL_PX
    if rng := dice.of("turn"):
        angle = np.deg2rad(rng.normal(0, 6) * dice.size("turn"))
    if rng := dice.of("zoom"):
        zoom, aspect = rng.normal(0, (0.10, 0.07)) * dice.size("zoom")
    if rng := dice.of("shear"):
        shear = rng.normal(0, 0.06) * dice.size("shear")
    if rng := dice.of("shift"):
        shift = rng.normal(0, 2.5 * unit, 2) * dice.size("shift")
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    side = -1.0 if dice.hit("mirror") else 1.0
    shape = np.array([[np.exp(aspect) * side, shear], [0.0, np.exp(-aspect)]])
    (xx, xy), (yx, yy) = (turn @ shape / np.exp(zoom)).astype(np.float32)
    axis = np.arange(size_px, dtype=np.float32) - (size_px - 1) / 2
    middle = (source_px - 1) / 2
    map_x = xx * axis + xy * axis[:, None] + np.float32(middle + shift[0])
    map_y = yx * axis + yy * axis[:, None] + np.float32(middle + shift[1])
    if rng := dice.of("elastic"):
        bend = (rng.normal(0, 1.6 * unit, (2, 5, 5)) * dice.size("elastic")).astype(np.float32)
        map_x += cv2.resize(bend[0], (size_px, size_px), interpolation=cv2.INTER_CUBIC)
        map_y += cv2.resize(bend[1], (size_px, size_px), interpolation=cv2.INTER_CUBIC)
    return map_x, map_y
