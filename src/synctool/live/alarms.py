"""When an offset is worth an alarm, and when it is over: for some time, and with hysteresis.

Only answers count: seconds without one (nobody speaks, no face) neither raise an alarm nor end one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from synctool.scoring.verdict import DETECTABLE_MS, UNACCEPTABLE_MS

Change = Literal["alarm", "recovery"]
HYSTERESIS = 0.2
"""An alarm is over once the offset is nearer to zero than its limit by this share of it..."""
LEAST_HYSTERESIS_MS = 10.0
"""... and by this at least."""
FORGET_S = 30.0
"""A run of answers is broken where none has come for so long."""
AGREEING_MS = 80.0
"""Answers of a run that follow each other differ by so much at most: chance matches jump about."""
LEAST_ANSWERS = 3
"""Fewer answers are no run, however long they are apart."""


@dataclass(frozen=True)
class Limits:
    """Offsets that are still in order, in milliseconds; < 0: audio behind."""

    behind_ms: float
    ahead_ms: float

    @classmethod
    def of(cls, text: str) -> Limits:
        """Limits by name, or the same number of milliseconds either way.

        Raises:
            ValueError: It is neither.
        """
        named = {"detectable": DETECTABLE_MS, "unacceptable": UNACCEPTABLE_MS}
        if text in named:
            return cls(*map(float, named[text]))
        try:
            limit_ms = abs(float(text))
        except ValueError:
            limit_ms = float("nan")
        if not 0 < limit_ms < 60_000:
            raise ValueError(f"{text!r} is neither {', nor '.join(named)}, nor milliseconds")
        return cls(-limit_ms, limit_ms)

    def hold(self, offset_ms: float) -> bool:
        """Whether an offset is in order."""
        return self.behind_ms <= offset_ms <= self.ahead_ms

    @property
    def narrower(self) -> Limits:
        """The limits that an offset must keep for an alarm to end."""
        return Limits(-_less(-self.behind_ms), _less(self.ahead_ms))


def _less(limit_ms: float) -> float:
    return max(limit_ms - max(HYSTERESIS * limit_ms, LEAST_HYSTERESIS_MS), limit_ms / 2)


class Alarm:
    """Watches the offset of one source.

    Args:
        limits: What is in order.
        for_s: So long all answers must be out of order before there is an alarm, and in order before it is
            over.

    Attributes:
        active: Whether there is an alarm now.
        since_s: Since when there has been an alarm, or the run of answers that may make one or end it.
    """

    def __init__(self, limits: Limits, *, for_s: float) -> None:
        self._limits = limits
        self._for_s = for_s
        self.active = False
        self.since_s: float | None = None
        self._answers = 0
        self._before_ms: float | None = None
        self._last_s: float | None = None

    def add(self, offset_ms: float | None, at_s: float) -> Change | None:
        """Take the next answer.

        Args:
            offset_ms: The offset; None where there is no answer.
            at_s: Its time in the stream; never goes back.

        Returns:
            What changes with it.
        """
        if offset_ms is None:
            return None
        if self._last_s is not None and at_s - self._last_s > FORGET_S:
            self._restart()
        self._last_s = at_s
        if not self._speaks_for_change(offset_ms):
            self._restart()
            return None
        if self._before_ms is not None and abs(offset_ms - self._before_ms) > AGREEING_MS:
            self._restart()
        self._before_ms = offset_ms
        if self.since_s is None:
            self.since_s = at_s
        self._answers += 1
        if at_s - self.since_s < self._for_s or self._answers < LEAST_ANSWERS:
            return None
        self.active = not self.active
        self._restart()
        return "alarm" if self.active else "recovery"

    def _speaks_for_change(self, offset_ms: float) -> bool:
        if self.active:
            return self._limits.narrower.hold(offset_ms)
        return not self._limits.hold(offset_ms)

    def _restart(self) -> None:
        self.since_s, self._answers, self._before_ms = None, 0, None
