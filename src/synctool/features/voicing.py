"""Which frames of audio are voiced: their autocorrelation has a clear peak at a period of the voice.

After Boersma, "Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise ratio
of a sampled sound" (1993): the autocorrelation of a windowed frame, divided by that of the window; thresholds
are Praat's. One decision per 25 Hz frame, from its own 40 ms.
"""

from __future__ import annotations

import numpy as np

from synctool.features.level import as_float
from synctool.types import AUDIO_HZ, SAMPLES_PER_FRAME

LOWEST_HZ, HIGHEST_HZ = 75.0, 400.0
LEAST_PERIODICITY = 0.45
"""Praat's voicing threshold."""
LEAST_LEVEL = 0.03
"""Praat's silence threshold: of the loudest frame's amplitude."""
_SIZE = 2048


class Voicing:
    """Voiced frames of audio at 16 kHz, as the samples come in."""

    def __init__(self) -> None:
        self._left = np.zeros(0, np.float32)
        self._found: list[np.ndarray] = []
        self._window = np.hanning(SAMPLES_PER_FRAME + 2)[1:-1].astype(np.float32)
        own = _autocorrelation(self._window[None])[0]
        self._lags = slice(int(AUDIO_HZ / HIGHEST_HZ), int(AUDIO_HZ / LOWEST_HZ) + 1)
        self._expected = (own / own[0])[self._lags]

    def add(self, samples: np.ndarray) -> None:
        """Take the next samples: int16, or float32 in -1..1, ``[N]``."""
        held = np.concatenate([self._left, as_float(samples)])
        whole = held.size // SAMPLES_PER_FRAME * SAMPLES_PER_FRAME
        self._left = held[whole:]
        frames = held[:whole].reshape(-1, SAMPLES_PER_FRAME)
        frames = frames - frames.mean(1, keepdims=True)
        found = _autocorrelation(frames * self._window)
        power = np.maximum(found[:, :1], 1e-9)
        peaks = (found[:, self._lags] / power / self._expected).max(1)
        level = np.abs(frames).max(1, initial=0.0)
        self._found.append(np.stack([peaks, level], 1))

    def frames(self, count: int) -> np.ndarray:
        """Whether each 25 Hz frame is voiced, bool ``[count]``; not so beyond the end of the audio."""
        found = np.concatenate([*self._found, np.zeros((0, 2))])[:count]
        peaks, level = found.T
        loud = level > LEAST_LEVEL * level.max(initial=0.0)
        return np.pad((peaks >= LEAST_PERIODICITY) & loud, (0, count - len(found)))

    def at(self, samples: np.ndarray) -> np.ndarray:
        """Whether samples ``[N]``, counted from the first, lie in voiced frames: bool, False outside."""
        found = self.frames(sum(map(len, self._found)) + 1)  # the last one is silent
        index = np.floor_divide(samples, SAMPLES_PER_FRAME)
        inside = (index >= 0) & (index < len(found))
        return found[np.where(inside, index, -1)]


def _autocorrelation(frames: np.ndarray) -> np.ndarray:
    return np.fft.irfft(np.abs(np.fft.rfft(frames, _SIZE, axis=1)) ** 2, _SIZE, axis=1)
