"""Names and figures as people read them."""

from __future__ import annotations

from synctool.names import printable

__all__ = ["clock", "printable", "shortened", "signed"]


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
