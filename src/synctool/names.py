"""Names of files as people may safely read them. Standard library only."""

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
