"""Things before the mouth: rectangles that stay or pass, and a hand."""

from __future__ import annotations

import cv2
import numpy as np

from synctool.data.augmentation.random_choices import Dice

_FINGERS = 4
_LETTERS = np.array([ord(c) for c in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ   "])


def covered(crops: np.ndarray, dice: Dice) -> np.ndarray:
    """Lay a plain rectangle over a window, at rest or moving.

    Args:
        crops: uint8 ``[T, S, S]`` or ``[T, S, S, 3]``; written to.
        dice: What happens to this window.
    """
    size = crops.shape[1]
    for name, moves in (("patch", False), ("moving_patch", True)):
        if rng := dice.of(name):
            most = max(2, size // 2)
            shape = rng.integers(max(1, size // 8), most, 2) * min(dice.strength(name), 1.9)
            height, width = np.maximum(shape, 1).astype(int)
            begin = rng.integers(0, (size - height, size - width))
            end = rng.integers(0, (size - height, size - width)) if moves else begin
            level = int(rng.integers(0, 256))
            for crop, part in zip(crops, np.linspace(0, 1, len(crops))):
                top, left = np.round(begin + (end - begin) * part).astype(int)
                crop[top : top + height, left : left + width] = level
    return crops


def captioned(crops: np.ndarray, dice: Dice) -> np.ndarray:
    """Lay words over a window, on a bar or without one; other words after 8 to 30 frames.

    Args:
        crops: uint8 ``[T, S, S]`` or ``[T, S, S, 3]``; written to.
        dice: What happens to this window.
    """
    rng = dice.of("caption")
    if rng is None:
        return crops
    size = crops.shape[1]
    strength = min(dice.strength("caption"), 1.5)
    height = max(4, int(size * rng.uniform(0.08, 0.22) * strength))
    # Captions stand below the mouth more often than above it.
    bottom = int(size * (rng.uniform(0.7, 1.0) if rng.random() < 0.8 else rng.uniform(0.15, 0.4)))
    ink, paper = (255, 0) if rng.random() < 0.7 else (0, 255)
    opaque = rng.uniform(0.3, 0.9) if rng.random() < 0.5 else 0.0
    scale = height / 30
    begin = 0
    while begin < len(crops):
        end = begin + int(rng.integers(8, 31))
        words = "".join(chr(c) for c in rng.choice(_LETTERS, int(rng.integers(3, 14))))
        mask = np.zeros((size, size), np.uint8)
        left = int(rng.integers(-size // 4, size // 2))
        cv2.putText(mask, words, (left, bottom - height // 4), cv2.FONT_HERSHEY_SIMPLEX, scale, 255,
                    max(1, height // 8), cv2.LINE_AA)  # fmt: skip
        for crop in crops[begin:end]:
            bar = crop[max(bottom - height, 0) : bottom]
            bar[...] = np.round(bar + (paper - bar.astype(np.float32)) * opaque)
            crop[mask > 127] = ink
        begin = end
    return crops


def behind_hand(crops: np.ndarray, dice: Dice) -> np.ndarray:
    """A palm with fingers, toned like the brighter parts of the face, that comes in from an edge.

    Args:
        crops: uint8 ``[T, S, S]`` or ``[T, S, S, 3]``; written to.
        dice: What happens to this window.
    """
    rng = dice.of("hand")
    if rng is None:
        return crops
    size = crops.shape[1]
    alpha, shade = _hand(size, rng, dice.strength("hand"))
    tone = np.percentile(crops[len(crops) // 2], rng.uniform(50, 90), axis=(0, 1))
    colour = np.clip(tone * shade.reshape(*shade.shape, *(1,) * np.ndim(tone)), 0, 255)
    # From outside the crop to somewhere near its middle, there for the rest, with a little sway.
    angle = rng.uniform(0, 2 * np.pi)
    outward = np.array([np.cos(angle), np.sin(angle)]) * size
    rest = outward * rng.uniform(0.05, 0.4)
    arrival = max(1.0, rng.uniform(0.1, 0.9) * len(crops))
    for t, crop in enumerate(crops):
        left = max(0.0, 1 - t / arrival)
        place = rest + (outward * 1.1 - rest) * left + np.sin(0.5 * t) * 0.02 * size
        move = np.array([[1, 0, place[0]], [0, 1, place[1]]], np.float32)
        cover = cv2.warpAffine(alpha, move, (size, size))
        paint = cv2.warpAffine(
            colour.astype(np.float32), move, (size, size), borderMode=cv2.BORDER_REPLICATE
        )
        cover = cover if crop.ndim == 2 else cover[..., None]
        crop[...] = np.round(crop + (paint - crop) * cover)
    return crops


def _hand(size: int, rng: np.random.Generator, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """How opaque and how bright: float32 ``[size, size]`` each, the palm in the middle."""
    alpha = np.zeros((size, size), np.uint8)
    middle, unit = size / 2, size * strength * rng.uniform(0.16, 0.26)
    points_to = rng.uniform(0, 2 * np.pi)
    palm = (int(unit), max(1, int(unit * 0.8)))
    cv2.ellipse(alpha, (int(middle),) * 2, palm, np.rad2deg(points_to), 0, 360, 255, -1)
    for angle in points_to + np.linspace(-0.5, 0.5, _FINGERS) * rng.uniform(0.5, 1.5):
        reach = unit * rng.uniform(1.6, 2.2)
        tip = (int(middle + reach * np.cos(angle)), int(middle + reach * np.sin(angle)))
        cv2.line(alpha, (int(middle),) * 2, tip, 255, max(1, int(unit * 0.36)), cv2.LINE_AA)
    shade = rng.normal(1, 0.12, (4, 4)).astype(np.float32)
    shade = cv2.resize(shade, (size, size), interpolation=cv2.INTER_CUBIC)
    # Darker towards its edge, as round things are.
    soft = cv2.GaussianBlur(alpha, (0, 0), max(unit * 0.3, 0.3)).astype(np.float32) / 255
    return cv2.GaussianBlur(alpha, (3, 3), 0).astype(np.float32) / 255, shade * (0.6 + 0.4 * soft)
