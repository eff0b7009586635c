"""The audio features of one window: another throat, another microphone, blanked ranges."""

from __future__ import annotations

import numpy as np

from synctool.data.augmentation.random_choices import Dice
from synctool.types import AUDIO_HZ

_STEP = AUDIO_HZ // 100
"""Samples of 10 ms, the step of all features in bands."""


def augment_features(features: np.ndarray, kind: str, dice: Dice) -> np.ndarray:
    """What a kind of audio features allows: log-mel bands can be stretched and coloured.

    MFCCs have no neighbours among the bands, so single ones are blanked, each with its own mean. Of a
    waveform only segments of time can be blanked; a microphone and a room it has had as a waveform.

    Args:
        features: ``[1, 64, n]``, ``[1, 13, n]`` or ``[N]``, float32.
        kind: Kind of ``AudioInput``.
        dice: What happens to this window.

    Returns:
        float32, of the same shape.
    """
    if kind == "logmel64":
        return augment_bands(features[0], dice)[None]
    if kind == "mfcc13":
        return _blanked(features[0], dice)[None]
    if not dice.hit("time_masks"):
        return features
    return _with_gaps(features.reshape(-1, _STEP).T, dice).T.reshape(-1)


def _blanked(mfcc: np.ndarray, dice: Dice) -> np.ndarray:
    """Blank coefficients and segments of time; each coefficient is at its own mean there."""
    if not (dice.hit("band_masks") or dice.hit("time_masks")) or not mfcc.size:
        return mfcc
    mean = mfcc.mean(1, keepdims=True)
    rows = mfcc - mean
    if rng := dice.of("band_masks"):
        rows = _masked(
            rows, rng, masks=(1, 3), lengths=(1, 3), strength=dice.strength("band_masks")
        )
    return _with_gaps(rows, dice) + mean


def augment_bands(mel: np.ndarray, dice: Dice) -> np.ndarray:
    """Stretch, colour and mask bands. Time stays whole unless ``time_masks`` are asked for.

    Time is what is measured: a segment without audio takes the evidence from the frames it belongs to,
    whose labels stay, so time masks are off in the table, and short.

    Args:
        mel: float32 ``[bands, n]``.
        dice: What happens to this window.

    Returns:
        float32 ``[bands, n]``.
    """
    if rng := dice.of("vocal_tract"):
        mel = _warped(mel, rng, dice.strength("vocal_tract"))
    if rng := dice.of("microphone"):
        knots = rng.normal(0, 0.35, 6) * dice.strength("microphone")
        curve = np.interp(np.linspace(0, 5, len(mel)), np.arange(6), knots)
        mel = mel + curve.astype(np.float32)[:, None]
    if (rng := dice.of("band_masks")) and mel.size:
        mel = _masked(mel, rng, masks=(1, 3), lengths=(1, 12), strength=dice.strength("band_masks"))
    return _with_gaps(mel, dice)


def _with_gaps(mel: np.ndarray, dice: Dice) -> np.ndarray:
    """Blank segments of time of ``[bands, n]``."""
    if (rng := dice.of("time_masks")) and mel.size:
        strength = dice.strength("time_masks")
        mel = _masked(mel.T, rng, masks=(1, 4), lengths=(1, 7), strength=strength).T
    return np.ascontiguousarray(mel, np.float32)


def _warped(mel: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    bands = len(mel)
    warp = np.exp(rng.normal(0, 0.07) * strength)
    place = np.arange(bands) * warp + rng.normal(0, 1.0) * strength
    place = np.clip(place, 0, bands - 1)
    low = np.minimum(place.astype(int), bands - 2)
    part = (place - low).astype(np.float32)[:, None]
    return mel[low] * (1 - part) + mel[low + 1] * part


def _masked(
    rows: np.ndarray,
    rng: np.random.Generator,
    *,
    masks: tuple[int, int],
    lengths: tuple[int, int],
    strength: float,
) -> np.ndarray:
    """Blank ranges of rows with the mean of all."""
    rows = rows.copy()
    mean = rows.mean()
    for _ in range(int(rng.integers(*masks))):
        width = min(max(1, round(int(rng.integers(*lengths)) * strength)), len(rows) - 1)
        low = int(rng.integers(0, max(1, len(rows) - width)))
        rows[low : low + width] = mean
    return rows
