"""Writing files so that a reader sees the old content or the new, never a half of either; checksums.

Everything that synctool writes for a person goes through here. What the operating system refuses
becomes an :class:`~synctool.errors.OutputError` that says what to do. Standard library only.
"""

from __future__ import annotations

import errno
import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

from synctool.errors import OutputError, OutputNameError
from synctool.temporaries import temporary_beside

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_LOCKED_BYTE = 1 << 62

_REMEDIES = {
    errno.ENOENT: "Create the folder {folder} first, or choose another place.",
    errno.ENOTDIR: "A part of the path is a file and not a folder: choose another path.",
    errno.EISDIR: "This is a folder: give the name of a file in it.",
    errno.EACCES: "Check the permissions of {folder}, or choose another place.",
    errno.EPERM: "Check the permissions of {folder}, or choose another place.",
    errno.EROFS: "The disk is read-only: choose another place.",
    errno.ENOSPC: "The disk is full: free some space, or choose another disk.",
    errno.EDQUOT: "Your share of the disk is used up: free some space, or choose another disk.",
    errno.EFBIG: "The file is too large for this disk: choose another disk.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
    errno.ELOOP: "The path is a loop of links: choose another path.",
    errno.EPIPE: "The program that reads the output ended early.",
    errno.ETXTBSY: "The file is in use: close the program that uses it, or choose another name.",
}


def output_error(path: str | os.PathLike[str], error: OSError) -> OutputError:
    """Say what the operating system refused, and what to do about it.

    Args:
        path: What was to be written, as the user knows it.
        error: What the operating system said.
    """
    reason = error.strerror or str(error) or type(error).__name__
    folder = os.fspath(Path(path).parent)
    folder = "this folder" if folder == os.curdir else folder
    remedy = _REMEDIES.get(error.errno or 0, "Choose another place to write to.")
    return OutputError(
        f"cannot write {os.fspath(path)}: {reason}", remedy=remedy.format(folder=folder)
    )


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that takes its place when the block ends well.

    The temporary file exists and is empty when the block starts, so that an unwritable folder is
    found before the work and not after it; it has the same suffix. When the block raises, it is
    removed and ``path`` is what it was before; what a killed run left, the next one removes. A link
    is followed. What is no ordinary file (a pipe, ``/dev/null``) cannot be replaced: there the block
    gets the path itself.

    Raises:
        OutputError: The file cannot be written.
    """
    given, temporary = Path(path), None
    target = given
    try:
        if given.is_dir():
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
        target = Path(os.path.realpath(given))
        if target.exists() and not target.is_file():
            yield given
            return
        with temporary_beside(target) as temporary:
            yield temporary
            _flush_to_disk(temporary)
            temporary.replace(target)
    except OSError as error:
        if error.filename not in (None, *map(str, (given, target, temporary))):
            raise  # about another file, which the block was reading
        raise output_error(path, error) from error


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Yield a binary handle whose content becomes ``path`` when the block ends well.

    Raises:
        OutputError: The file cannot be written.
    """
    with atomic_path(path) as temporary, temporary.open("wb") as handle:
        yield handle


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file in one go, atomically.

    Raises:
        OutputError: The file cannot be written.
    """
    with atomic_write(path) as handle:
        handle.write(data)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write text as UTF-8, atomically; characters that UTF-8 has no code for are escaped.

    Raises:
        OutputError: The file cannot be written.
    """
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def _flush_to_disk(path: Path) -> None:
    """Wait until the content is on the disk; the rename must not arrive there before it."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Find out, before long work, whether a file can be written; nothing is left behind.

    Raises:
        OutputError: It cannot.
        OutputNameError: It is a folder.
    """
    given = Path(path)
    try:
        if given.is_dir():
            raise OutputNameError(
                f"cannot write {given}: it is a folder", remedy="Give the name of a file."
            )
        if given.exists() and not given.is_file():
            return  # a pipe or a device: opening it could block
        target = Path(os.path.realpath(given))
        with temporary_beside(target):
            pass
    except OSError as error:
        raise output_error(path, error) from error


def lock(file: BinaryIO) -> bool:
    """Keep other processes from locking an open file, until it is closed or the process has gone.

    Args:
        file: Open for writing. Who does not ask can still read and write it.

    Returns:
        Whether it could be locked: False where another has it. A file system that knows no locks says
        yes to all.
    """
    try:
        if sys.platform == "win32":  # it locks bytes, for readers too: one that is never there
            at = file.tell()
            file.seek(_LOCKED_BYTE)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            file.seek(at)
        else:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)
    return True


def make_folder(path: str | os.PathLike[str]) -> None:
    """Make a folder and those above it, if they are not there.

    Raises:
        OutputError: It cannot be made.
        OutputNameError: It is a file.
    """
    try:
        if Path(path).is_file():
            raise OutputNameError(
                f"{os.fspath(path)} is a file, and a folder is wanted",
                remedy="Give the name of a folder, or remove the file.",
            )
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(path, error) from error


def chunks(file: IO[bytes], *, on_bytes: Callable[[int], object] | None = None) -> Iterator[bytes]:
    """What is left of an open file, a MiB at a time.

    Args:
        file: Open for reading.
        on_bytes: Progress callback: bytes read so far, once the chunk is used.
    """
    done = 0
    while chunk := file.read(1 << 20):
        yield chunk
        done += len(chunk)
        if on_bytes is not None:
            on_bytes(done)


def sha256(path: Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for chunk in chunks(file):
            digest.update(chunk)
    return digest.hexdigest()
