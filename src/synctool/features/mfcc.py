"""13 MFCCs at 100 Hz as SyncNet takes them (``python_speech_features``, 25 ms window, 10 ms hop)."""

from __future__ import annotations

import numpy as np

from synctool.types import AUDIO_HZ

COEFFICIENTS = 13
HOP = AUDIO_HZ // 100
MARGIN = (400 - HOP) // 2


def mfcc(samples: np.ndarray) -> np.ndarray:
    """MFCCs of a segment, first window at its first sample, as the published code computes them.

    Args:
        samples: int16 ``[N]`` (the published scale) or float32 in -1..1, which is scaled to it.

    Returns:
        float32 ``[13, n]`` with ``n = 1 + ceil((N - 400) / 160)``.
    """
    from python_speech_features import mfcc as published

    if samples.dtype != np.int16:
        samples = samples * 32768.0
    if not samples.size:
        return np.zeros((COEFFICIENTS, 0), np.float32)
    return published(samples, AUDIO_HZ).T.astype(np.float32)
