"""Files that are read whole: regular ones only, and no more bytes than such a file can have."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from synctool.untrusted.origin import MalformedError

MIB = 1 << 20


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file for reading without ever waiting for a pipe or a device.

    Raises:
        OSError: It cannot be opened, or is a folder.
        MalformedError: It is no regular file.
    """
    try:
        # Without O_NONBLOCK the opening of a pipe waits for somebody who writes into it.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        descriptor = os.open(path, flags | getattr(os, "O_CLOEXEC", 0))
    except ValueError as error:  # a NUL in the name
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from error
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise MalformedError("it is no regular file but a pipe, a socket or a device")
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def check_regular(path: Path) -> None:
    """Make sure that a file that a library opens by itself is a regular one that can be read.

    Raises:
        OSError: It cannot be opened, or is a folder.
        MalformedError: It is no regular file.
    """
    open_regular(path).close()


def read_regular(path: str | os.PathLike[str], *, most: int) -> bytes:
    """The content of a file.

    Args:
        path: The file.
        most: Most bytes that it may have.

    Raises:
        OSError: It cannot be read.
        MalformedError: It is no regular file, or larger.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        check_size(size, most)
        data = file.read(size + 1)  # what is asked for is allocated, so never ``most``
        if len(data) > size:  # it grows, or tells no size, as in /proc
            parts = [data]
            while (length := sum(map(len, parts))) <= most and (part := file.read(MIB)):
                parts.append(part)
            check_size(length, most)
            data = b"".join(parts)
    return data


def check_size(size: int, most: int) -> None:
    """Refuse what is larger than its kind can be.

    Raises:
        MalformedError: It is.
    """
    if size > most:
        raise MalformedError(f"it has {size:,} bytes, and at most {most:,} make sense")
