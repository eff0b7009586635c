"""Decoding timestamps for packets that are copied into another file, which need one each, in order."""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction

import av

COARSE = Fraction(1, 1000)
"""Units of time that leave no room between two packets."""
FINE = Fraction(1, 90_000)


class DecodingOrder:
    """Gives every packet of one stream a decoding timestamp, later than that of the one before.

    Matroska stores presentation timestamps only, and what is derived from them is missing for the
    first packets where frames are reordered. They are counted back from the first that has one.

    Args:
        untold: Whether presentation timestamps mean nothing, as in AVI.
    """

    def __init__(self, *, untold: bool = False) -> None:
        self._untold = untold
        self._waiting: list[av.Packet] = []
        self._last: int | None = None

    def push(self, packet: av.Packet) -> Iterable[av.Packet]:
        """Take a packet; give those whose timestamp is settled."""
        self._refine(packet)
        if packet.dts is None and self._last is None:
            self._waiting.append(packet)
            return
        yield from self._settled(packet.dts)
        yield self._after(packet)

    def flush(self) -> Iterable[av.Packet]:
        """Give what still waits, at the end of the video."""
        shown = [p.pts for p in self._waiting if p.pts is not None]
        yield from self._settled(min(shown, default=0))

    def _settled(self, until: int | None) -> Iterable[av.Packet]:
        """Count the waiting packets back from the timestamp of the one after them."""
        waiting, self._waiting = self._waiting, []
        for number, packet in enumerate(waiting):
            step = max(1, packet.duration or 1)
            packet.dts = (until or 0) - step * (len(waiting) - number)
            yield self._after(packet)

    def _after(self, packet: av.Packet) -> av.Packet:
        if packet.dts is None or (self._last is not None and packet.dts <= self._last):
            packet.dts = (self._last or 0) + 1
        self._last = packet.dts
        if self._untold:
            packet.pts = packet.dts
        elif packet.pts is None:
            packet.pts = packet.dts
        elif packet.pts < packet.dts:
            packet.dts = packet.pts
        return packet

    def _refine(self, packet: av.Packet) -> None:
        """Count in units that leave room between packets."""
        if not self._untold and packet.time_base >= COARSE:
            finer = math.ceil(packet.time_base / FINE)
            base = packet.time_base / finer
            if packet.dts is not None:
                packet.dts *= finer
            if packet.pts is not None:
                packet.pts *= finer
            packet.duration = (packet.duration or 0) * finer
            packet.time_base = base
