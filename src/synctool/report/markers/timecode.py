"""Timecode after SMPTE ST 12-1: frames counted as hours, minutes, seconds and frames.

Rates of 30000/1001 and 60000/1001 frames a second can be counted with drop-frame: the labels of two (four)
frames are left out every minute but each tenth, so that the timecode keeps up with the clock. No frame is
lost.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from synctool.errors import UsageError

_NTSC = Fraction(1000, 1001)
_USUAL = tuple(
    sorted({Fraction(n) for n in (24, 25, 30, 48, 50, 60, 100, 120)})
    + [n * _NTSC for n in (24, 30, 48, 60, 120)]
)
_ALIKE = 0.0004
"""Relative: a measured rate is that usual one; 30 and 30000/1001 are 0.001 apart."""
_FORM = re.compile(r"(\d{1,2}):(\d{2}):(\d{2})([:;.,])(\d{2,3})")


def frame_rate(fps: float) -> Fraction:
    """The exact rate of a measured one: the usual rate next to it, if it is near."""
    nearest = min(_USUAL, key=lambda rate: abs(float(rate) - fps))
    if abs(float(nearest) / fps - 1) <= _ALIKE:
        return nearest
    return Fraction(fps).limit_denominator(1001)


@dataclass(frozen=True)
class TimecodeClock:
    """Counts the frames of a video from a start timecode.

    Attributes:
        rate: Frames a second, exact.
        drop: Whether drop-frame is counted.
        start: Frame count of the first frame.
    """

    rate: Fraction
    drop: bool = False
    start: int = 0

    @classmethod
    def of(cls, fps: float, start: str = "") -> TimecodeClock:
        """The clock of a video.

        Args:
            fps: Its measured frame rate.
            start: Timecode of its first frame, ``01:00:00:00``, with a semicolon before the frames for
                drop-frame; empty for 0, with drop-frame where the rate has one.

        Raises:
            UsageError: It is no timecode of this rate.
        """
        rate = frame_rate(fps)
        if not start:
            return cls(rate, _has_drop(rate))
        match = _FORM.fullmatch(start)
        drop = match is not None and match[4] != ":" and _has_drop(rate)
        clock = cls(rate, drop)
        if match is not None:
            hours, minutes, seconds, frames = (int(match[i]) for i in (1, 2, 3, 5))
            count = clock._count(hours, minutes, seconds, frames)
            if cls(rate, drop, count).text(0) == f"{match[1]:0>2}:{match[2]}:{match[3]}" + (
                f"{clock.mark}{frames:02d}"
            ):
                return cls(rate, drop, count)
        raise UsageError(
            f"{start!r} is no timecode of {float(rate):.5g} frames a second",
            remedy="Write it as 01:00:00:00, with a semicolon before the frames for drop-frame.",
        )

    @property
    def nominal(self) -> int:
        """Frames that a second of timecode has."""
        return round(self.rate)

    @property
    def mark(self) -> str:
        """What stands before the frames: a semicolon for drop-frame."""
        return ";" if self.drop else ":"

    def frame(self, time_s: float) -> int:
        """The frame at a time since the first frame."""
        return max(0, round(Fraction(time_s) * self.rate))

    def text(self, frame: int) -> str:
        """The timecode of a frame, counted from the first one; after 24 hours it begins anew."""
        return self._label(self.start + frame)

    def span(self, frames: int) -> str:
        """A number of frames as a duration."""
        return self._label(frames)

    def _label(self, count: int) -> str:
        if self.drop:
            dropped = self.nominal // 15
            minute, ten = 60 * self.nominal - dropped, 600 * self.nominal - 9 * dropped
            tens, rest = divmod(count, ten)
            count += 9 * dropped * tens + dropped * max(0, (rest - dropped) // minute)
        seconds, frames = divmod(count, self.nominal)
        minutes, second = divmod(seconds, 60)
        hours, minute_of = divmod(minutes, 60)
        return f"{hours % 24:02d}:{minute_of:02d}:{second:02d}{self.mark}{frames:02d}"

    def _count(self, hours: int, minutes: int, seconds: int, frames: int) -> int:
        whole = 60 * hours + minutes
        count = (60 * whole + seconds) * self.nominal + frames
        return count - (self.nominal // 15 * (whole - whole // 10) if self.drop else 0)


def _has_drop(rate: Fraction) -> bool:
    return rate in (30 * _NTSC, 60 * _NTSC)
