"""Content that a video repeats: the second time it tells nothing new, however often it comes.

A loop of foreign audio repeats the same chance match at every turn, and a frozen face before silence
repeats one frame: counted as independent evidence, either would become ever surer with its length.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter1d

from synctool.scoring.rows import without_levels

SHORTEST_FRAMES = 20
"""Shorter periods are not looked for: speech itself is periodic in its syllables."""
ALIKE = 0.5
"""A second of scores repeats that of one period before where they differ by at most this share of what two
seconds that have nothing in common differ by."""
_WINDOW_FRAMES = 25
_MOST_PERIODS = 4
_NOTABLE = 0.3
_NEARLY_BEST = 0.9
_STILL = 0.02
"""Scores that vary by a smaller share of what they are count as if they varied by this: a still video before
a steady sound repeats its one frame."""


def repeated_frames(volume: np.ndarray) -> np.ndarray:
    """Which frames repeat, score for score, what the video has shown one period before.

    Args:
        volume: Scores ``[2K+1, T]``, NaN where there is none.

    Returns:
        bool ``[T]``.
    """
    scores = np.nan_to_num(without_levels(volume)).astype(np.float32)
    frames = scores.shape[1]
    repeated = np.zeros(frames, bool)
    if frames < 2 * SHORTEST_FRAMES:
        return repeated
    for period in {*_periods(scores), SHORTEST_FRAMES}:
        repeated[period:] |= _alike(scores, period)
    return repeated


def _periods(scores: np.ndarray) -> list[int]:
    """Lags at which a good part of the video looks like itself; of multiples the shortest.

    What all of it has in common does not count: in talk of one offset one row stands out throughout.
    """
    likeness = _likeness(scores - scores.mean(axis=1, keepdims=True))
    found: list[int] = []
    for _ in range(_MOST_PERIODS):
        best = likeness.max()
        if best < _NOTABLE:
            break
        lag = int((likeness >= _NEARLY_BEST * best).argmax())
        lag += int(likeness[lag : lag + SHORTEST_FRAMES].argmax())
        found.append(lag)
        for multiple in range(lag, len(likeness), lag):
            likeness[max(0, multiple - SHORTEST_FRAMES) : multiple + SHORTEST_FRAMES] = 0.0
    return found


def _likeness(scores: np.ndarray) -> np.ndarray:
    """Correlation of the scores with themselves by lag, ``[T]``; 0 where too little would overlap."""
    frames = scores.shape[1]
    size = 1 << (2 * frames - 1).bit_length()
    power = np.zeros(size // 2 + 1)
    for row in scores:
        power += np.abs(np.fft.rfft(row, size)) ** 2
    own = np.fft.irfft(power, size)[:frames]
    energy = np.concatenate([[0.0], np.cumsum(np.square(scores).sum(axis=0, dtype=np.float64))])
    lags = np.arange(frames)
    both = np.sqrt(energy[frames - lags] * (energy[frames] - energy[lags]))
    likeness = np.divide(own, both, out=np.zeros(frames), where=both > 0)
    likeness[:SHORTEST_FRAMES] = likeness[frames - SHORTEST_FRAMES :] = 0.0
    return likeness


def _alike(scores: np.ndarray, period: int) -> np.ndarray:
    """Whether the second round each frame from ``period`` on is that of one period before."""
    later, before = scores[:, period:], scores[:, :-period]

    def around(values: np.ndarray) -> np.ndarray:
        return uniform_filter1d(values, _WINDOW_FRAMES, axis=-1)

    def energy(values: np.ndarray) -> np.ndarray:
        return around(np.square(values, dtype=np.float64).sum(axis=0))

    def variance(values: np.ndarray) -> np.ndarray:
        """Round each row's own mean: one row that stands out throughout makes no two seconds alike."""
        own = energy(values)
        return np.maximum(
            own - np.square(around(values)).sum(axis=0, dtype=np.float64), _STILL * own
        )

    # The running sums of the filter leave a little more or less than nothing where scores end.
    unlike = 2.0 * np.sqrt(np.maximum(variance(later) * variance(before), 0.0))
    return (energy(later - before) <= ALIKE * unlike) & (unlike > 1e-9)
