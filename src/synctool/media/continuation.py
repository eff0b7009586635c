"""Transport streams that go on under other PIDs: the rest of the file, opened anew where the old streams end.

A broadcast may change its programme map on the way (ISO/IEC 13818-1, 2.4.4.8). FFmpeg then adds streams, and
PyAV gives no packets of those. A player follows them.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import BinaryIO

import av
from av.error import FFmpegError

FORMATS = {"mpegts"}
_LEAST_BYTES = 20 * 188
"""Less than so much after the last packet is no continuation."""


class Continuation:
    """The rest of a file from a position on. Close it when it is no longer read.

    Attributes:
        container: FFmpeg's container of the rest.
    """

    def __init__(self, container: av.container.InputContainer, file: _Rest) -> None:
        self.container = container
        self._file = file

    def position(self, pos: int) -> int:
        """Where in the whole file a position of the rest is."""
        return self._file.begin + pos

    def close(self) -> None:
        """Close the container and the file."""
        self.container.close()
        self._file.close()


def continuation(path: str, after: int, known: Collection[int]) -> Continuation | None:
    """The rest of a transport stream, if it holds streams under other PIDs.

    Args:
        path: The file.
        after: Position of the last packet of the streams read so far.
        known: PIDs read so far.
    """
    if os.path.getsize(path) - after < _LEAST_BYTES:
        return None
    rest = _Rest(path, after)
    try:
        container = av.open(rest, format="mpegts", metadata_errors="replace")
    except (FFmpegError, OSError, ValueError):
        rest.close()
        return None
    found = {stream.id for stream in container.streams if stream.type in ("video", "audio")}
    if found <= set(known):
        container.close()
        rest.close()
        return None
    return Continuation(container, rest)


class _Rest:
    """A file that seems to begin at a position, for FFmpeg to read and search."""

    def __init__(self, path: str, begin: int) -> None:
        self._file: BinaryIO = open(path, "rb")
        self.begin = begin
        self._file.seek(begin)

    def read(self, size: int) -> bytes:
        """The next bytes."""
        return self._file.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position of the rest."""
        moved = offset + self.begin if whence == os.SEEK_SET else offset
        return self._file.seek(moved, whence) - self.begin

    def tell(self) -> int:
        """The position in the rest."""
        return self._file.tell() - self.begin

    def close(self) -> None:
        """Close the file."""
        self._file.close()
