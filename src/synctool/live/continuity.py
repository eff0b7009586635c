"""Timestamps of a stream that runs for days: where they begin anew, and where they break.

The clock of an MPEG transport stream has 33 bits and begins anew every 26.5 hours (ISO/IEC 13818-1,
2.4.3.7): that is no break, and the timestamps go on. An encoder that starts again, an inserted clip or a lost
connection are: the timestamps of one stream jump, and those of the other follow a little later.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

WRAP_TICKS, WRAP_HZ = 1 << 33, 90_000
BACK_S = 1.0
LONGEST_GAP_S = 10.0
"""A step back by more than the one, or ahead by more than the other, is a break if the next packet confirms
it."""


class TimedPacket(Protocol):
    """What is asked of a packet: PyAV's, with times in units of ``time_base``."""

    pts: int | None
    dts: int | None
    time_base: Fraction | None


@dataclass(frozen=True)
class Break:
    """The timestamps break here; what follows belongs to a new part.

    Attributes:
        at_s: Time of the first packet that follows, in the stream's own time.
        jump_s: How far it lies from where it was expected.
    """

    at_s: float
    jump_s: float


@dataclass
class _Stream:
    next_s: float | None = None
    wraps: int = 0
    held: Any = None
    held_s: float = 0.0


class Continuity:
    """Goes through the packets of the measured streams.

    Args:
        wraps: Whether the clock has 33 bits, as in transport streams.
    """

    def __init__(self, *, wraps: bool) -> None:
        self._wraps = wraps
        self._streams: dict[str, _Stream] = {}
        self._anew_s: float | None = None

    def take(self, kind: str, packet: TimedPacket) -> Iterator[TimedPacket | Break]:
        """Take the next packet.

        Args:
            kind: Of which stream, ``video`` or ``audio``.
            packet: The packet; its times are moved where the clock has begun anew.

        Yields:
            Packets to decode: none while a jump is doubted, or where a packet is a stray; and breaks.
        """
        stream = self._streams.setdefault(kind, _Stream())
        own_s = self._own_s(stream, packet)
        if own_s is None:
            if stream.held is None:
                yield packet
            return
        if stream.next_s is None and self._anew_s is not None:
            if not -BACK_S <= own_s - self._anew_s <= LONGEST_GAP_S:
                return  # still from before the break
        if stream.next_s is None or _follows(stream.next_s, own_s):
            stream.held = None  # what is held was a stray
            stream.next_s = own_s
            yield packet
        elif stream.held is not None and _follows(stream.held_s, own_s):
            held, at_s, jump_s = stream.held, stream.held_s, stream.held_s - stream.next_s
            self._streams = {kind: _Stream(own_s, stream.wraps)}
            self._anew_s = at_s
            yield Break(at_s, jump_s)
            yield held
            yield packet
        else:
            stream.held, stream.held_s = packet, own_s

    def _own_s(self, stream: _Stream, packet: TimedPacket) -> float | None:
        """The time of a packet in its stream's own time, over all beginnings of the clock."""
        stamp = packet.dts if packet.dts is not None else packet.pts
        unit = packet.time_base
        if stamp is None or not unit:
            return None
        if self._wraps and unit == Fraction(1, WRAP_HZ):
            if stream.next_s is not None:
                expected = round(stream.next_s * WRAP_HZ)
                more = round((expected - (stamp + stream.wraps * WRAP_TICKS)) / WRAP_TICKS)
                near_s = (stamp + (stream.wraps + more) * WRAP_TICKS) / WRAP_HZ
                if more and _follows(stream.next_s, near_s):
                    stream.wraps += more
            moved = stream.wraps * WRAP_TICKS
            if moved:
                stamp += moved
                packet.pts = None if packet.pts is None else packet.pts + moved
                packet.dts = None if packet.dts is None else packet.dts + moved
        return float(stamp * unit)


def _follows(before_s: float, own_s: float) -> bool:
    return -BACK_S <= own_s - before_s <= LONGEST_GAP_S
