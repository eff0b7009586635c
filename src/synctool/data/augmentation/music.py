"""Simple music, made up: chords with a beat. There are no recordings of music to train with."""

from __future__ import annotations

import numpy as np

from synctool.types import AUDIO_HZ

_CHORDS = ((0, 4, 7), (0, 3, 7), (0, 5, 9), (0, 4, 7, 11), (0, 3, 7, 10))
_STEPS = (0, 5, 7, 9, 2)
"""Semitones from the key to the roots of chords."""


def music(size: int, rng: np.random.Generator) -> np.ndarray:
    """Chords of a random key, tempo and timbre that change with the beat, with a drum or without.

    Args:
        size: Samples.
        rng: Random generator.

    Returns:
        float32 ``[size]``, of any loudness; the beat has nothing to do with the speech.
    """
    beat = int(AUDIO_HZ * 60 / rng.uniform(70, 150))
    key_hz = 110 * 2 ** (rng.integers(0, 12) / 12)
    overtones = np.arange(1, int(rng.integers(2, 5)))
    timbre = overtones ** -rng.uniform(0.5, 2.0)
    t = np.arange(beat, dtype=np.float32) / AUDIO_HZ
    envelope = np.exp(-t * np.float32(rng.uniform(0.5, 8)))
    envelope[:80] *= np.linspace(0, 1, 80, dtype=np.float32)
    drum = np.zeros(beat, np.float32)
    if rng.random() < 0.5:
        hit = rng.standard_normal(beat, np.float32) * np.exp(-t * np.float32(rng.uniform(20, 80)))
        drum += hit * np.float32(rng.uniform(0.3, 2))
    bars = []
    for _ in range(min(4, size // beat + 2)):
        root = rng.choice(_STEPS)
        chord = root + np.array(_CHORDS[int(rng.integers(len(_CHORDS)))])
        hz = np.outer(key_hz * 2 ** (chord / 12), overtones).ravel()
        loud = np.tile(timbre, len(chord)).astype(np.float32)
        phases = (2 * np.pi * hz)[:, None].astype(np.float32) * t
        bars.append(loud @ np.sin(phases) * envelope + drum)
    tune = np.concatenate(bars)
    return np.resize(np.roll(tune, int(rng.integers(tune.size))), size)
