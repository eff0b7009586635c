"""A drawn mouth and a buzzing voice that open and close together: clips that are nobody's."""

from __future__ import annotations

import numpy as np

FPS = 25
AUDIO_HZ = 16_000
_BEGIN_S, _SYLLABLES = -2.0, 200
_FACE, _LIPS, _DARK, _TEETH = 165.0, 115.0, 45.0, 190.0


def openness(times_s: np.ndarray, seed: int) -> np.ndarray:
    """How far the mouth is open at these times, 0..1: some three random syllables a second."""
    random = np.random.default_rng(seed)
    starts_s = _BEGIN_S + np.cumsum(random.uniform(0.16, 0.5, _SYLLABLES))
    lengths_s = random.uniform(0.12, 0.26, _SYLLABLES)
    heights = random.uniform(0.4, 1.0, _SYLLABLES)
    phase = np.clip((times_s[:, None] - starts_s) / lengths_s, 0, 1)
    return (heights * np.sin(np.pi * phase)).max(1)


def images(frames: int, size_px: int, seed: int) -> np.ndarray:
    """Grey mouth crops, uint8 ``[T, S, S]``; the syllables are those of ``seed``."""
    times_s = (np.arange(frames) + 0.5) / FPS
    grain = np.random.default_rng([seed, 1])
    still = grain.normal(0, 2, (size_px, size_px))
    drawn = [
        _mouth(size_px, opened) + still + grain.normal(0, 1, still.shape)
        for opened in openness(times_s, seed)
    ]
    return np.clip(np.stack(drawn), 0, 255).astype(np.uint8)


def audio(frames: int, seed: int, *, ahead_frames: float) -> np.ndarray:
    """A voice, int16 ``[640 T]`` at 16 kHz, so many frames ahead of the frames of the same seed."""
    times_s = np.arange(frames * AUDIO_HZ // FPS) / AUDIO_HZ
    opened = openness(times_s + ahead_frames / FPS, seed)
    noise = np.random.default_rng([seed, 2]).standard_normal(len(times_s))
    pitch_hz = 120 + 15 * np.sin(2 * np.pi * 0.7 * times_s)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / AUDIO_HZ
    voice = np.zeros_like(times_s)
    for harmonic in range(1, 40):
        hz = harmonic * pitch_hz
        level = (
            np.exp(-(((hz - 300 - 500 * opened) / 150) ** 2))
            + 0.5 * np.exp(-(((hz - 1700 + 500 * opened) / 200) ** 2))
            + 0.2 * np.exp(-(((hz - 2600) / 250) ** 2))
            + 0.02
        )
        voice += level * np.sin(harmonic * phase) / np.sqrt(harmonic)
    # A consonant where the mouth begins to open.
    opening = np.clip(np.gradient(opened, 1 / AUDIO_HZ) / 10, 0, 1) * np.clip(
        1 - 2.5 * opened, 0, 1
    )
    mixed = 0.25 * voice * opened**1.2 + 0.06 * np.diff(noise, prepend=0) * opening + 0.002 * noise
    return (np.clip(mixed, -1, 1) * 20_000).astype(np.int16)


def _mouth(size_px: int, opened: float) -> np.ndarray:
    """A mouth between nostrils and chin, float ``[S, S]``; the middle is 0, an edge 0.5 away."""
    y, x = np.mgrid[:size_px, :size_px] / size_px - 0.5
    height, width, down = 0.03 + 0.16 * opened, 0.27 - 0.05 * opened, 0.03 + 0.04 * opened
    nostrils = np.exp(-(((x - 0.07) / 0.04) ** 2)) + np.exp(-(((x + 0.07) / 0.04) ** 2))
    skin = _FACE - 60 * x**2 - 25 * y - 50 * np.exp(-(((y + 0.38) / 0.04) ** 2)) * nostrils
    skin -= 35 * np.exp(-(((y - 0.36 - 0.1 * opened) / 0.05) ** 2) - (x / 0.3) ** 2)
    y = y - down
    lips = _soft(12 * (1 - _ellipse(x, y, width + 0.04, height + 0.07)))
    hole = _soft(10 * (1 - _ellipse(x, y, width, height))) * min(1.0, 3 * opened)
    teeth = hole * _soft(60 * (-0.45 * height - y)) * min(1.0, 2 * opened)
    image = skin
    for layer, grey in ((lips, _LIPS), (hole, _DARK), (teeth, _TEETH)):
        image = image + layer * (grey - image)
    return image


def _ellipse(x: np.ndarray, y: np.ndarray, width: float, height: float) -> np.ndarray:
    return (x / width) ** 2 + (y / height) ** 2


def _soft(values: np.ndarray) -> np.ndarray:
    """From 0 to 1."""
    return 0.5 * (1 + np.tanh(values / 2))
