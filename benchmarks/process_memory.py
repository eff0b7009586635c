"""What a process holds: memory by system, allocator and Python, threads and open files (Linux)."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from contextlib import suppress
from pathlib import Path


class _Mallinfo2(ctypes.Structure):
    """As of ``mallinfo2(3)``: over all heaps of the allocator."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def held() -> dict[str, float]:
    """What this process holds now, after a collection of garbage.

    Returns:
        ``rss_mib`` and ``mapped_mib`` as the system counts them, ``in_use_mib`` that the allocator has given
        out and not taken back (0 where it is not glibc 2.33 or later), ``blocks`` of Python, ``threads``,
        ``files``.
    """
    gc.collect()
    status = Path("/proc/self/status").read_text("utf-8")
    facts = dict(line.split(":", 1) for line in status.splitlines())
    files = 0
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # that of the listing itself
            os.readlink(f"/proc/self/fd/{descriptor}")
            files += 1
    return {
        "rss_mib": int(facts["VmRSS"].split()[0]) // 1024,
        "mapped_mib": int(facts["VmSize"].split()[0]) // 1024,
        "in_use_mib": _in_use_bytes() / 2**20,
        "blocks": sys.getallocatedblocks(),
        "threads": int(facts["Threads"]),
        "files": files,
    }


def _in_use_bytes() -> int:
    try:
        told = ctypes.CDLL(None).mallinfo2
    except (OSError, AttributeError):
        return 0
    told.restype = _Mallinfo2
    info = told()
    return info.uordblks + info.hblkhd
