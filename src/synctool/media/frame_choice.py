"""Which of two frames stands for a moment between them.

Of a constant rate, however low, the nearest in presentation time does, so that the frames shown are
neither early nor late on average. Where frames come at their own times, the next one may be shown early
by half of the shorter of the gaps before and after the frame on screen, and by ``AHEAD_S`` at least: a
slide that stays for a minute is not left half a minute too soon.
"""

from __future__ import annotations

from synctool.types import VIDEO_FPS

AHEAD_S = 0.05
"""The next frame may always be shown up to this much early, if it is the nearest."""
LONGEST_AHEAD_S = 0.5
"""And never more than this, whatever the rate."""
_BESIDE_S = 0.06
"""A frame that stands for a moment further off is held on screen, or shown early for want of others."""
_SAME_S = 1.2e-3
"""Distances that differ by less are a tie: some containers round timestamps to milliseconds."""
_ONE_FRAME_S = 1.5 / VIDEO_FPS


class FrameChoice:
    """Decides between the frame on screen and the next one, moment after moment.

    A tie between two frames (12.5 frames a second: every second moment) goes to the older and to the
    newer one in turn, or the frames would be late by half a frame of 25 Hz on average. Where one
    lasts a frame of 25 Hz the older one keeps it: taking turns would leave out every second frame.

    Args:
        interval_s: Announced time from frame to frame; what counts before the first gap is known.
    """

    def __init__(self, interval_s: float = 0.0) -> None:
        self._shown_s: float | None = None
        self._next_s = 0.0
        self._ahead_s = AHEAD_S
        self._gap_s: float | None = None
        self._interval_s = interval_s
        self._newer = False

    def begin(self, shown_s: float | None, next_s: float) -> None:
        """Take the next frame.

        Args:
            shown_s: Time of the frame on screen; None before the first.
            next_s: Time of the next one, later than that.
        """
        before_s = self._gap_s
        self._shown_s, self._next_s = shown_s, next_s
        self._gap_s = None if shown_s is None else next_s - shown_s
        if self._gap_s is not None:
            usual_s = min(self._gap_s, self._interval_s if before_s is None else before_s)
            self._ahead_s = min(max(AHEAD_S, usual_s / 2 + _SAME_S), LONGEST_AHEAD_S)

    def prefers_next(self, at_s: float) -> bool:
        """Whether the next frame stands for a moment.

        Args:
            at_s: The moment, before ``next_s``. Ask once for each.
        """
        ahead_s = self._next_s - at_s
        if self._shown_s is None:
            return ahead_s <= 0.5 / VIDEO_FPS
        if ahead_s > self._ahead_s:
            return False
        behind_s = at_s - self._shown_s
        if abs(ahead_s - behind_s) <= _SAME_S:
            if self._gap_s is not None and self._gap_s < _ONE_FRAME_S:
                return False
            newer, self._newer = self._newer, not self._newer
            return newer
        return ahead_s < behind_s


class Lateness:
    """How far the frames shown lie beside their moments on average.

    Frames at 25 Hz that keep to moments between those of the timeline are all shown early by the same
    time, or all late; the offset is then wrong by as much. What stays on screen for long says nothing.
    """

    def __init__(self) -> None:
        self._sum_s, self._count = 0.0, 0

    def add(self, late_s: float) -> None:
        """A frame is shown that belongs so much later than its moment; < 0: earlier."""
        if abs(late_s) <= _BESIDE_S:
            self._sum_s += late_s
            self._count += 1

    @property
    def mean_frames(self) -> float:
        """Mean in 25 Hz frames, to a thousandth: container times are no more exact."""
        return self.since((0.0, 0))

    @property
    def totals(self) -> tuple[float, int]:
        """Sum in seconds, and number of frames, so far."""
        return self._sum_s, self._count

    def since(self, totals: tuple[float, int]) -> float:
        """``mean_frames`` of the frames after those of earlier ``totals``."""
        sum_s, count = self._sum_s - totals[0], self._count - totals[1]
        return round(sum_s / count * VIDEO_FPS, 3) if count else 0.0
