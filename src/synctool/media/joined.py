"""Files that hold several recordings one after the other.

Of chained Ogg streams (RFC 3533, section 4) FFmpeg breaks off where the second one begins; a player plays
them in turn. Of MP4 and FLV files that were joined byte by byte players show the first one only.
"""

from __future__ import annotations

import os
from typing import BinaryIO

FORMAT = "ogg"
_PAGE = b"OggS"
_HEADER_BYTES = 27
_FIRST_PAGE = 0x02
_SEARCHED_BYTES = 1 << 16
_MOV, _FLV = "mov,mp4,m4a,3gp,3g2,mj2", "flv"
_FLV_BYTES, _FLV_TAG_BYTES = 13, 15


def recordings(path: str) -> list[tuple[int, int]]:
    """Where each recording of an Ogg file begins and ends, in bytes; found by the headers of its pages."""
    size = os.path.getsize(path)
    begins = [0]
    with open(path, "rb") as file:
        at, opening = 0, True
        while at is not None and at < size:
            file.seek(at)
            head = file.read(_HEADER_BYTES + 255)
            if head[:4] != _PAGE or len(head) < _HEADER_BYTES:
                at = _next_page(file, at + 1)
                continue
            first = bool(head[5] & _FIRST_PAGE)
            if first and not opening:
                begins.append(at)
            opening = first
            segments = head[26]
            at += _HEADER_BYTES + segments + sum(head[27 : 27 + segments])
    return list(zip(begins, [*begins[1:], size]))


def _next_page(file: BinaryIO, at: int) -> int | None:
    while True:
        file.seek(at)
        data = file.read(_SEARCHED_BYTES)
        found = data.find(_PAGE)
        if found >= 0:
            return at + found
        if len(data) < _SEARCHED_BYTES:
            return None
        at += _SEARCHED_BYTES - len(_PAGE)


def second_file(path: str, format_name: str) -> int | None:
    """Where a second MP4 or FLV file begins behind the first; None where there is none.

    Args:
        path: The file.
        format_name: FFmpeg's name of its format.
    """
    with open(path, "rb") as file:
        if format_name == _MOV:
            return _second_mov(file, os.path.getsize(path))
        return _second_flv(file) if format_name == _FLV else None


def _second_mov(file: BinaryIO, size: int) -> int | None:
    at, begun = 0, False
    while at + 8 <= size:
        file.seek(at)
        head = file.read(16)
        if head[4:8] == b"ftyp":
            if begun:
                return at
            begun = True
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:
            return None
        at += length
    return None


def _second_flv(file: BinaryIO) -> int | None:
    at = _FLV_BYTES
    while True:
        file.seek(at)
        head = file.read(_FLV_TAG_BYTES - 4)
        if head[:4] == b"FLV\1":
            return at
        if len(head) < _FLV_TAG_BYTES - 4 or head[0] & 0x1F not in (8, 9, 18):
            return None
        at += _FLV_TAG_BYTES + int.from_bytes(head[1:4], "big")
