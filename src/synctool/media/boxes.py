"""Just enough of two containers to see what FFmpeg does not tell: the boxes of MP4 and MOV (ISO/IEC
14496-12) and the elements of Matroska and WebM (RFC 8794). Only headers are read; nothing is trusted.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

MOST = 100_000
"""Boxes or elements of one level that are looked at."""
_LONGEST_READ = 1 << 16


@dataclass(frozen=True)
class Box:
    """A box or element: its name, and where its content lies in the file."""

    kind: bytes
    start: int
    end: int


def boxes(file: BinaryIO, start: int, end: int) -> Iterator[Box]:
    """The boxes between two places of a file, without those inside them.

    A last box that says that it reaches further is cut off there.
    """
    for _ in range(MOST):
        if start + 8 > end:  # where a size is that of no file, further than one can go
            return
        head = read_at(file, start, 16)
        if len(head) < 8:
            return
        size, kind = struct.unpack(">I4s", head[:8])
        content = start + 8
        if size == 1:
            if len(head) < 16:
                return
            size, content = struct.unpack(">Q", head[8:])[0], start + 16
        elif size == 0:
            size = end - start
        if size < content - start:
            return
        yield Box(kind, content, min(start + size, end))
        start += size


def below(file: BinaryIO, box: Box, *path: bytes) -> Iterator[Box]:
    """All boxes that lie in ``box`` under the names of ``path``."""
    for inner in boxes(file, box.start, box.end):
        if inner.kind == path[0]:
            if len(path) == 1:
                yield inner
            else:
                yield from below(file, inner, *path[1:])


def elements(file: BinaryIO, start: int, end: int) -> Iterator[Box]:
    """The elements between two places of a Matroska file, without those inside them.

    An element of unknown size reaches to ``end``.
    """
    for _ in range(MOST):
        if start + 2 > end:
            return
        head = read_at(file, start, 12)
        if not head or not head[0]:
            return
        id_length = 9 - head[0].bit_length()
        rest = head[id_length:]
        if id_length > 4 or not rest or not rest[0]:
            return
        size_length = 9 - rest[0].bit_length()
        if len(rest) < size_length:
            return
        size = int.from_bytes(rest[:size_length], "big") - (1 << 7 * size_length)
        content = start + id_length + size_length
        unknown = size == (1 << 7 * size_length) - 1
        yield Box(head[:id_length], content, end if unknown else min(content + size, end))
        if unknown:
            return
        start = content + size


def read_at(file: BinaryIO, start: int, count: int) -> bytes:
    """At most ``count`` bytes, and never more than 64 KiB, from a place of a file."""
    file.seek(start)
    return file.read(min(count, _LONGEST_READ))
