"""Ogg files that hold several recordings one after the other: chained streams (RFC 3533, section 4).

FFmpeg breaks off where the second one begins; a player plays them in turn.
"""

from __future__ import annotations

import os
from typing import BinaryIO

FORMAT = "ogg"
_PAGE = b"OggS"
_HEADER_BYTES = 27
_FIRST_PAGE = 0x02
_SEARCHED_BYTES = 1 << 16


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
