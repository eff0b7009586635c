"""A folder that may lie on this machine or in an object store, read and written in the same words.

Local folders go through ``synctool.files`` (atomic, with remedies). Addresses such as
``s3://bucket/videos`` go through fsspec, which needs the package for the store (``s3fs``, ``gcsfs``,
``adlfs`` ...). What is written appears whole or not at all in both.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from fnmatch import filter as filter_names
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from urllib.parse import unquote, urlsplit

from synctool.data.retries import is_transient, retried
from synctool.errors import MissingError, OutputError, SyncToolError, TransientError
from synctool.files import atomic_write, make_folder, output_error
from synctool.temporaries import scratch_folder, temporary_beside
from synctool.untrusted.origin import MalformedError, Origin
from synctool.untrusted.regular import check_size, open_regular

_OLD = ".old"
_LARGEST_READ = 1 << 29
"""Most bytes of a file that is read whole: reports and the files of clips are far smaller."""
_T = TypeVar("_T")


class Storage(ABC):
    """A folder. Names are relative to it, with forward slashes.

    Attributes:
        place: The folder as the user knows it.
        address: The same for a process that works elsewhere: an absolute path, or the address.
    """

    place: str
    address: str

    @abstractmethod
    def exists(self, name: str = "") -> bool:
        """Whether a file (or, without a name, the folder itself) is there."""

    @abstractmethod
    def names(self, pattern: str) -> list[str]:
        """Files directly in the folder whose names fit a pattern, sorted."""

    @abstractmethod
    def walk(self, on_unreadable: Callable[[str, str], None]) -> Iterator[tuple[str, int]]:
        """All files below: name and size in bytes.

        Args:
            on_unreadable: Told the name of a folder that cannot be read, and why.
        """

    @abstractmethod
    def open(self, name: str) -> BinaryIO:
        """Open a file for reading.

        Raises:
            MissingError: It is not there, or cannot be read.
            TransientError: It cannot be read at the moment, after several tries.
        """

    @abstractmethod
    def local(self, name: str) -> Any:
        """A context manager that gives a path of a file on this machine, for as long as it lasts."""

    @abstractmethod
    def writing(self, name: str) -> Any:
        """A context manager that gives a binary handle; its content appears when the block ends well."""

    @abstractmethod
    def put_folder(self, folder: Path, name: str) -> None:
        """Move a finished local folder here, in place of what has that name."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Delete a file, if it is there."""

    def read(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            MissingError: It is not there, or cannot be read.
        """
        with self.open(name) as file:
            return file.read()

    def head(self, name: str, size: int) -> bytes:
        """The first bytes of a file, at most so many.

        Raises:
            MissingError: It is not there, or cannot be read.
        """
        with self.open(name) as file:
            return file.read(size)

    def write(self, name: str, data: bytes) -> None:
        """Write a file in one go.

        Raises:
            OutputError: It cannot be written.
        """
        with self.writing(name) as file:
            file.write(data)

    def scratch(self, name: str) -> AbstractContextManager[Path]:
        """A context manager that gives a temporary local folder, on the same disk where it can be.

        Args:
            name: What is written with it.
        """
        return scratch_folder()

    @abstractmethod
    def make(self) -> None:
        """Make the folder if it is not there.

        Raises:
            OutputError: It cannot be made.
        """


def storage(place: str | os.PathLike[str]) -> Storage:
    """The folder of a path or address.

    Raises:
        MissingError: The package for this kind of address is not installed.
    """
    text = os.fspath(place)
    if text.startswith("file://"):
        return LocalStorage(Path(unquote(urlsplit(text).path)))
    return RemoteStorage(text) if "://" in text else LocalStorage(Path(text))


class LocalStorage(Storage):
    """A folder on this machine, or on a disk that several machines share."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.place = os.fspath(path)
        self.address = os.path.abspath(path)

    def exists(self, name: str = "") -> bool:
        return (self.path / name).is_file() if name else self.path.is_dir()

    def names(self, pattern: str) -> list[str]:
        try:
            found = os.listdir(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise _unreadable(self.place, "", error) from error
        return sorted(name for name in filter_names(found, pattern) if (self.path / name).is_file())

    def walk(self, on_unreadable: Callable[[str, str], None]) -> Iterator[tuple[str, int]]:
        def failed(error: OSError) -> None:
            at = os.path.relpath(error.filename, self.path)
            on_unreadable("" if at == "." else Path(at).as_posix(), error.strerror or str(error))

        for root, folders, names in os.walk(self.path, onerror=failed):
            folders.sort()
            below = Path(root).relative_to(self.path)
            for name in sorted(names):
                try:
                    size = os.stat(os.path.join(root, name)).st_size
                except OSError:
                    size = 0  # a dangling link; opening it says why
                yield (below / name).as_posix(), size

    def open(self, name: str) -> BinaryIO:
        try:
            return retried(lambda: open_regular(self.path / name), f"{self.place}/{name}")
        except OSError as error:
            raise _unreadable(self.place, name, error) from error
        except MalformedError as error:
            raise self._origin(name).wrong(error) from error

    def read(self, name: str) -> bytes:
        with self.open(name) as file, self._origin(name).checked():
            check_size(os.fstat(file.fileno()).st_size, _LARGEST_READ)
            return file.read()

    def _origin(self, name: str) -> Origin:
        return Origin(f"{self.place}/{name}", remedy="Delete it, and run preprocess again.")

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        yield self.path / name

    @contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        target = self.path / name
        make_folder(target.parent)
        with atomic_write(target) as file:
            yield file

    def put_folder(self, folder: Path, name: str) -> None:
        target = self.path / name
        make_folder(target.parent)
        try:
            if target.exists():
                target.rename(folder.with_name(_OLD))  # at once: a killed run leaves no half of it
            folder.rename(target)
            shutil.rmtree(folder.with_name(_OLD), ignore_errors=True)
        except OSError as error:
            raise output_error(target, error) from error

    def remove(self, name: str) -> None:
        (self.path / name).unlink(missing_ok=True)

    def make(self) -> None:
        make_folder(self.path)

    def scratch(self, name: str) -> AbstractContextManager[Path]:
        return temporary_beside(self.path / name.replace("/", "_"), folder=True)


class RemoteStorage(Storage):
    """A folder in an object store, or whatever else fsspec reaches."""

    def __init__(self, address: str) -> None:
        import fsspec

        self.place = self.address = address.rstrip("/")
        try:
            self._files, self._root = fsspec.core.url_to_fs(self.place)
        except ImportError as error:
            raise MissingError(
                f"{self.place} needs a package that is not installed: {error}",
                remedy="Install the fsspec package of this store, for example: pip install s3fs",
            ) from error
        except ValueError as error:
            raise MissingError(
                f"{self.place} cannot be reached: {error}", remedy="Check the address."
            ) from error

    def exists(self, name: str = "") -> bool:
        # Not ``exists`` of fsspec, which takes every failure for an absence.
        try:
            self._tried(lambda: self._files.info(self._at(name)), name)
        except MissingError as error:
            if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
                return False
            raise
        return True

    def names(self, pattern: str) -> list[str]:
        self._files.invalidate_cache()
        if not self.exists():
            return []
        listed = self._tried(lambda: self._files.ls(self._root, detail=False), "")
        found = (p.rsplit("/", 1)[-1] for p in listed)
        return sorted(name for name in found if fnmatch(name, pattern))

    def walk(self, on_unreadable: Callable[[str, str], None]) -> Iterator[tuple[str, int]]:
        root = self._root.rstrip("/") + "/"
        try:
            found = self._tried(lambda: self._files.find(self._root, detail=True), "")
        except TransientError:
            raise  # half a listing, or none, is no listing
        except MissingError as error:
            on_unreadable("", str(error.__cause__))
            return
        for path, facts in sorted(found.items()):
            yield path.removeprefix(root), int(facts.get("size") or 0)

    def open(self, name: str) -> BinaryIO:
        return self._tried(lambda: self._files.open(self._at(name), "rb"), name)

    def read(self, name: str) -> bytes:
        return self._tried(lambda: self._files.cat_file(self._at(name)), name)

    def head(self, name: str, size: int) -> bytes:
        return self._tried(lambda: self._files.cat_file(self._at(name), 0, size), name)

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        with scratch_folder() as folder:
            path = folder / name.rsplit("/", 1)[-1]
            self._tried(lambda: self._files.get_file(self._at(name), os.fspath(path)), name)
            yield path

    @contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        with scratch_folder() as folder:
            path = folder / "part"
            try:
                with path.open("wb") as file:
                    yield file
            except OSError as error:
                if error.filename not in (None, os.fspath(path)):
                    raise
                raise output_error(path, error) from error
            self._put(path, name)

    def put_folder(self, folder: Path, name: str) -> None:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            self._put(path, f"{name}/{path.relative_to(folder).as_posix()}")

    def make(self) -> None:
        """Object stores have no folders."""

    def remove(self, name: str) -> None:
        if self.exists(name):
            self._tried(lambda: self._files.rm_file(self._at(name)), name)

    def _put(self, path: Path, name: str) -> None:
        at = self._at(name)

        def put() -> None:
            self._files.makedirs(at.rsplit("/", 1)[0], exist_ok=True)
            self._files.put_file(os.fspath(path), at)

        try:
            retried(put, f"writing {self.place}/{name}")
        except Exception as error:
            if not isinstance(error, OSError) and not is_transient(error):
                raise
            raise OutputError(
                f"cannot write {self.place}/{name}: {error}",
                remedy="Check the address, your rights and the space there.",
            ) from error

    def _tried(self, action: Callable[[], _T], name: str) -> _T:
        """Do something with a file (or the folder), several times if need be.

        Raises:
            MissingError: It is not there, or may not be read.
            TransientError: The store has failed each time.
            OutputError: The disk of this machine is full.
        """
        try:
            return retried(action, f"{self.place}/{name}")
        except Exception as error:
            if not isinstance(error, OSError) and not is_transient(error):
                raise
            raise _unreadable(self.place, name, error) from error

    def _at(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}" if name else self._root


def _unreadable(place: str, name: str, error: Exception) -> SyncToolError:
    shown = f"{place.rstrip('/')}/{name}" if name else place
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    if isinstance(error, FileNotFoundError):
        return MissingError(f"no such file: {shown}", remedy="Check the path.")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(
            f"{shown} has no room in {tempfile.gettempdir()}: {reason}",
            remedy="Free some space, or let TMPDIR name a folder on another disk.",
        )
    if is_transient(error):
        return TransientError(
            f"cannot read {shown}: {reason}",
            remedy="Check the connection, and run the same command again.",
        )
    return MissingError(f"cannot read {shown}: {reason}", remedy="Check its permissions.")
