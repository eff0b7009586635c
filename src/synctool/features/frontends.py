"""Audio front ends by name: samples with their margins to so many steps per video frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from synctool.features import logmel, mfcc
from synctool.features.level import as_float, normalize_level
from synctool.types import SAMPLES_PER_FRAME

_BAND_STEPS = SAMPLES_PER_FRAME // logmel.HOP


@dataclass(frozen=True)
class FrontEnd:
    """How a network wants its audio.

    Attributes:
        before: Samples needed before the first frame.
        after: Samples needed after the last frame.
        compute: int16 or float32 samples ``[before + 640 n + after]`` to features whose last axis
            belongs to n frames.
        steps: Entries of that axis per frame.
        bands: Rows of the features, 0 for a waveform.
        level_db: Speech level that ``compute`` wants its samples at, in dB relative to full scale;
            None where it takes any.
    """

    before: int
    after: int
    compute: Callable[[np.ndarray], np.ndarray]
    steps: int
    bands: int = 0
    level_db: float | None = None

    def shape(self, frames: int, *, batch: int = 1) -> tuple[int, ...]:
        """Shape of a network's input: ``[B, 1, bands, 4 n]``, or ``[B, 640 n]`` of a waveform."""
        length = self.steps * frames
        return (batch, 1, self.bands, length) if self.bands else (batch, length)

    def at_level(self, samples: np.ndarray) -> np.ndarray:
        """A whole recording, int16 or float32 ``[N]``, at the level wanted: float32 ``[N]``."""
        return normalize_level(samples, self.level_db)


def _bands(spectrogram: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    return lambda samples: spectrogram(samples)[None]  # one channel


FRONT_ENDS: dict[str, FrontEnd] = {
    "logmel64": FrontEnd(
        logmel.MARGIN,
        logmel.MARGIN,
        _bands(logmel.logmel),
        _BAND_STEPS,
        logmel.BANDS,
        level_db=logmel.LEVEL_DB,
    ),
    "mfcc13": FrontEnd(0, 2 * mfcc.MARGIN, _bands(mfcc.mfcc), _BAND_STEPS, mfcc.COEFFICIENTS),
    "waveform16k": FrontEnd(0, 0, as_float, SAMPLES_PER_FRAME),
}
"""By ``AudioInput.kind``; features are ``[1, bands, 4 n]``, the waveform ``[640 n]``."""
