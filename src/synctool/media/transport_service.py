"""The name of the service that an MPEG transport stream carries: its service description table.

ETSI EN 300 468: 5.2.3 (table), 6.2.33 (service descriptor), Annex A (character tables).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from synctool.media.transport import head_size, packet_size, payload_of

_PID, _TABLE, _DESCRIPTOR = 0x11, 0x42, 0x48
_WITHIN_BYTES = 8 << 20
_ENCODINGS = {
    **{number: f"iso8859-{number + 4}" for number in range(1, 12) if number != 8},
    0x11: "utf-16-be",
    0x13: "gb2312",
    0x14: "utf-16-be",
    0x15: "utf-8",
}


@dataclass(frozen=True)
class TransportService:
    """One service.

    Attributes:
        number: Its identifier.
        stream: Identifier of the transport stream.
        network: Identifier of the network that it comes from.
        name: As people know it.
        provider: Who provides it.
    """

    number: int
    stream: int
    network: int
    name: str
    provider: str


def first_service(file: BinaryIO) -> TransportService | None:
    """The first service of a transport stream, open for reading at its start; None where none is told."""
    for section in _sections(file):
        service = _service(section)
        if service is not None:
            return service
    return None


def _sections(file: BinaryIO) -> Iterator[bytes]:
    """The whole sections of the table's packets."""
    data = file.read(_WITHIN_BYTES)
    size = packet_size(data)
    if not size:
        return
    so_far: bytes | None = None
    for at in range(head_size(size), len(data) - 187, size):
        packet = data[at : at + 188]
        if packet[0] != 0x47 or (packet[1] & 0x1F) << 8 | packet[2] != _PID:
            continue
        payload = payload_of(packet)
        if not payload:
            continue
        if packet[1] & 0x40:
            so_far = payload[1 + payload[0] :]
        elif so_far is not None:
            so_far += payload
        if so_far is not None and len(so_far) >= 3:
            length = 3 + ((so_far[1] & 0x0F) << 8 | so_far[2])
            if len(so_far) >= length:
                yield so_far[: length - 4]  # without its checksum
                so_far = None


def _service(section: bytes) -> TransportService | None:
    if len(section) < 16 or section[0] != _TABLE:
        return None
    at, end = 16, 16 + ((section[14] & 0x0F) << 8 | section[15])
    while at + 2 <= min(end, len(section)):
        tag, body = section[at], section[at + 2 : at + 2 + section[at + 1]]
        at += 2 + section[at + 1]
        if tag != _DESCRIPTOR or len(body) < 3:
            continue
        provider = body[2 : 2 + body[1]]
        name = body[
            3 + body[1] : 3 + body[1] + (body[2 + body[1]] if 2 + body[1] < len(body) else 0)
        ]
        return TransportService(
            number=section[11] << 8 | section[12],
            stream=section[3] << 8 | section[4],
            network=section[8] << 8 | section[9],
            name=_text(name),
            provider=_text(provider),
        )
    return None


def _text(data: bytes) -> str:
    """Text of one of the character tables; without control characters."""
    encoding = "latin-1"  # of the default table the letters of ASCII
    if data[:1] == b"\x10" and len(data) >= 3:
        encoding, data = f"iso8859-{data[2]}", data[3:]
    elif data and data[0] < 0x20:
        encoding, data = _ENCODINGS.get(data[0], "latin-1"), data[1:]
    try:
        text = data.decode(encoding, "replace")
    except LookupError:
        text = data.decode("latin-1")
    return "".join(c for c in text if c.isprintable())
