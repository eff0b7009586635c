"""Frames per second of a video: what its header announces, held against the frames that were decoded.

Headers are wrong at times: raw DV gives the ticks of its clock, a Matroska file of 12.5 frames a second
the 25 of its encoder. Presentation times of decoded frames tell, but containers round them to milliseconds,
and frames get lost: an announced rate that agrees with them is the exact one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction

from synctool.types import VIDEO_FPS

FASTEST_FPS = 1000.0
"""A higher announced rate is the clock's, not the frames'."""
_BIN = math.log(1.01)
_SHORTEST_S = 1e-4
_USUAL = (0.5, 1.6)
"""Gaps of so many medians are of the usual rate: both of a 3:2 pulldown, but no lost frame."""
_AGREES, _MEAN_AGREES = 0.0006, 0.01
_FRAMES_OFF, _MEAN_FRAMES_OFF = 0.1, 0.5
_STALE = 1.03
"""What is known is worked out again when there are so many times the frames."""
_STEADY_SHARE, _STEADY_S = 0.9, 1.5e-3
"""Frames come at a steady rate where so many gaps are so near each other."""


class FrameRate:
    """The frame rate of one video stream, refined while it is decoded; its memory is bounded.

    Args:
        announced: Rates that the container gives, the most credible first; None and nonsense are left out.
    """

    def __init__(self, announced: Iterable[float | Fraction | None]) -> None:
        rates = [float(rate) for rate in announced if rate]
        self._announced = [rate for rate in rates if 0 < rate <= FASTEST_FPS]
        self._last_s: float | None = None
        self._gaps: dict[int, tuple[int, float]] = {}  # by their logarithm: how many, and their sum
        self._count = 0
        self._sum_s = 0.0
        self._known: tuple[float, bool] | None = None
        self._known_count = 0

    def add(self, time_s: float) -> None:
        """Take the presentation time of the next frame; times that do not go on are left out."""
        if self._last_s is None:
            self._last_s = time_s
            return
        gap_s = time_s - self._last_s
        if gap_s < _SHORTEST_S:
            return
        self._last_s = time_s
        number = round(math.log(gap_s / _SHORTEST_S) / _BIN)
        count, sum_s = self._gaps.get(number, (0, 0.0))
        self._gaps[number] = count + 1, sum_s + gap_s
        self._count += 1
        self._sum_s += gap_s

    @property
    def fps(self) -> float:
        """Frames per second, rounded to 0.001; 0.0 where nothing tells."""
        return round(self._exact(), 3)

    @property
    def interval_s(self) -> float:
        """Time from frame to frame so far; that of the common timeline where nothing tells."""
        return self._so_far()[0]

    @property
    def is_steady(self) -> bool:
        """Whether frames come at one rate so far; lost frames and variable rates are not."""
        return self._so_far()[1]

    def _so_far(self) -> tuple[float, bool]:
        """Interval and steadiness, of all but the last few frames: both are asked for at each one."""
        if self._known is None or self._count > _STALE * self._known_count:
            steady = not self._count or self._is_steady(self._usual())
            self._known = 1.0 / (self._exact() or VIDEO_FPS), steady
            self._known_count = self._count
        return self._known

    def _exact(self) -> float:
        announced = self._announced[0] if self._announced else 0.0
        if not self._count:
            return announced
        usual = self._usual()
        count, sum_s = sum(n for n, _ in usual), sum(s for _, s in usual)
        for rate in self._announced:
            if abs(rate * sum_s - count) <= _FRAMES_OFF + _AGREES * count:
                return rate
            mean_off = abs(rate * self._sum_s - self._count)
            if mean_off <= _MEAN_FRAMES_OFF + _MEAN_AGREES * self._count:
                return count / sum_s if self._is_steady(usual) else rate
        return count / sum_s

    def _is_steady(self, usual: list[tuple[int, float]]) -> bool:
        gaps_s = [sum_s / count for count, sum_s in usual]
        most = sum(count for count, _ in usual) >= _STEADY_SHARE * self._count
        return most and max(gaps_s) - min(gaps_s) <= _STEADY_S

    def _usual(self) -> list[tuple[int, float]]:
        """Gaps near the median: how many there are of each length, and their sum."""
        seen, middle_s = 0, 0.0
        for number in sorted(self._gaps):
            count, sum_s = self._gaps[number]
            seen += count
            if 2 * seen >= self._count:
                middle_s = sum_s / count
                break
        low_s, high_s = (middle_s * n for n in _USUAL)
        return [(n, s) for n, s in self._gaps.values() if low_s <= s / n <= high_s]
