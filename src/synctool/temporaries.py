"""Temporary files and folders, which a killed run cannot leave for good.

Each is locked while it is in use. The operating system ends the lock with the process, so that a later run
knows what was left from what another is writing, and removes it. Where nothing can be locked (Windows, some
disks of a network) every name is new, and nothing of others is removed. Standard library only.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

if sys.platform != "win32":
    import fcntl

_SCRATCH = ".scratch"
"""Ending of what only this module makes and locks; synctool of other versions has other names."""
_LONGEST_SUFFIX = 16
_READ = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)


@contextmanager
def temporary_beside(target: Path, *, folder: bool = False) -> Iterator[Path]:
    """Yield a new, empty file or folder of a hidden name beside ``target``; it is removed at the end, unless
    it was moved.

    The name follows from the target's, so that the next run that writes there meets what a killed one left.

    Args:
        target: What the temporary one is to become. A file gets its suffix, and its permissions if it is
            there.
        folder: Whether to make a folder.

    Raises:
        OSError: It cannot be made; the error names no file.
    """
    suffix = target.suffix if len(target.suffix) <= _LONGEST_SUFFIX and not folder else ""
    known = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:12]
    for number in (known, secrets.token_hex(6)):
        path = target.with_name(f".synctool-{number}.part{suffix}")
        if number == known:
            remove_left(path)
        try:
            lock = _made(path, folder=folder)
        except FileExistsError:
            continue  # another run is writing the same target
        except OSError as error:
            error.filename = None  # the user knows nothing of this name
            raise
        if lock is not None:
            break
    else:
        raise FileExistsError("no new name could be found")
    with _in_use(path, lock):
        if not folder:
            with suppress(OSError):
                path.chmod(stat.S_IMODE(target.stat().st_mode))
        yield path


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield an empty folder among the temporary ones of the system, and remove it at the end.

    Those that killed runs left are removed first.

    Raises:
        OSError: It cannot be made.
    """
    place = Path(tempfile.gettempdir())
    _remove_left_scratch(place)
    while True:
        path = place / f"synctool-{secrets.token_hex(6)}{_SCRATCH}"
        lock = _made(path, folder=True, mode=0o700)
        if lock is not None:
            break
    with _in_use(path, lock):
        yield path


def scratch_file() -> IO[bytes]:
    """An empty file with a name among the temporary ones of the system, open for reading and writing; it is
    removed when it is closed.

    Raises:
        OSError: It cannot be made.
    """
    _remove_left_scratch(Path(tempfile.gettempdir()))
    while True:
        file: Any = tempfile.NamedTemporaryFile(prefix="synctool-", suffix=_SCRATCH)
        if not _locked(file.fileno()) or _is_at(file.fileno(), Path(file.name)):
            return file
        with suppress(FileNotFoundError):
            file.close()


def remove_left(path: Path) -> None:
    """Remove a temporary file or folder that a killed run left; one in use, or of another user, stays."""
    try:
        found = os.lstat(path)
        kind = stat.S_IFMT(found.st_mode)
        if found.st_uid != _user() or kind not in (stat.S_IFREG, stat.S_IFDIR):
            return
        lock = os.open(path, _READ)
    except OSError:
        return
    try:
        if _locked(lock) and _is_at(lock, path):
            _remove(path)
    finally:
        os.close(lock)


def _remove_left_scratch(place: Path) -> None:
    with suppress(OSError):
        for path in place.glob(f"synctool-*{_SCRATCH}"):
            remove_left(path)


def _made(path: Path, *, folder: bool, mode: int = 0o777) -> int | None:
    """Make a file or folder and lock it.

    Returns:
        What holds the lock, -1 where nothing can be locked; None where another run took it for one that was
        left, in between.
    """
    if folder:
        path.mkdir(mode)
    else:
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_CLOEXEC", 0)
        os.close(os.open(path, flags, mode & 0o666))
    if sys.platform == "win32":
        return -1
    try:
        lock = os.open(path, _READ)
    except FileNotFoundError:
        return None
    except OSError:
        return -1  # without leave to read
    if _locked(lock):
        if _is_at(lock, path):
            return lock
        os.close(lock)
        return None
    os.close(lock)
    return -1 if path.exists() else None


@contextmanager
def _in_use(path: Path, lock: int) -> Iterator[None]:
    try:
        yield
    finally:
        try:
            # Once it was moved, the name may already be that of another run's.
            if lock < 0 or _is_at(lock, path) or os.fstat(lock).st_nlink == 0:
                _remove(path)
        finally:
            if lock >= 0:
                os.close(lock)


def _remove(path: Path) -> None:
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _locked(descriptor: int) -> bool:
    """Whether nobody else uses it, and the system can tell."""
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except OSError:
        return False


def _user() -> int:
    return 0 if sys.platform == "win32" else os.geteuid()
