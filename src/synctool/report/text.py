"""Names and figures as people read them."""

from __future__ import annotations

import unicodedata

_TURNING = {chr(c) for c in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F)}
"""Marks that turn the direction of writing: they make one name look like another."""


def printable(text: str, encoding: str = "utf-8") -> str:
    """Make any string safe to show: what would move the cursor or has no code is escaped.

    Args:
        text: Any string, also a file name that is no valid Unicode.
        encoding: What the output can write.
    """
    kept = (
        c.encode("unicode_escape").decode("ascii")
        if c in _TURNING or unicodedata.category(c) in {"Cc", "Zl", "Zp"}
        else c
        for c in text
    )
    return "".join(kept).encode(encoding, "backslashreplace").decode(encoding)


def shortened(text: str, most: int) -> str:
    """Cut the middle out of a long name: its end tells as much as its beginning."""
    if len(text) <= most:
        return text
    head = (most - 3) // 2
    return f"{text[:head]}...{text[len(text) - (most - 3 - head) :]}"


def clock(seconds: float) -> str:
    """``1:02:03.4``, ``2:03.4`` or ``0:03.4``."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    tail = f"{rest / 10:04.1f}"
    return f"{hours}:{minutes:02d}:{tail}" if hours else f"{minutes}:{tail}"


def signed(value: float, digits: int) -> str:
    """A number with its sign, and without one when it rounds to zero."""
    rounded = round(value, digits) + 0.0
    return f"{rounded:+.{digits}f}" if rounded else f"{0:.{digits}f}"
