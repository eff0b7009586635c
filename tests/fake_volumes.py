"""Score volumes whose truth is known."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter1d


def volume_of(
    truth: np.ndarray, *, height: float = 2.0, max_offset: int = 15, seed: int = 0
) -> np.ndarray:
    """Peaks of a given height in noise of deviation 1 that is correlated over three frames.

    Args:
        truth: True offset per frame, NaN where nobody speaks.
        height: Height of the peaks.
        max_offset: K.
        seed: Seed of the noise.

    Returns:
        ``[2K+1, T]``, NaN where the candidate audio frame lies outside the video.
    """
    frames, rows = len(truth), np.arange(-max_offset, max_offset + 1)[:, None]
    noise = np.random.default_rng(seed).standard_normal((len(rows), frames))
    noise = uniform_filter1d(noise, 3, axis=1) * np.sqrt(3)
    peaks = height * np.exp(-0.5 * (rows - np.nan_to_num(truth, nan=1e6)) ** 2)
    audio = np.arange(frames) - rows
    return np.where((audio < 0) | (audio >= frames), np.nan, noise + peaks).astype(np.float32)


def constant(offset: float, seconds: float, **more: float) -> np.ndarray:
    """A volume of one offset throughout."""
    return volume_of(np.full(round(seconds * 25), float(offset)), **more)


def foreign(
    seconds: float, *, seed: int, max_offset: int = 15, matches_per_min: float = 12
) -> np.ndarray:
    """Audio from elsewhere: chance matches of one to a few seconds, each on its own offset."""
    rng = np.random.default_rng(seed)
    frames, rows = round(seconds * 25), np.arange(-max_offset, max_offset + 1)[:, None]
    volume = constant(np.nan, seconds, max_offset=max_offset, seed=seed + 1)
    for _ in range(rng.poisson(matches_per_min * seconds / 60)):
        length = round(25 * rng.uniform(0.6, 2.4))
        start = int(rng.integers(0, max(frames - length, 1)))
        peak = rng.uniform(1.0, 2.0) * np.exp(
            -0.5 * (rows - rng.uniform(-max_offset, max_offset)) ** 2
        )
        volume[:, start : start + length] += peak.astype(np.float32)
    return volume
