"""Degraded copies of segments, as phones, rooms and streets make them, for calibrating the confidence.

A confidence that was fitted on clean recordings alone is too sure of poor ones, and asks too much of all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from synctool.data.augment import AugmentSettings, Dice, Dose, augment_audio, augment_images
from synctool.data.augmentation.backgrounds import Backgrounds

CONDITIONS = AugmentSettings.only(
    Dose("jitter", 0.4),
    Dose("drift", 0.4),
    Dose("light", 0.5),
    Dose("resolution", 0.5),
    Dose("jpeg", 0.4),
    Dose("grain", 0.4),
    Dose("low_light", 0.2),
    Dose("smoothing", 0.1),
    Dose("frame_drops", 0.1),
    Dose("reverb", 0.25),
    Dose("recorded_room", 0.45),
    Dose("far_microphone", 0.1),
    Dose("babble", 0.2),
    Dose("noise", 0.25),
    Dose("recorded_noise", 0.4),
    Dose("recorded_music", 0.15),
    Dose("music", 0.05),
    Dose("automatic_gain", 0.25),
    Dose("codec", 0.05),
)
"""What may happen to a degraded segment; recorded rooms, noises and music need the folder of a run."""
_FULL_SCALE = 32768
_PEAK = 0.7


def degraded(
    crops: np.ndarray,
    samples: Sequence[np.ndarray],
    rng: np.random.Generator,
    *,
    voices: Callable[[], Sequence[np.ndarray]],
    backgrounds: Backgrounds | None,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """A segment in a poor recording: the same crops and audio, nothing moved in time.

    Args:
        crops: uint8 ``[T, S, S]`` or ``[T, S, S, 3]``.
        samples: Audio to be heard with it, int16 ``[N]`` each: its own, another's. Each goes through
            conditions of its own.
        rng: Source of chance.
        voices: Gives audio of other clips for babble.
        backgrounds: Recorded rooms, noises and music; without, synthetic ones alone.

    Returns:
        uint8 crops of the same shape, and int16 audio of the same lengths.
    """
    dice = Dice(CONDITIONS, np.random.default_rng(int(rng.integers(2**63))))
    images = augment_images(crops, crops.shape[1], dice)
    heard = []
    for audio in samples:
        dice = Dice(CONDITIONS, np.random.default_rng(int(rng.integers(2**63))))
        waveform = audio.astype(np.float32) / _FULL_SCALE
        waveform = augment_audio(waveform, dice, voices=voices, backgrounds=backgrounds)
        waveform = waveform * min(1.0, _PEAK / max(float(np.abs(waveform).max(initial=0)), 1e-6))
        heard.append(np.round(waveform * (_FULL_SCALE - 1)).astype(np.int16))
    return images, heard
