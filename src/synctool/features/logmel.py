"""64 log-mel bands at 100 Hz, centred on their 10 ms step; plain numpy, so it runs anywhere."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy.fft

from synctool.features.level import as_float
from synctool.types import AUDIO_HZ

BANDS = 64
HOP = AUDIO_HZ // 100
WINDOW = 400
FFT = 512
MARGIN = (WINDOW - HOP) // 2
"""Samples needed on either side of a segment: step j is centred on sample 160 j + 80."""
_LOW_HZ, _HIGH_HZ = 60.0, 7600.0
_FLOOR = 1e-5
_MEAN, _STD = -4.0, 3.5
"""Fixed scaling: speech at ``LEVEL_DB`` comes out near zero mean and unit variance."""
LEVEL_DB = -20.0
"""Speech level of what goes in (``synctool.features.level``): floor and mean are fixed, so a
softer recording would be another input to the networks, and move their offsets."""


def logmel(samples: np.ndarray) -> np.ndarray:
    """Log-mel spectrogram of a segment with its margins.

    Args:
        samples: float32 or int16 ``[MARGIN + 160 n + MARGIN]``; int16 is scaled to -1..1. Networks
            are trained with speech at ``LEVEL_DB``.

    Returns:
        float32 ``[64, n]``, about zero mean and unit variance for speech; column j is the window
        of 25 ms centred on the 10 ms step j.
    """
    samples = as_float(samples)
    steps = (samples.size - 2 * MARGIN) // HOP
    if steps <= 0:
        return np.zeros((BANDS, 0), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP][:steps]
    spectrum = np.asarray(scipy.fft.rfft(frames * _window(), FFT, axis=-1))
    power = np.real(spectrum) ** 2 + np.imag(spectrum) ** 2
    return ((np.log(_filters() @ power.T + _FLOOR) - _MEAN) / _STD).astype(np.float32)


@lru_cache(maxsize=1)
def _window() -> np.ndarray:
    return np.hanning(WINDOW + 1)[:-1].astype(np.float32)


@lru_cache(maxsize=1)
def _filters() -> np.ndarray:
    """Triangular mel filters (O'Shaughnessy's scale), float32 ``[64, 257]``."""
    edges_mel = np.linspace(_mel(_LOW_HZ), _mel(_HIGH_HZ), BANDS + 2)
    edges_hz = 700.0 * (10.0 ** (edges_mel / 2595.0) - 1.0)
    bins_hz = np.arange(FFT // 2 + 1) * AUDIO_HZ / FFT
    rise = (bins_hz - edges_hz[:-2, None]) / (edges_hz[1:-1] - edges_hz[:-2])[:, None]
    fall = (edges_hz[2:, None] - bins_hz) / (edges_hz[2:] - edges_hz[1:-1])[:, None]
    return np.clip(np.minimum(rise, fall), 0, None).astype(np.float32)


def _mel(hz: float) -> float:
    return 2595.0 * np.log10(1.0 + hz / 700.0)
