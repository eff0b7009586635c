"""How fast the offset of a stream grows over hours: two clocks that do not run alike."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from synctool.types import FRAME_MS

BIN_S = 60.0
"""Offsets are kept as medians of so long."""
MOST_BINS = 24 * 60
"""Of at most a day."""
LEAST_BINS = 5
"""Fewer medians tell no drift."""
STEP_MS = 2 * FRAME_MS
"""Medians that differ by more from one to the next are a step, and the drift is counted anew."""
SURE = 0.8
"""Answers of less confidence are left out."""


@dataclass(frozen=True)
class ClockDrift:
    """Slope of the offset.

    Attributes:
        ms_per_hour: > 0: the audio gets ever further ahead.
        low: Lower end of its 95 % interval.
        high: Upper end.
        hours: Time that it is measured over.
    """

    ms_per_hour: float
    low: float
    high: float
    hours: float


class DriftWatch:
    """Takes the answers of a source; its memory is bounded."""

    def __init__(self) -> None:
        self._bins: deque[tuple[float, float]] = deque(maxlen=MOST_BINS)
        self._now: list[tuple[float, float]] = []
        self._known: ClockDrift | None = None

    def add(self, offset_ms: float, at_s: float, *, confidence: float) -> None:
        """Take an answer.

        Args:
            offset_ms: The offset.
            at_s: Its time in the stream.
            confidence: Of the answer.
        """
        if confidence < SURE:
            return
        if self._now and at_s - self._now[0][0] >= BIN_S:
            middle = np.median(np.array(self._now), axis=0)
            self._close(float(middle[0]), float(middle[1]))
            self._now = []
        self._now.append((at_s, offset_ms))

    def restart(self) -> None:
        """Forget everything: the stream has another clock from here on."""
        self._bins.clear()
        self._now, self._known = [], None

    def _close(self, at_s: float, offset_ms: float) -> None:
        if self._bins and abs(offset_ms - self._bins[-1][1]) > STEP_MS:
            self._bins.clear()
        self._bins.append((at_s, offset_ms))
        self._known = self._fitted()

    @property
    def drift(self) -> ClockDrift | None:
        """The drift so far; None where too little is known."""
        return self._known

    def _fitted(self) -> ClockDrift | None:
        if len(self._bins) < LEAST_BINS:
            return None
        every = max(1, len(self._bins) // 240)  # all pairs of a day would be a million
        points = np.array(self._bins)[::-1][::every]
        hours = points[:, 0] / 3600
        return ClockDrift(*median_slope(hours, points[:, 1]), float(np.ptp(hours)))


def median_slope(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """The median slope of all pairs, and its 95 % interval: single wrong points do not move it.

    By Theil (1950) and Sen (1968), with ties, as ``scipy.stats.theilslopes`` has it; importing that takes a
    second and 15 MiB in the middle of a stream.

    Args:
        x: Float ``[N]``, not all alike.
        y: Float ``[N]``.

    Returns:
        Slope, lower and upper end.
    """
    first, second = np.triu_indices(len(x), 1)
    apart = x[second] - x[first]
    pairs = apart != 0
    slopes = np.sort((y[second] - y[first])[pairs] / apart[pairs])
    spread = _rank_variance(len(y)) - sum(
        _rank_variance(count) for of in (x, y) for count in np.unique(of, return_counts=True)[1]
    )
    beside = _NORMAL_95 * np.sqrt(max(spread, 0.0))
    low = max(round((slopes.size - beside) / 2) - 1, 0)
    high = min(round((slopes.size + beside) / 2), slopes.size - 1)
    return float(np.median(slopes)), float(slopes[low]), float(slopes[high])


def _rank_variance(count: int) -> float:
    """Variance of Kendall's sum of signs over so many values, or what as many equal ones take from it."""
    return count * (count - 1) * (2 * count + 5) / 18


_NORMAL_95 = 1.959963984540054
"""Standard deviations that hold 95 % of a normal distribution."""
