"""Speech level and its normalization, streaming: a recording's volume must not move its offset.

The level is a gated mean of the power of 40 ms blocks, with the two gates of ITU-R BS.1770-4: blocks
below an absolute level never count, and of the others only those that are less than 10 dB below
their mean, so that pauses do not lower it. No frequency weighting: the band is that of speech
already. All thresholds but the absolute one are relative, so a recording that is softer by x dB
has a level lower by exactly x dB.
"""

from __future__ import annotations

import math

import numpy as np

from synctool.types import SAMPLES_PER_FRAME

BLOCK = 256 * SAMPLES_PER_FRAME
"""Samples (10.24 s) that share one gain; it follows the level of everything up to their end."""
_HALF_LIFE_S = 60.0
_RAMP = 8 * SAMPLES_PER_FRAME
_LOWEST_DB, _STEP_DB = -85.0, 0.5
_CELLS = round(-_LOWEST_DB / _STEP_DB) + 1
_RELATIVE_GATE_DB = 10.0


class SpeechLevel:
    """Running level of speech in dB relative to full scale; older audio counts ever less."""

    def __init__(self) -> None:
        self._power = np.zeros(_CELLS)
        self._count = np.zeros(_CELLS)

    def add(self, samples: np.ndarray) -> None:
        """Take the next samples.

        Args:
            samples: float32 ``[N]`` in -1..1; a last incomplete block of 40 ms counts as one.
        """
        if not samples.size:
            return
        whole = samples.size // SAMPLES_PER_FRAME * SAMPLES_PER_FRAME
        blocks = samples[:whole].reshape(-1, SAMPLES_PER_FRAME)
        power = np.einsum("ij,ij->i", blocks, blocks) / SAMPLES_PER_FRAME
        if not whole:
            power = np.array([np.mean(samples**2)])
        level_db = 10 * np.log10(power + 1e-30)
        audible = level_db >= _LOWEST_DB
        cells = np.minimum((level_db[audible] - _LOWEST_DB) / _STEP_DB, _CELLS - 1).astype(int)
        forget = 0.5 ** (power.size * SAMPLES_PER_FRAME / 16_000 / _HALF_LIFE_S)
        self._power *= forget
        self._count *= forget
        np.add.at(self._power, cells, power[audible])
        np.add.at(self._count, cells, 1.0)

    @property
    def db(self) -> float | None:
        """The level; None while everything was silent."""
        total = self._count.sum()
        if total < 1e-6:
            return None
        gate_db = 10 * np.log10(self._power.sum() / total) - _RELATIVE_GATE_DB
        first = int(np.clip(np.floor((gate_db - _LOWEST_DB) / _STEP_DB), 0, _CELLS - 1))
        power, count = self._power[first:].sum(), self._count[first:].sum()
        return float(10 * np.log10(power / count))


class LevelNormalizer:
    """Brings the speech of a stream to one level, block by block.

    A block's gain follows the speech level of everything up to its end; between two blocks the gain
    changes over a third of a second.

    Args:
        target_db: Speech level to reach, in dB relative to full scale.
    """

    def __init__(self, target_db: float) -> None:
        self._target_db = target_db
        self._level = SpeechLevel()
        self._gain: float | None = None
        self._waiting: list[np.ndarray] = []
        self._count = 0

    def add(self, samples: np.ndarray) -> np.ndarray:
        """Take the next samples and give back what is complete.

        Args:
            samples: int16 or float32 in -1..1, ``[N]``.

        Returns:
            float32 ``[M]``: whole blocks of ``BLOCK`` samples.
        """
        self._waiting.append(as_float(samples))
        self._count += samples.size
        if self._count < BLOCK:
            return np.zeros(0, np.float32)
        held = np.concatenate(self._waiting)
        whole = held.size // BLOCK * BLOCK
        self._waiting, self._count = [held[whole:]], held.size - whole
        return np.concatenate([self._leveled(held[i : i + BLOCK]) for i in range(0, whole, BLOCK)])

    @property
    def gain_db(self) -> float:
        """By how much the last samples were made louder; 0 before the first ones."""
        return 0.0 if self._gain is None else 20 * math.log10(self._gain)

    def finish(self) -> np.ndarray:
        """Give back the last, incomplete block: float32 ``[M]``."""
        held = np.concatenate([*self._waiting, np.zeros(0, np.float32)])
        self._waiting, self._count = [], 0
        return self._leveled(held)

    def _leveled(self, block: np.ndarray) -> np.ndarray:
        self._level.add(block)
        level_db = self._level.db
        gain_db = 0.0 if level_db is None else self._target_db - level_db
        gain = 10 ** (gain_db / 20)
        before, self._gain = gain if self._gain is None else self._gain, gain
        gains = np.full(block.size, gain, np.float32)
        ramp = min(_RAMP, block.size)
        gains[:ramp] = np.linspace(before, gain, ramp, dtype=np.float32)
        return block * gains


def normalize_level(samples: np.ndarray, target_db: float | None) -> np.ndarray:
    """A whole recording as ``LevelNormalizer`` gives it.

    Args:
        samples: int16 or float32 in -1..1, ``[N]``.
        target_db: Speech level to reach; None leaves the level as it is.

    Returns:
        float32 ``[N]``.
    """
    if target_db is None:
        return as_float(samples)
    normalizer = LevelNormalizer(target_db)
    return np.concatenate([normalizer.add(samples), normalizer.finish()])


def as_float(samples: np.ndarray) -> np.ndarray:
    """Samples as float32 in -1..1; int16 is scaled."""
    if samples.dtype == np.int16:
        return samples.astype(np.float32) * np.float32(1 / 32768)
    return samples.astype(np.float32, copy=False)
