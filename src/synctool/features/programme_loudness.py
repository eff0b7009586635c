"""Programme loudness after ITU-R BS.1770-4, as the samples come in.

K-weighted power of every 100 ms, by the weighting's magnitude on their spectrum; blocks of 400 ms, gated
at -70 LUFS and at 10 LU below the mean of what is left. It is that of the measured audio: one channel, below
8 kHz. Where both channels of a stereo file carry the same, meters show 3 LU more.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from synctool.features.level import as_float
from synctool.types import AUDIO_HZ

ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0
_STEP = AUDIO_HZ // 10
_STEPS_PER_BLOCK = 4
_LEAST = 1e-12


class ProgrammeLoudness:
    """Loudness of audio of 16 kHz."""

    def __init__(self) -> None:
        self._left = np.zeros(0, np.float32)
        self._found: list[np.ndarray] = []

    def add(self, samples: np.ndarray) -> None:
        """Take the next samples: int16, or float32 in -1..1, ``[N]``."""
        held = np.concatenate([self._left, as_float(samples)])
        whole = held.size // _STEP * _STEP
        self._left = held[whole:]
        spectra = np.abs(np.fft.rfft(held[:whole].reshape(-1, _STEP), axis=1)) ** 2
        self._found.append(spectra @ _weights())

    def lufs(self) -> float | None:
        """The gated loudness; None where no 400 ms are above the absolute gate."""
        steps = np.concatenate([*self._found, np.zeros(0)])
        if steps.size < _STEPS_PER_BLOCK:
            return None
        blocks = np.convolve(steps, np.ones(_STEPS_PER_BLOCK) / _STEPS_PER_BLOCK, "valid")
        for gate in (lambda _: ABSOLUTE_GATE_LUFS, lambda mean: _lufs(mean) + RELATIVE_GATE_LU):
            limit = gate(blocks.mean())
            blocks = blocks[_lufs(blocks) > limit]
            if not blocks.size:
                return None
        return float(_lufs(blocks.mean()))


def _lufs(power):
    return -0.691 + 10 * np.log10(np.maximum(power, _LEAST))


@lru_cache(maxsize=1)
def _weights() -> np.ndarray:
    """What each bin of the spectrum of one step adds to its mean K-weighted power."""
    z = np.exp(-2j * np.pi * np.arange(_STEP // 2 + 1) / _STEP)
    k, q, high = _prewarped(1681.974450955533), 0.7071752369554196, 10 ** (3.999843853973347 / 20)
    band = high**0.4996667741545416
    shelf = [high + band * k / q + k * k, 2 * (k * k - high), high - band * k / q + k * k]
    weight = np.polyval(shelf[::-1], z) / np.polyval(_poles(k, q)[::-1], z)
    k, q = _prewarped(38.13547087602444), 0.5003270373238773
    # The numerator of the second filter is not scaled, as in the recommendation.
    weight *= np.polyval([1, -2, 1], z) / np.polyval(_poles(k, q)[::-1] / (1 + k / q + k * k), z)
    twice = np.full(z.size, 2.0)
    twice[[0, -1]] = 1.0
    return twice * np.abs(weight) ** 2 / _STEP**2


def _prewarped(hz: float) -> float:
    return float(np.tan(np.pi * hz / AUDIO_HZ))


def _poles(k: float, q: float) -> np.ndarray:
    return np.array([1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k])
