"""What cameras, encoders and lost frames do to an image."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import scipy.special

from synctool.data.augmentation.random_choices import Dice

_BLOCK = 8
_USUAL_PX = 72


def lost_frames(crops: np.ndarray, dice: Dice) -> np.ndarray:
    """Lose 5 to 30 % of the frames; the one before is shown again."""
    rng = dice.of("frame_drops")
    if rng is None:
        return crops
    index = np.arange(len(crops))
    lost = rng.random(len(crops)) < rng.uniform(0.05, 0.3) * dice.strength("frame_drops")
    lost[0] = False
    index[lost] = -1
    return crops[np.maximum.accumulate(index)]


def jittered_time(crops: np.ndarray, dice: Dice) -> np.ndarray:
    """Show each frame up to half a frame early or late, blended of two; on average in time."""
    rng = dice.of("time_jitter")
    if rng is None or len(crops) < 2:
        return crops
    most = 0.5 * min(dice.strength("time_jitter"), 1.0)
    at = np.clip(np.arange(len(crops)) + rng.uniform(-most, most, len(crops)), 0, len(crops) - 1)
    out = np.empty_like(crops)
    for t, place in enumerate(at):
        low = min(int(place), len(crops) - 2)
        cv2.addWeighted(crops[low], 1 - (place - low), crops[low + 1], place - low, 0, out[t])
    return out


def recorded(crops: np.ndarray, dice: Dice) -> np.ndarray:
    """Take a window through a coarse sensor, JPEG, a video encoder and a lens out of focus."""
    size = crops.shape[1]
    images = list(crops)
    if rng := dice.of("resolution"):
        coarse = size - int((size - rng.integers(size // 4, size)) * dice.strength("resolution"))
        small = (max(coarse, 4),) * 2
        images = [cv2.resize(image, small, interpolation=cv2.INTER_AREA) for image in images]
    if rng := dice.of("jpeg"):
        quality = _weakened(int(rng.integers(8, 60)), dice.strength("jpeg"))
        images = [_through_jpeg(image, quality) for image in images]
    if rng := dice.of("video_codec"):
        images = _through_codec(images, rng, dice.strength("video_codec"))
    if images[0].shape[0] != size:
        images = [cv2.resize(i, (size, size), interpolation=cv2.INTER_LINEAR) for i in images]
    if rng := dice.of("blur"):
        sigma = rng.uniform(0.4, 1.8) * dice.strength("blur") * size / _USUAL_PX
        images = [cv2.GaussianBlur(image, (0, 0), sigma) for image in images]
    return np.stack(images)


def grained(crops: np.ndarray, dice: Dice) -> np.ndarray:
    """Add noise that is new in each frame, with a standard deviation of 1 to 12 levels."""
    rng = dice.of("grain")
    if rng is None:
        return crops
    level = rng.uniform(1, 12) * dice.strength("grain")
    return with_grain(crops.reshape(len(crops), -1), level, rng).reshape(crops.shape)


def with_grain(image: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
    """An image with a sensor's noise.

    Args:
        image: uint8 ``[H, W]``.
        level: Standard deviation of the noise, in levels of 0..255.
        rng: Random generator.

    Returns:
        uint8 ``[H, W]``.
    """
    thrown = rng.integers(0, 256, image.shape, np.uint8)
    grain = cv2.LUT(thrown, np.round(_normal_levels() * level).astype(np.int16))
    return cv2.add(image, grain, dtype=cv2.CV_8U)


def darkened(crops: np.ndarray, dice: Dice) -> np.ndarray:
    """Record a window in little light: an eighth to a half of it, noise, and gain that brings some back.

    The longer exposure takes in as much of the frame before as of the one after, so nothing moves in time.
    """
    rng = dice.of("low_light")
    if rng is None:
        return crops
    strength = min(dice.strength("low_light"), 1.0)
    light = np.exp(np.log(rng.uniform(0.12, 0.5)) * strength)
    gain = (1 / light) ** rng.uniform(0.3, 0.9)
    beside = rng.uniform(0, 0.2) * strength
    level = rng.uniform(0.5, 2.5) * strength
    table = np.round(np.arange(256) * light).astype(np.uint8)
    back = np.clip(np.round(np.arange(256) * gain), 0, 255).astype(np.uint8)
    out = np.empty_like(crops)
    last = len(crops) - 1
    for t, crop in enumerate(crops):
        around = cv2.addWeighted(crops[max(t - 1, 0)], 0.5, crops[min(t + 1, last)], 0.5, 0)
        long = cv2.addWeighted(crop, 1 - 2 * beside, around, 2 * beside, 0)
        dark = cv2.LUT(long, table).reshape(len(long), -1)
        out[t] = cv2.LUT(with_grain(dark, level, rng), back).reshape(crop.shape)
    return out


def smoothed(crops: np.ndarray, dice: Dice) -> np.ndarray:
    """Remove fine texture and keep edges: differences from a blur count the less the smaller they are."""
    rng = dice.of("smoothing")
    if rng is None:
        return crops
    sigma = rng.uniform(1.0, 2.5) * crops.shape[1] / _USUAL_PX
    edge = rng.uniform(8, 30) * dice.strength("smoothing")
    step = np.arange(-255, 256, dtype=np.float32)
    kept = np.round(step * (1 - np.exp(-((step / max(edge, 1e-3)) ** 2)))).astype(np.int16)
    out = np.empty_like(crops)
    for t, crop in enumerate(crops):
        soft = cv2.GaussianBlur(crop, (0, 0), sigma)
        fine = kept[cv2.subtract(crop, soft, dtype=cv2.CV_16S) + 255]
        cv2.add(soft, fine, out[t], dtype=cv2.CV_8U)
    return out


def coarse(crops: np.ndarray, px: int) -> np.ndarray:
    """Make crops ``px`` wide and large again; as they are where ``px`` is their side or more."""
    size = crops.shape[1]
    if px >= size:
        return crops
    out = np.empty(crops.shape, np.uint8)
    for t, crop in enumerate(crops):
        small = cv2.resize(crop, (px, px), interpolation=cv2.INTER_AREA)
        cv2.resize(small, (size, size), out[t], interpolation=cv2.INTER_LINEAR)
    return out


@lru_cache(maxsize=1)
def _normal_levels() -> np.ndarray:
    """A byte by chance looked up here is as good as normal noise, and ten times as quick to draw."""
    return scipy.special.ndtri((np.arange(256) + 0.5) / 256)


def _weakened(quality: int, strength: float) -> int:
    return int(np.clip(100 - (100 - quality) * strength, 1, 100))


def _through_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    decoded = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    assert decoded is not None  # it was encoded here
    return decoded


def _through_codec(
    images: list[np.ndarray], rng: np.random.Generator, strength: float
) -> list[np.ndarray]:
    """Blocks that changed less than a threshold since they were coded are carried over."""
    quality = _weakened(int(rng.integers(12, 45)), strength)
    threshold = rng.uniform(1.5, 5) * strength
    distance = int(rng.integers(8, 25))
    phase = int(rng.integers(distance))
    height, width = images[0].shape[:2]
    grid = (-(-width // _BLOCK), -(-height // _BLOCK))
    out: list[np.ndarray] = []
    source = images[0].copy()  # of the blocks as they are shown
    for t, image in enumerate(images):
        new = _through_jpeg(image, quality)
        if out and (t + phase) % distance:
            change = cv2.absdiff(image, source)
            change = change if change.ndim == 2 else change.max(2)
            full = cv2.copyMakeBorder(
                change, 0, grid[1] * _BLOCK - height, 0, grid[0] * _BLOCK - width,
                cv2.BORDER_REPLICATE,
            )  # fmt: skip
            still = cv2.resize(full, grid, interpolation=cv2.INTER_AREA) < threshold
            mask = np.repeat(np.repeat(still, _BLOCK, 0), _BLOCK, 1)[:height, :width]
            new[mask] = out[-1][mask]
            source[~mask] = image[~mask]
        else:
            source = image.copy()
        out.append(new)
    return out
