"""The level of audio along time, in steps of 10 ms, as the samples come in."""

from __future__ import annotations

import numpy as np

from synctool.features.level import as_float
from synctool.types import SAMPLES_PER_FRAME

STEPS = 4
"""Levels per 25 Hz frame."""
LOWEST_DB = -100.0
_STEP = SAMPLES_PER_FRAME // STEPS


class Loudness:
    """Level of every 10 ms of audio at 16 kHz, relative to full scale."""

    def __init__(self) -> None:
        self._left = np.zeros(0, np.float32)
        self._found: list[np.ndarray] = []

    def add(self, samples: np.ndarray) -> None:
        """Take the next samples: int16, or float32 in -1..1, ``[N]``."""
        held = np.concatenate([self._left, as_float(samples)])
        whole = held.size // _STEP * _STEP
        self._left = held[whole:]
        blocks = held[:whole].reshape(-1, _STEP)
        power = np.einsum("ij,ij->i", blocks, blocks) / _STEP
        self._found.append((10 * np.log10(power + 10 ** (LOWEST_DB / 10))).astype(np.float32))

    def levels(self, frames: int) -> np.ndarray:
        """Level in dB, float32 ``[4 * frames]``; ``LOWEST_DB`` beyond the end of the audio."""
        found = np.concatenate([*self._found, np.zeros(0, np.float32)])[: STEPS * frames]
        return np.pad(found, (0, STEPS * frames - found.size), constant_values=LOWEST_DB)
