"""Names of files and other words of any origin as people may safely read them. Standard library only."""

from __future__ import annotations

import re

_TURNING = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
"""Marks that turn the direction of writing: they make one name look like another."""
_BEYOND_ASCII = f"\x7f-\x9f\u2028\u2029{_TURNING}"
_STEERING = re.compile(f"[\0-\x1f{_BEYOND_ASCII}]")
_STEERING_WITHIN_STRINGS = re.compile(f"[{_BEYOND_ASCII}]")


def printable(text: str, encoding: str = "utf-8") -> str:
    """Make any string safe to show: what would move the cursor or has no code is escaped.

    Args:
        text: Any string, also a file name that is no valid Unicode.
        encoding: What the output can write.
    """
    safe = _STEERING.sub(lambda c: c.group().encode("unicode_escape").decode("ascii"), text)
    return safe.encode(encoding, "backslashreplace").decode(encoding)


def printable_lines(text: str, encoding: str = "utf-8") -> str:
    """The same for text of several lines, which stay lines.

    Args:
        text: Any string.
        encoding: What the output can write.
    """
    return "\n".join(printable(line, encoding) for line in text.split("\n"))


def printable_document(text: str) -> str:
    r"""Make a written JSON or TOML document safe to show; it still means the same.

    Their writers escape the control characters of ASCII in strings, and no others. What this escapes, as
    ``\u009b``, such a document holds within strings only.

    Args:
        text: The document.
    """
    return _STEERING_WITHIN_STRINGS.sub(lambda c: f"\\u{ord(c.group()):04x}", text)
