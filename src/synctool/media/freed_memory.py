"""Memory that a closed video has freed goes back to the system.

FFmpeg decodes in threads, and glibc keeps what they freed in a heap of each thread: a process that measures a
thousand videos would hold tens of MiB that nobody uses.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import cache


def give_back() -> None:
    """Let the allocator give back what is free; nothing happens where it is not glibc's. Takes a few ms."""
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    if sys.platform != "linux":
        return None
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):  # another C library
        return None
