"""Where the audio stops for a moment inside speech, as it does while a plosive is held closed.

The level falls by ``DEPTH_DB`` or more within speech, stays low for 30 to 150 ms and rises again within 40
ms. That is the hold of p, t, k, b, d, g; only p and b (and m, which does not stop) close the lips, and
which of them it is is not told. So the mouth need not be closed at a single such place: only that it is so
more often than elsewhere is evidence.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import maximum_filter1d

from synctool.features.loudness import STEPS

DEPTH_DB = 12.0
_AROUND = 12
"""Steps of 10 ms on either side in which the speech is as loud as usual here."""
_SHORTEST, _LONGEST = 3, 15
_SPEECH = 0.5


def closure_frames(levels_db: np.ndarray, speech: np.ndarray) -> np.ndarray:
    """Frames of the audio that are such stops.

    Args:
        levels_db: Level in steps of 10 ms, ``[4 * frames]``.
        speech: Probability of speech at every frame, ``[frames]``.

    Returns:
        bool ``[frames]``.
    """
    frames = len(speech)
    before = maximum_filter1d(levels_db, _AROUND, origin=_AROUND // 2 - 1)
    after = maximum_filter1d(levels_db, _AROUND, origin=-(_AROUND // 2))
    low = levels_db < np.minimum(before, after) - DEPTH_DB
    low &= np.repeat(speech >= _SPEECH, STEPS)[: len(low)]
    found = np.zeros(frames, bool)
    edges = np.flatnonzero(np.diff(low.astype(np.int8), prepend=0, append=0))
    for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist()):
        if _SHORTEST <= stop - start <= _LONGEST:
            found[start // STEPS : min(-(-stop // STEPS), frames)] = True
    return found
