"""Several files read as the one that they were cut from, without joining them on the disk."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path


class JoinedFiles(io.RawIOBase):
    """A seekable stream over files that follow one another.

    Args:
        paths: The files, in order.

    Raises:
        OSError: One of them is not there.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        super().__init__()
        self._open: io.FileIO | None = None
        self._open_number = -1
        self._paths = list(paths)
        self._starts = [0, *accumulate(path.stat().st_size for path in paths)]
        self._position = 0

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return self._starts[-1]

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """The position in all files."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position, counted over all files."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError("a position before the first file")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read up to the end of the file that the position is in."""
        number = bisect_right(self._starts, self._position) - 1
        if number >= len(self._paths):
            return 0
        if number != self._open_number:
            self._close_part()
            self._open, self._open_number = self._paths[number].open("rb", buffering=0), number
        assert self._open is not None
        self._open.seek(self._position - self._starts[number])
        count = self._open.readinto(buffer) or 0
        self._position += count
        return count

    def close(self) -> None:
        """Close the file that is open."""
        self._close_part()
        super().close()

    def _close_part(self) -> None:
        if self._open is not None:
            self._open.close()
        self._open, self._open_number = None, -1
