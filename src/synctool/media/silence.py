"""When audio counts as silence."""

from __future__ import annotations

import numpy as np

SILENT_DB = -60.0
"""Audio that never gets louder, relative to full scale, is silence."""
SILENT_PEAK = 33
"""The same as the least int16 sample that is louder, of 32768."""


def is_silent(samples: np.ndarray) -> bool:
    """Whether int16 samples are silence, or there are none."""
    return not samples.size or max(int(samples.max()), -int(samples.min())) < SILENT_PEAK
