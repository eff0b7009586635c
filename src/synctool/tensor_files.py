"""Safetensors files whose header has its strings in order, so that the same content is the same file."""

from __future__ import annotations

import json
from pathlib import Path

from synctool.files import write_bytes

_STRINGS = "__metadata__"
_LENGTH_BYTES = 8
_ALIGNED_BYTES = 8


def write_tensors(path: Path, data: bytes) -> None:
    """Write a safetensors file atomically, its header's strings sorted by name.

    The safetensors library writes them in another order each time.

    Args:
        path: Target file.
        data: What ``safetensors`` made of tensors and strings.

    Raises:
        OutputError: It cannot be written; what was there stays.
    """
    write_bytes(path, _ordered(data))


def _ordered(data: bytes) -> bytes:
    end = _LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES], "little")
    header = json.loads(data[_LENGTH_BYTES:end])
    if _STRINGS in header:
        header[_STRINGS] = dict(sorted(header[_STRINGS].items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNED_BYTES)
    return len(text).to_bytes(_LENGTH_BYTES, "little") + text + data[end:]
