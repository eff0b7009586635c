"""From a stream's own timestamps to the common timeline: repaired, doubted, joined where they break.

A stream's timestamps are believed as a player believes them. Four things are mended: timestamps that
only the decoding order carries (AVI), those of audio that are counted by another sample rate, single stray
ones, and breaks, where both streams go back to zero or leap ahead for good (recordings joined end to end).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

Frame = TypeVar("Frame")

DOUBTED_S = 10.0
"""A timestamp further ahead than this counts only when the next one agrees."""
LONGEST_GAP_S = 600.0
"""A longer gap is kept only where the other stream fills it."""
LONGEST_SPARSE_S = 120.0
"""Frames that follow each other with more than ``DOUBTED_S`` between them may last so long, where the other
stream has nothing: longer ones come from damaged timestamps, and make hours out of a short file."""
_BACK_S = 1.0
_FORGETTING = 0.95
_ROUNDED_S = 1e-4
"""Times of packets are rounded to 1/90000 s."""


class TooSparse(Exception):
    """One stream after the other has ended: single frames, far apart.

    Attributes:
        stream: Its name in messages.
        apart_s: Time between two of them.
    """

    def __init__(self, stream: str, apart_s: float) -> None:
        super().__init__(f"{stream}: {apart_s:g} s")
        self.stream = stream
        self.apart_s = apart_s


class PresentationTimes:
    """Presentation timestamps of decoded frames, as FFmpeg's players guess them.

    Where the container carries only the decoding order (AVI with B-frames), the decoder's ``pts`` run
    backwards or are missing, and the decoding timestamp of the packet that released the frame is the
    better one. The kind that has been wrong less often of late is taken.

    Args:
        doubtful: The container is one of those; the first wrong timestamp decides, not the third.
    """

    def __init__(self, *, doubtful: bool = False) -> None:
        self._last: dict[str, int | None] = {"pts": None, "dts": None}
        self._wrong = {"pts": 0.0, "dts": 0.0}
        self._patience = 0.0 if doubtful else 2.0

    def best(self, pts: int | None, dts: int | None) -> int | None:
        """The timestamp to use.

        Args:
            pts: The decoder's presentation timestamp.
            dts: Decoding timestamp of the packet that released the frame.

        Returns:
            One of the two, in their unit; None if both are missing.
        """
        for kind, value, other in (("pts", pts, dts), ("dts", dts, pts)):
            last = self._last[kind]
            self._wrong[kind] *= _FORGETTING
            if value is not None and last is not None and value <= last:
                self._wrong[kind] += 1
            self._last[kind] = value if value is not None else other
        if pts is not None and (
            dts is None or self._wrong["pts"] <= self._wrong["dts"] + self._patience
        ):
            return pts
        return dts


class GuessedTimes:
    """Timestamps of decoded audio whose sample rate has changed on the way.

    A transport stream has one timestamp for several frames of audio. FFmpeg gives the others times by the
    sample rate that the stream began with, also where it has another one by now.
    """

    def __init__(self) -> None:
        self._told_s: float | None = None
        self._next_s = 0.0

    def mended(self, own_s: float | None, *, counted_s: float, lasts_s: float) -> float | None:
        """The time of the next frame.

        Args:
            own_s: Its timestamp.
            counted_s: Duration that FFmpeg has counted for each frame.
            lasts_s: Its true duration.

        Returns:
            The timestamp, or where it only follows by count on the one before, what follows on that truly.
        """
        before_s, self._told_s = self._told_s, own_s
        if own_s is None:
            return None
        if before_s is not None and abs(own_s - before_s - counted_s) < _ROUNDED_S:
            own_s = self._next_s
        self._next_s = own_s + lasts_s
        return own_s


class Timeline:
    """The timeline that the streams of one video share.

    Args:
        origin_s: The streams' own time that is timeline 0; None takes the first timestamp seen.
        warn: Told about what was mended.
    """

    def __init__(self, origin_s: float | None, warn: Callable[[str], None]) -> None:
        self.origin_s = origin_s
        self.warn = warn
        self.clocks: list[StreamClock] = []
        self.parts: list[tuple[float, float]] = []
        """Breaks: the stream's own time where a part begins, and what to subtract from there on."""

    def clock(self, start_s: float | None, name: str) -> StreamClock:
        """A clock for one more stream; see ``StreamClock``."""
        self.clocks.append(StreamClock(self, start_s, name))
        return self.clocks[-1]


class StreamClock(Generic[Frame]):
    """Gives the frames of one stream their times on the timeline.

    Args:
        timeline: Shared with the other streams.
        start_s: Where the container says that the stream starts, in its own time.
        name: For messages.
    """

    def __init__(self, timeline: Timeline, start_s: float | None, name: str) -> None:
        self._timeline = timeline
        self._start_s = start_s
        self._name = name
        self._held: tuple[Frame, float, float] | None = None
        self._shift_s = 0.0
        self._part = 0
        self._sparse_s = 0.0
        self.next_s: float | None = None
        """Where the frame after the last one belongs; None before the first."""

    def take(
        self, frame: Frame, own_s: float | None, lasts_s: float
    ) -> Iterator[tuple[Frame, float]]:
        """Take the next frame.

        Args:
            frame: Anything.
            own_s: Its timestamp; None follows on from the frame before.
            lasts_s: Its duration.

        Yields:
            Frames and their times on the timeline: none while the timestamp is doubted, then two.

        Raises:
            TooSparse: The timestamps cannot be right.
        """
        if own_s is None:
            own_s = self._following()
        if self._timeline.origin_s is None:
            self._timeline.origin_s = own_s
        time_s = self._on_timeline(own_s)
        held = self._held
        if self._is_plausible(time_s):
            if held is not None:
                self._stray()
            yield self._accept(frame, time_s, lasts_s)
        elif held is None:
            self._held = (frame, own_s, lasts_s)
        elif 0 < own_s - held[1] <= LONGEST_GAP_S:
            self._held = None
            self._check_density(held[1], own_s - held[1])
            self._jump(held[1])
            yield self._accept(held[0], self._on_timeline(held[1]), held[2])
            yield from self.take(frame, own_s, lasts_s)
        else:
            self._stray()
            self._held = (frame, own_s, lasts_s)

    def finish(self) -> Iterator[tuple[Frame, float]]:
        """The last frame, if it is still doubted and another stream gets as far."""
        if self._held is None:
            return
        frame, own_s, lasts_s = self._held
        time_s = self._on_timeline(own_s)
        alone = len(self._timeline.clocks) == 1 and 0 < time_s <= LONGEST_GAP_S
        if time_s > (self.next_s or 0.0) and (alone or self._others_reach(time_s)):
            self._held = None
            yield self._accept(frame, time_s, lasts_s)
        else:
            self._stray()

    def _following(self) -> float:
        if self._held is not None:
            return self._held[1] + self._held[2]
        origin_s = self._timeline.origin_s
        if self.next_s is None:
            return self._start_s if self._start_s is not None else (origin_s or 0.0)
        return self.next_s + (origin_s or 0.0) + self._shift_s

    def _on_timeline(self, own_s: float) -> float:
        return own_s - (self._timeline.origin_s or 0.0) - self._shift_s

    def _is_plausible(self, time_s: float) -> bool:
        expected_s = self.next_s
        if expected_s is None:
            if self._start_s is None:
                return abs(time_s) <= LONGEST_GAP_S
            expected_s = self._on_timeline(self._start_s)
        return -_BACK_S <= time_s - expected_s <= DOUBTED_S

    def _accept(self, frame: Frame, time_s: float, lasts_s: float) -> tuple[Frame, float]:
        self.next_s = time_s + lasts_s
        return frame, time_s

    def _stray(self) -> None:
        self._held = None
        self._timeline.warn(f"a stray timestamp in the {self._name} was ignored")

    def _others_reach(self, time_s: float) -> bool:
        return any(
            clock is not self and clock.next_s is not None and clock.next_s >= time_s - DOUBTED_S
            for clock in self._timeline.clocks
        )

    def _check_density(self, own_s: float, after_s: float) -> None:
        """See that no run of lone frames makes an endless timeline.

        Args:
            own_s: Timestamp of a frame that lies far behind the one before.
            after_s: Time from it to the next one.
        """
        time_s = self._on_timeline(own_s)
        alone = len(self._timeline.clocks) == 1
        if after_s <= DOUBTED_S or alone or self._others_reach(time_s):
            self._sparse_s = 0.0
            return
        self._sparse_s += max(time_s - (self.next_s or 0.0), 0.0)
        if self._sparse_s + after_s > LONGEST_SPARSE_S:
            raise TooSparse(self._name, after_s)

    def _jump(self, own_s: float) -> None:
        """Settle what a confirmed jump means: a gap to be kept, or another part to be joined on."""
        time_s = self._on_timeline(own_s)
        gap_s = time_s - (self.next_s or 0.0)
        timeline = self._timeline
        if 0 < gap_s <= LONGEST_GAP_S:
            return
        for number in range(self._part, len(timeline.parts)):
            begins_s, shift_s = timeline.parts[number]
            if -DOUBTED_S <= own_s - begins_s <= LONGEST_GAP_S:  # the other stream was there first
                self._part, self._shift_s = number + 1, shift_s
                return
        if gap_s > 0 and self._others_reach(time_s):
            return
        join_s = max(clock.next_s or 0.0 for clock in timeline.clocks)
        self._shift_s = own_s - (timeline.origin_s or 0.0) - join_s
        timeline.parts.append((own_s, self._shift_s))
        self._part = len(timeline.parts)
        timeline.warn(f"the timestamps break off at {join_s:.1f} s; what follows was joined on")
