"""What becomes of the packets of one audio track: moved as they are, or in whole packets where a container
has no timestamps.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Protocol

import av
from av.container import OutputContainer

from synctool.errors import MediaError
from synctool.repairing.reencode import add_encoded, own_coding, silent_packets

_SILENT_BYTE = {"pcm_u8": b"\x80", "pcm_alaw": b"\xd5", "pcm_mulaw": b"\xff"}
WORST_ROUNDING_S = 0.013
"""A move in whole packets that would miss by more is made by new audio instead: a third of a frame."""


class TrackRepair(Protocol):
    """Repairs one audio track on its way from the old file to the new one."""

    copied: bool
    """Whether its packets stay what they are."""

    def add_to(self, copy: OutputContainer) -> av.AudioStream | None:
        """Make the stream of the new file; None copies that of the old one."""

    def push(self, packet: av.Packet) -> Iterable[av.Packet]:
        """Take the next packet of the old track; give those of the new one, at their new times."""
        ...

    def finish(self) -> Iterable[av.Packet]:
        """Give what is left at the end."""
        ...


class MovedPackets:
    """Packets with other timestamps; those that would play outside the video are left out.

    Args:
        later: By how much, in seconds.
        begin: No packet starts before.
        end: Nor lies more than half of one after this.
    """

    copied = True

    def __init__(self, *, later: Fraction, begin: Fraction, end: Fraction) -> None:
        self._later, self._begin, self._end = later, begin, end

    def add_to(self, copy: OutputContainer) -> None:
        """See ``TrackRepair``."""

    def push(self, packet: av.Packet) -> Iterator[av.Packet]:
        """See ``TrackRepair``."""
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None:
            return
        at = stamp * packet.time_base + self._later
        # What is longer than a frame of video must not make the video longer by that.
        half = (packet.duration or 0) * packet.time_base / 2
        if not self._begin <= at or at + half >= self._end:
            return
        base = packet.time_base
        fine = Fraction(
            1, math.lcm(base.denominator, 90_000)
        )  # moves by less than a tick of its own
        packet.pts = packet.dts = round(at / fine)
        packet.duration = round((packet.duration or 0) * base / fine)
        packet.time_base = fine
        yield packet

    def finish(self) -> Iterator[av.Packet]:
        """See ``TrackRepair``."""
        yield from ()


class CountedPackets:
    """Packets for AVI, which has no timestamps: where one lies follows from those before it.

    PCM is cut or filled up to the sample; other audio by whole packets, with silence of its own codec.

    Args:
        stream: The old track.
        later: By how much it starts later than the video, in seconds; negative leaves out.
        packet_s: How long its packets last, where the codec does not say.
        lasts: The longest that it may last from the start of the video on.
    """

    copied = True

    def __init__(
        self, stream: av.AudioStream, *, later: Fraction, lasts: Fraction, packet_s: Fraction
    ) -> None:
        self._stream, self._later, self._lasts = stream, later, lasts
        context = stream.codec_context
        self._pcm = context.name.startswith("pcm_")
        if self._pcm:
            self.unit = Fraction(1, context.sample_rate)
            self._block = context.format.bytes * context.layout.nb_channels
            if context.name in ("pcm_s24le", "pcm_s24be"):
                self._block = 3 * context.layout.nb_channels
        else:
            self.unit = (
                Fraction(context.frame_size, context.sample_rate)
                if context.frame_size
                else packet_s or Fraction(1, 25)
            )
            self._block = 0
        self._left = round(later / self.unit)
        self._limit = math.ceil(lasts / self.unit)
        self._at = 0

    @property
    def rounding(self) -> Fraction:
        """How much too late the track will be, in seconds."""
        return round(self._later / self.unit) * self.unit - self._later

    def add_to(self, copy: OutputContainer) -> av.AudioStream | None:
        """See ``TrackRepair``.

        The old header tells a size of blocks for MP3 and AC-3 that would make a wrong one; an encoder tells
        none.
        """
        if self._pcm:
            return None
        try:
            return add_encoded(copy, own_coding(self._stream), self._stream)
        except MediaError:
            return None

    def push(self, packet: av.Packet) -> Iterator[av.Packet]:
        """See ``TrackRepair``."""
        data = bytes(packet)
        if self._left > 0:
            count, self._left = self._left, 0
            yield from self._silence(packet, count)
        if self._pcm:
            skipped = min(-self._left, len(data) // self._block)
            self._left += skipped
            data = data[skipped * self._block :]
            data = data[: max(0, self._limit - self._at) * self._block]
            if data:
                yield self._placed(packet, data, len(data) // self._block)
        elif self._left < 0:
            self._left += 1
        elif self._at < self._limit:
            yield self._placed(packet, data, 1)

    def finish(self) -> Iterator[av.Packet]:
        """See ``TrackRepair``."""
        yield from ()

    def _silence(self, like: av.Packet, count: int) -> Iterator[av.Packet]:
        if not self._pcm:
            for data in silent_packets(self._stream, count):
                yield self._placed(like, data, 1)
            return
        second = self._stream.codec_context.sample_rate
        filling = _SILENT_BYTE.get(self._stream.codec_context.name, b"\0") * self._block
        while count:
            part = min(count, second)
            yield self._placed(like, filling * part, part)
            count -= part

    def _placed(self, like: av.Packet, data: bytes, units: int) -> av.Packet:
        made = av.Packet(data)
        made.stream, made.time_base = like.stream, self.unit
        made.pts = made.dts = self._at
        made.duration = units
        made.is_keyframe = True
        self._at += units
        return made
