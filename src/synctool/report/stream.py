"""Where a machine-readable report goes: a file, or the standard output."""

from __future__ import annotations

import os
import sys

from synctool.files import output_error, write_bytes
from synctool.names import printable_lines

STANDARD_OUTPUT = "-"


def send(target: str | os.PathLike[str], data: bytes) -> None:
    """Write a whole report to a file, atomically, or for ``-`` to the standard output.

    Where that is a terminal, whatever would steer it is escaped: names in CSV have no escapes of their own.

    Raises:
        OutputError: It cannot be written.
        BrokenPipeError: Nobody reads the standard output any more.
    """
    if os.fspath(target) != STANDARD_OUTPUT:
        write_bytes(target, data)
        return
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
