"""Where a machine-readable report goes: a file, or the standard output; at once or line by line."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import BinaryIO

from synctool.files import atomic_write, output_error
from synctool.names import printable_lines

STANDARD_OUTPUT = "-"
_NO_DISK = (errno.EINVAL, errno.ENOTSUP, errno.EROFS)
"""What the operating system says of a pipe or a device that is to be flushed."""


def send(target: str | os.PathLike[str], data: bytes) -> None:
    """Write a whole report to a file, atomically, or for ``-`` to the standard output.

    Where that is a terminal, whatever would steer it is escaped: names in CSV have no escapes of their own.

    Raises:
        OutputError: It cannot be written.
        BrokenPipeError: Nobody reads the standard output any more.
    """
    send_parts(target, [data])


def send_parts(target: str | os.PathLike[str], parts: Iterable[bytes]) -> None:
    """The same for a report that is made part by part, and never whole in memory.

    Raises:
        OutputError: It cannot be written.
        BrokenPipeError: Nobody reads the standard output any more.
    """
    if os.fspath(target) == STANDARD_OUTPUT:
        for part in parts:
            _print(part)
        return
    with atomic_write(target) as file:
        for part in parts:
            file.write(part)


def _print(data: bytes) -> None:
    if sys.stdout.isatty():
        data = printable_lines(data.decode("utf-8", "backslashreplace")).encode()
    try:
        sys.stdout.flush()
        if hasattr(sys.stdout, "buffer"):
            sys.stdout.buffer.write(data)
        else:  # replaced by something that takes text only
            sys.stdout.write(data.decode("utf-8", "backslashreplace"))
        sys.stdout.flush()
    except BrokenPipeError:
        raise  # the reader has gone, which is its own affair
    except OSError as error:
        raise output_error("the standard output", error) from error


class GrowingReport:
    """A report that grows line by line: whoever reads it sees each line as soon as there is one.

    A file is begun anew by the first line, and until then it is what it was. Use it as a context manager.

    Args:
        target: Path of the file, or ``-`` for the standard output.
    """

    def __init__(self, target: str | os.PathLike[str]) -> None:
        self._target = target
        self._file: BinaryIO | None = None
        self._end = 0

    def __enter__(self) -> GrowingReport:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def write(self, line: bytes) -> None:
        """Write a line, whole or not at all.

        Raises:
            OutputError: It cannot be written.
            BrokenPipeError: Nobody reads the standard output any more.
        """
        if os.fspath(self._target) == STANDARD_OUTPUT:
            send(self._target, line)
            return
        left = memoryview(line)
        try:
            if self._file is None:
                self._file = open(self._target, "wb", buffering=0)
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            with suppress(OSError):  # half a line is none; a pipe cannot be cut
                if self._file is not None:
                    self._file.truncate(self._end)
                    self._file.seek(self._end)
            raise output_error(self._target, error) from error
        self._end += len(line)

    def close(self) -> None:
        """Close the file, which is whole on the disk then.

        Raises:
            OutputError: It has not arrived there.
        """
        if self._file is None:
            return
        file, self._file = self._file, None
        try:
            with file:
                os.fsync(file.fileno())
        except OSError as error:
            if error.errno not in _NO_DISK:
                raise output_error(self._target, error) from error
