"""Heads of attention, which are 64 wide in every network here."""

from __future__ import annotations

from synctool.errors import UsageError

_HEAD = 64


def heads_of(size: int) -> int:
    """How many heads a transformer of this width has; a narrow one has one.

    Raises:
        UsageError: The width is no multiple of 16, or cannot be divided among the heads.
    """
    heads = max(1, size // _HEAD)
    if size < 16 or size % 16 or size % heads:
        raise UsageError(
            f"no speech transformer of size {size}",
            remedy="Choose a multiple of 64, or 16, 32 or 48.",
        )
    return heads
