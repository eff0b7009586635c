"""How much a signal is like speech: a cheap figure to choose between channels and tracks.

Speech opens and closes all its bands some four times a second (Houtgast & Steeneken, "A review of the MTF
concept in room acoustics", 1985). Noise, hum and time code keep their bands level, most music moves
them less.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.ndimage import uniform_filter1d

from synctool.types import AUDIO_HZ

NO_SPEECH = 2.0
"""Noise, hum and time code lie below, nearly all speech above."""
CLEAR_SPEECH = 3.5
"""Nineteen of twenty recordings of talk lie above."""
_HOP, _WINDOW, _FFT = AUDIO_HZ // 100, AUDIO_HZ // 40, 512
_BANDS, _LOW_HZ, _HIGH_HZ = 16, 200.0, 4000.0
_RANGE_DB = 40.0
_FAST, _SLOW = 5, 50
"""Means over 50 ms and half a second: what lies between moves at 1 to 10 Hz."""


def speech_likeness(samples: np.ndarray) -> float:
    """Spread in dB of the level of its bands at the speed of syllables.

    Args:
        samples: float32 ``[N]``, 16 kHz, of any loudness.

    Returns:
        About 0.9 (a tone), 1.2 (noise, time code), 2 to 6 (music), 4 to 8 (speech); 0 for silence or less
        than half a second.
    """
    if samples.size < AUDIO_HZ // 2 or not samples.any():
        return 0.0
    frames = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)[::_HOP]
    spectrum = np.fft.rfft(frames * np.hanning(_WINDOW), _FFT)
    level_db = 10 * np.log10((spectrum.real**2 + spectrum.imag**2) @ _filters().T + 1e-12)
    level_db = np.maximum(level_db, np.percentile(level_db.max(1), 95) - _RANGE_DB)
    moves = uniform_filter1d(level_db, _FAST, axis=0) - uniform_filter1d(level_db, _SLOW, axis=0)
    return float(moves.std(0).mean())


@lru_cache(maxsize=1)
def _filters() -> np.ndarray:
    """Which bins of the spectrum belong to which band: float64 ``[16, 257]``, equally wide in mel."""
    low_mel, high_mel = 2595 * np.log10(1 + np.array([_LOW_HZ, _HIGH_HZ]) / 700)
    edges_hz = 700 * (10 ** (np.linspace(low_mel, high_mel, _BANDS + 1) / 2595) - 1)
    bins_hz = np.arange(_FFT // 2 + 1) * AUDIO_HZ / _FFT
    return ((bins_hz >= edges_hz[:-1, None]) & (bins_hz < edges_hz[1:, None])).astype(float)
