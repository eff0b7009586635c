"""Making clean training clips look and sound like the world: camera, codec, light, room, noise."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import scipy.signal

from synctool.types import AUDIO_HZ


@dataclass(frozen=True)
class Strength:
    """How often and how hard to degrade; 0 switches everything but the crop's place off."""

    amount: float = 1.0


def augment_mouth(
    crops: np.ndarray, size_px: int, rng: np.random.Generator, strength: Strength
) -> np.ndarray:
    """Move, turn, scale, mirror and degrade the crops of one window.

    Args:
        crops: uint8 ``[T, S, S]`` with room round the network's crop.
        size_px: Side of the network's crop.
        rng: Source of chance.
        strength: How much.

    Returns:
        uint8 ``[T, size_px, size_px]``.
    """
    a = strength.amount
    crops = _dropped_frames(crops, rng) if rng.random() < 0.1 * a else crops
    angle = rng.normal(0, 5 * a)
    zoom = float(np.exp(rng.normal(0, 0.10 * a)))
    shift = rng.normal(0, 2.5 * a, 2)
    drift = rng.normal(0, 1.5 * a, 2)
    mirror = rng.random() < 0.5
    middle = (crops.shape[-1] - 1) / 2
    table = _light(rng, a)
    blur = rng.uniform(0.4, 1.6) if rng.random() < 0.2 * a else 0.0
    coarse = int(rng.integers(size_px // 4, size_px)) if rng.random() < 0.3 * a else 0
    quality = int(rng.integers(8, 60)) if rng.random() < 0.2 * a else 0
    noise = rng.uniform(1, 12) if rng.random() < 0.3 * a else 0.0
    patch = _patch(size_px, rng) if rng.random() < 0.1 * a else None
    out = np.empty((len(crops), size_px, size_px), np.uint8)
    for t, crop in enumerate(crops):
        jitter = rng.normal(0, 0.3 * a, 2)
        turn = cv2.getRotationMatrix2D((middle, middle), angle, zoom)
        turn[:, 2] += (size_px - 1) / 2 - middle + shift + drift * (t / len(crops) - 0.5) + jitter
        image = cv2.warpAffine(crop, turn, (size_px, size_px), borderMode=cv2.BORDER_REPLICATE)
        if mirror:
            image = cv2.flip(image, 1)
        if coarse:
            image = cv2.resize(image, (coarse, coarse), interpolation=cv2.INTER_AREA)
        if quality:
            image = cv2.imdecode(
                cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 0
            )
        if coarse:
            image = cv2.resize(image, (size_px, size_px), interpolation=cv2.INTER_LINEAR)
        if blur:
            image = cv2.GaussianBlur(image, (0, 0), blur)
        image = cv2.LUT(image, table)
        if noise:
            grain = rng.normal(0, noise, image.shape).astype(np.float32)
            image = np.clip(image + grain, 0, 255).astype(np.uint8)
        if patch is not None:
            image[patch[0], patch[1]] = patch[2]
        out[t] = image
    return out


def centre_crop(crops: np.ndarray, size_px: int) -> np.ndarray:
    """The middle of stored crops, as at inference: uint8 ``[T, S, S] -> [T, size_px, size_px]``."""
    edge = (crops.shape[-1] - size_px) // 2
    return crops[:, edge : edge + size_px, edge : edge + size_px]


def augment_sound(
    sound: np.ndarray, others: list[np.ndarray], rng: np.random.Generator, strength: Strength
) -> np.ndarray:
    """Put speech into a room, among noise and other voices, through a poor channel.

    Args:
        sound: float32 ``[N]`` in -1..1.
        others: Sounds of other clips, for babble; each float32 of any length.
        rng: Source of chance.
        strength: How much.

    Returns:
        float32 ``[N]``; nothing is moved in time.
    """
    a = strength.amount
    if rng.random() < 0.2 * a:
        sound = _reverberated(sound, rng)
    if others and rng.random() < 0.25 * a:
        babble = sum(_fitted(other, sound.size, rng) for other in others)
        sound = _mixed(sound, babble, rng.uniform(0, 20))
    if rng.random() < 0.5 * a:
        sound = _mixed(sound, _coloured_noise(sound.size, rng), rng.uniform(0, 35))
    if rng.random() < 0.15 * a:
        cut = rng.uniform(2000, 7000)
        sound = scipy.signal.sosfilt(scipy.signal.butter(2, cut, fs=AUDIO_HZ, output="sos"), sound)
    if rng.random() < 0.05 * a:
        level = np.abs(sound).max() * rng.uniform(0.2, 0.8) + 1e-6
        sound = np.clip(sound, -level, level)
    gain = 10 ** (rng.uniform(-24, 6) * a / 20)
    return (sound * gain).astype(np.float32)


def mask_bands(mel: np.ndarray, rng: np.random.Generator, strength: Strength) -> np.ndarray:
    """SpecAugment's frequency masks (Park et al. 2019); time stays whole, it is what is measured.

    Args:
        mel: float32 ``[64, n]``.
        rng: Source of chance.
        strength: How much.
    """
    if rng.random() < 0.4 * strength.amount:
        mel = mel.copy()
        for _ in range(int(rng.integers(1, 3))):
            width = int(rng.integers(1, 12))
            low = int(rng.integers(0, mel.shape[0] - width))
            mel[low : low + width] = mel.mean()
    return mel


def _light(rng: np.random.Generator, amount: float) -> np.ndarray:
    levels = np.arange(256) / 255.0
    gamma = np.exp(rng.normal(0, 0.25 * amount))
    contrast, brightness = np.exp(rng.normal(0, 0.2 * amount)), rng.normal(0, 0.06 * amount)
    curve = (levels**gamma - 0.5) * contrast + 0.5 + brightness
    return np.clip(np.round(curve * 255), 0, 255).astype(np.uint8)


def _patch(size_px: int, rng: np.random.Generator) -> tuple[slice, slice, int]:
    height, width = rng.integers(size_px // 8, size_px // 2, 2)
    top, left = rng.integers(0, size_px - height), rng.integers(0, size_px - width)
    return slice(top, top + height), slice(left, left + width), int(rng.integers(0, 256))


def _dropped_frames(crops: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    index = np.arange(len(crops))
    lost = rng.random(len(crops)) < rng.uniform(0.05, 0.3)
    lost[0] = False
    index[lost] = -1
    return crops[np.maximum.accumulate(index)]


def _reverberated(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    # An exponentially decaying noise tail behind an untouched direct path (Polack's room model).
    seconds = rng.uniform(0.1, 0.7)
    length = int(seconds * AUDIO_HZ)
    tail = rng.normal(0, 1, length) * np.exp(-6.9 * np.arange(length) / length)
    tail[: AUDIO_HZ // 500] = 0
    tail *= 10 ** (rng.uniform(-15, 0) / 20) / (np.linalg.norm(tail) + 1e-9)
    tail[0] = 1.0
    return scipy.signal.fftconvolve(sound, tail)[: sound.size]


def _coloured_noise(size: int, rng: np.random.Generator) -> np.ndarray:
    spectrum = np.fft.rfft(rng.normal(0, 1, size))
    slope = rng.uniform(0, 1.2)
    return np.fft.irfft(spectrum / np.maximum(np.arange(spectrum.size), 1) ** slope, size)


def _fitted(sound: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    if sound.size <= size:
        sound = np.tile(sound, size // max(sound.size, 1) + 2)
    start = int(rng.integers(0, sound.size - size))
    return sound[start : start + size]


def _mixed(sound: np.ndarray, other: np.ndarray, snr_db: float) -> np.ndarray:
    power, noise = np.mean(sound**2) + 1e-10, np.mean(other**2) + 1e-10
    return sound + other * np.sqrt(power / noise / 10 ** (snr_db / 10))
