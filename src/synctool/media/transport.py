"""What passes by in an MPEG transport stream: its tables, and where access units of each stream begin.

Packets are read as bytes, by ISO/IEC 13818-1: 2.4.3.2 (packets), 2.4.3.6 (PES), 2.4.4 (tables). Packets of
188, 192 and 204 bytes are known; damage is passed over to the next packet.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

SIZES = (188, 192, 204)
_SYNC = 0x47
_BLOCK = 1 << 20
_TS_BYTES = 188
_CLOCK_HZ, _CLOCK_WRAP = 90_000, 1 << 33
_PAT, _PMT = 0x00, 0x02
_LONGEST_SECTION = 1024
_VIDEO = {0x01, 0x02, 0x10, 0x1B, 0x20, 0x21, 0x24, 0x33, 0x42, 0xD1, 0xD2, 0xD4, 0xEA}
_AUDIO = {0x03, 0x04, 0x0F, 0x11, 0x1C, *range(0x80, 0x88), 0x8A, 0xA1, 0xA2}
_PRIVATE = 0x06
_AUDIO_TAGS = {0x6A, 0x7A, 0x7B, 0x7C}  # AC-3, E-AC-3, DTS, AAC (ETSI EN 300 468)
_REGISTERED = {b"AC-3": "audio", b"EAC3": "audio", b"Opus": "audio", b"HEVC": "video"}

_STREAM_IDS = {0xE: "video", 0xC: "audio", 0xD: "audio"}


@dataclass(frozen=True)
class UnitStart:
    """The beginning of an access unit, or of several.

    Attributes:
        position: Of its packet in the file, in bytes.
        pid: Which stream.
        kind: ``video``, ``audio``, or empty for others.
        time_s: Its decoding time; None where it has none.
    """

    position: int
    pid: int
    kind: str
    time_s: float | None


@dataclass(frozen=True)
class Programme:
    """A table of a programme's streams.

    Attributes:
        position: Of the last table of programmes before it, from which one may read, or its own.
        codings: What tells the codec of each stream, by PID.
    """

    position: int
    codings: dict[int, tuple]


class TransportScanner:
    """Goes through the packets of a file in order.

    Args:
        file: Open for reading; read from ``begin`` on.
        begin: Position of a packet.
    """

    def __init__(self, file: BinaryIO, begin: int = 0) -> None:
        self._file = file
        self._size = 0
        self._tables: set[int] = set()
        self._kinds: dict[int, str] = {}
        self._sections: dict[int, tuple[int, bytes]] = {}
        self._begun = begin
        self.position = begin
        """Everything before this has been seen."""
        self.last_pat = begin
        """Position of the last table of programmes."""

    def to(self, position: int) -> Iterator[UnitStart | Programme]:
        """What passes until a position, or a little more.

        Args:
            position: In the file.
        """
        while self.position < position:
            self._file.seek(self.position)
            data = self._file.read(_BLOCK)
            self._size = self._size or packet_size(data)
            count = self._whole_packets(data)
            if not count:
                lost = _next_packet(data, self._size)
                if lost is None and len(data) < _BLOCK:
                    self.position += len(data)
                    return
                self.position += lost or _BLOCK - 3 * max(SIZES)
                continue
            begin = self.position
            self.position += count * self._size
            yield from self._events(data, count, begin)

    def _whole_packets(self, data: bytes) -> int:
        """How many packets lie at the beginning, without damage between them."""
        if not self._size:
            return 0
        rows = np.frombuffer(data, np.uint8)[: len(data) // self._size * self._size]
        good = rows.reshape(-1, self._size)[:, head_size(self._size)] == _SYNC
        return int(good.size if good.all() else good.argmin())

    def _events(self, data: bytes, count: int, begin: int) -> Iterator[UnitStart | Programme]:
        head = head_size(self._size)
        rows = np.frombuffer(data, np.uint8, count * self._size).reshape(count, self._size)[
            :, head:
        ]
        pids = (rows[:, 1].astype(np.int32) & 0x1F) << 8 | rows[:, 2]
        starts = (rows[:, 1] & 0xC0) == 0x40  # of a unit, without a transport error
        row = 0
        while row < count:
            known = set(self._tables)
            wanted = np.flatnonzero(starts[row:] | np.isin(pids[row:], list(known))) + row
            row = count
            for number in wanted.tolist():
                at = begin + number * self._size
                event = self._packet(
                    rows[number].tobytes(), int(pids[number]), bool(starts[number]), at
                )
                if event is not None:
                    yield event
                if self._tables != known:  # more have become known on the way
                    row = number + 1
                    break

    def _packet(
        self, packet: bytes, pid: int, starts: bool, at: int
    ) -> UnitStart | Programme | None:
        payload = payload_of(packet)
        if payload is None:
            return None
        if pid == 0 or pid in self._tables:
            return self._table(pid, payload, starts, at)
        if starts and payload[:3] == b"\0\0\1":
            kind = self._kinds.get(pid) or _STREAM_IDS.get(payload[3] >> 4, "")
            return UnitStart(at, pid, kind, _unit_time_s(payload))
        return None

    def _table(self, pid: int, payload: bytes, starts: bool, at: int) -> Programme | None:
        """Put a section together, and read it once it is whole."""
        if starts:
            began, so_far, payload = at, b"", payload[1 + payload[0] :]
        elif pid in self._sections:
            began, so_far = self._sections.pop(pid)
        else:
            return None
        section = so_far + payload
        length = (
            3 + ((section[1] & 0x0F) << 8 | section[2]) if len(section) >= 3 else _LONGEST_SECTION
        )
        if len(section) < length <= _LONGEST_SECTION:
            self._sections[pid] = began, section
            return None
        section = section[: length - 4]  # without its checksum
        if pid == 0 and section[:1] == bytes([_PAT]):
            self.last_pat = began
            entries = (section[i : i + 4] for i in range(8, len(section) - 3, 4))
            self._tables |= {_pid(entry, 2) for entry in entries if entry[:2] != b"\0\0"}
        elif pid and section[:1] == bytes([_PMT]) and len(section) >= 12 and section[5] & 1:
            return self._programme(section, began)
        return None

    def _programme(self, section: bytes, at: int) -> Programme:
        codings: dict[int, tuple] = {}
        i = 12 + _length(section, 10)
        while i + 5 <= len(section):
            kind, pid, length = section[i], _pid(section, i + 1), _length(section, i + 3)
            codings[pid] = coding = _coding(kind, section[i + 5 : i + 5 + length])
            self._kinds[pid] = coding[0]
            i += 5 + length
        near = at - self.last_pat <= 64 * self._size
        return Programme(self.last_pat if near else at, codings)


def packet_size(data: bytes) -> int:
    """Size of the packets in a piece of a transport stream; 0 where there are none."""
    return next((size for size in SIZES if _next_packet(data, size) is not None), 0)


def _next_packet(data: bytes, size: int) -> int | None:
    """Where the next packet begins, told by those after it; never 0 where the first byte is wrong."""
    if not size:
        return None
    head, at = head_size(size), -1
    while (at := data.find(_SYNC, at + 1)) >= 0:
        following = [data[i] for i in range(at + size, min(at + 5 * size, len(data)), size)]
        if at >= head and len(following) >= 3 and set(following) == {_SYNC}:
            return at - head
    return None


def head_size(size: int) -> int:
    """Bytes before a packet of a size begins: a time stamp before those of 192."""
    return 4 if size == 192 else 0


def payload_of(packet: bytes) -> bytes | None:
    """What a packet carries; None where there is nothing that can be read."""
    begin = 4
    if packet[3] & 0x20:
        begin += 1 + packet[4]
    if not packet[3] & 0x10 or packet[3] & 0xC0 or begin >= _TS_BYTES - 4:
        return None  # none, scrambled, or too short to tell anything
    return packet[begin:_TS_BYTES]


def _unit_time_s(payload: bytes) -> float | None:
    if len(payload) < 19 or payload[6] & 0xC0 != 0x80 or not payload[7] & 0x80:
        return None
    at = 14 if payload[7] & 0x40 else 9
    b = payload[at : at + 5]
    ticks = (b[0] & 0x0E) << 29 | b[1] << 22 | (b[2] & 0xFE) << 14 | b[3] << 7 | b[4] >> 1
    return ticks / _CLOCK_HZ


def later_s(before_s: float, now_s: float) -> float:
    """How much later a time is than another, over the point where the 33 bits begin anew; may be negative."""
    wrap_s = _CLOCK_WRAP / _CLOCK_HZ
    return (now_s - before_s + wrap_s / 2) % wrap_s - wrap_s / 2


def _coding(kind: int, descriptors: bytes) -> tuple:
    """What tells the codec of a stream: ``video``, ``audio`` or nothing, its type and its registration."""
    tags, registered, i = set(), b"", 0
    while i + 2 <= len(descriptors):
        tag, length = descriptors[i], descriptors[i + 1]
        if tag == 0x05:
            registered = descriptors[i + 2 : i + 6]
        elif tag in _AUDIO_TAGS:
            tags.add(tag)
        i += 2 + length
    name = "video" if kind in _VIDEO else "audio" if kind in _AUDIO else ""
    if kind == _PRIVATE:
        name = "audio" if tags else _REGISTERED.get(registered, "")
        return name, kind, registered, frozenset(tags)
    return name, kind


def _pid(data: bytes, at: int) -> int:
    return (data[at] & 0x1F) << 8 | data[at + 1]


def _length(data: bytes, at: int) -> int:
    return (data[at] & 0x0F) << 8 | data[at + 1]
