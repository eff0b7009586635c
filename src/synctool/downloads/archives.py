"""Unpacks zip and tar archives into a folder: never outside of it, resumable, one file at a time.

An archive may be split over several files, which are read in place. Each member appears under its
name when it is complete, so a member that is there with the right size is not unpacked again. What an
archive held is listed in ``.synctool/ARCHIVE.members`` (CRC-32, size, name), for the time when the
archive itself is gone.
"""

from __future__ import annotations

import io
import json
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

from synctool.disk_space import amount, check_space
from synctool.downloads.archive_members import Names
from synctool.downloads.failures import DownloadError
from synctool.downloads.joined_files import JoinedFiles
from synctool.downloads.receipt import OWN_FOLDER
from synctool.errors import OutputError, SyncToolError
from synctool.files import atomic_write, make_folder, output_error
from synctool.untrusted.documents import parse_json, typed

_CHUNK = 1 << 20
_BUFFER = 1 << 20
_LOOK_AT_SPACE = 64 << 20
_MOST_RATIO = 1032
"""Deflate makes nothing smaller than this part of it (zlib's own figure)."""
_MOST_OVER_ESTIMATE = 3
_DAMAGE = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    ValueError,
)

OnBytes = Callable[[int, int], None]
"""Progress callback: bytes done, bytes in all."""


@dataclass(frozen=True)
class _Member:
    """One file in an archive; ``crc`` is None where the archive does not say."""

    name: str
    size: int
    crc: int | None
    info: zipfile.ZipInfo | tarfile.TarInfo


def unpack(
    name: str,
    parts: Sequence[Path],
    folder: Path,
    *,
    own: Sequence[str],
    estimate: int = 0,
    anew: bool = False,
    on_bytes: OnBytes = lambda done, total: None,
) -> int:
    """Unpack an archive.

    Args:
        name: Its name, whose ending tells its kind.
        parts: The files that it is made of, in order.
        folder: Where its members go.
        own: Paths in the folder that no member may take.
        estimate: Bytes that it should hold, by the catalogue; 0 if nobody knows.
        anew: Unpack also what seems to be there.
        on_bytes: Progress callback; may raise.

    Returns:
        The number of files that it holds.

    Raises:
        DownloadError: It is damaged, encrypted, a bomb, or would write where it must not; the
            message names the member, of which nothing has been written.
        OutputError: There is no room, or the disk does not take it.
    """
    with JoinedFiles(parts) as raw, io.BufferedReader(raw, _BUFFER) as stream:
        job = _Unpacking(name, raw.size, folder, Names(name, folder, own), estimate, anew, on_bytes)
        try:
            if name.lower().endswith(".zip"):
                with zipfile.ZipFile(stream) as archive:
                    return job.unpack_zip(archive)
            with tarfile.open(fileobj=stream, mode="r:*") as archive:
                return job.unpack_tar(archive, raw)
        except SyncToolError:
            raise
        except _DAMAGE as error:
            raise _damaged(name, error) from error
        except OSError as error:
            raise output_error(folder, error) from error


def _of_archive(members: Iterator[_Member]) -> Iterator[_Member]:
    """The same members; damage that gzip reports as a failure of the system, which it is not."""
    try:
        yield from members
    except OSError as error:
        if error.errno is None:
            raise tarfile.ReadError(str(error)) from error
        raise


def _damaged(name: str, error: Exception) -> DownloadError:
    return DownloadError(
        f"{name} cannot be unpacked: {' '.join(str(error).split()) or 'it ends early'}",
        remedy="It is damaged or of an unknown kind: fetch it again with --force.",
    )


def listed_members(folder: Path, name: str) -> Iterator[tuple[str, int, int]]:
    """The files that an archive held, when it was unpacked: path, bytes, CRC-32.

    Raises:
        OSError: The list is not there.
        ValueError: It is damaged.
    """
    with _list_path(folder, name).open(encoding="utf-8") as lines:
        for line in lines:
            crc, size, path = line.rstrip("\n").split(" ", 2)
            yield typed(parse_json(path), str), int(size), int(crc, 16)


def _list_path(folder: Path, name: str) -> Path:
    return folder / OWN_FOLDER / f"{name.replace('/', '_')}.members"


class _Unpacking:
    """The unpacking of one archive."""

    def __init__(
        self,
        name: str,
        size: int,
        folder: Path,
        names: Names,
        estimate: int,
        anew: bool,
        on_bytes: OnBytes,
    ) -> None:
        self._name, self._size, self._folder, self._names = name, size, folder, names
        self._estimate, self._anew, self._on_bytes = estimate, anew, on_bytes
        self._temporary = folder / OWN_FOLDER / "member.part"
        self._written_since_look = 0
        self._open: Callable[[Any], IO[bytes] | None] = lambda info: None

    def unpack_zip(self, archive: zipfile.ZipFile) -> int:
        """Look at all members first, and then unpack them."""
        members: list[_Member] = []
        for info in archive.infolist():
            self._names.check(info.orig_filename, folder=info.is_dir())
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise self._names.refusal(info.filename, "is a link or a device")
            if info.flag_bits & 1:
                raise DownloadError(
                    f"{self._name} is encrypted ({info.filename})",
                    remedy="synctool cannot unpack it: use another program, with the password.",
                )
            if not info.is_dir():
                members.append(_Member(info.filename, info.file_size, info.CRC, info))
        total = sum(member.size for member in members)
        self._check_bomb(total)
        if total > self._size * _MOST_RATIO:
            raise self._bomb(total)
        missing = sum(m.size for m in members if not self._is_there(m))
        check_space(self._folder, missing, f"what {self._name} holds")
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            self._on_bytes(done, total)

        self._open = archive.open
        return self._unpack(iter(members), advance)

    def unpack_tar(self, archive: tarfile.TarFile, raw: JoinedFiles) -> int:
        """Unpack members as they come; a tar archive has no list of them."""

        def members() -> Iterator[_Member]:
            total = 0
            for info in archive:
                self._names.check(info.name, folder=info.isdir())
                if not (info.isfile() or info.isdir()):
                    raise self._names.refusal(info.name, "is a link or a device")
                total += info.size
                self._check_bomb(total)
                if info.isfile():
                    yield _Member(info.name, info.size, None, info)
            while archive.fileobj and archive.fileobj.read(_CHUNK):
                pass  # gzip has its checksum at the very end

        self._open = archive.extractfile
        return self._unpack(members(), lambda count: self._on_bytes(raw.tell(), self._size))

    def _unpack(self, members: Iterator[_Member], advance: Callable[[int], None]) -> int:
        make_folder(self._folder / OWN_FOLDER)
        count = 0
        try:
            with atomic_write(_list_path(self._folder, self._name)) as listing:
                for member in _of_archive(members):
                    crc = self._bring(member, advance)
                    row = f"{crc:08x} {member.size} {json.dumps(self._names.path(member.name))}\n"
                    listing.write(row.encode())
                    count += 1
        finally:
            self._temporary.unlink(missing_ok=True)
        if hasattr(os, "sync"):
            os.sync()  # once for all, before anybody removes the archive
        return count

    def _is_there(self, member: _Member) -> bool:
        try:
            found = (self._folder / self._names.path(member.name)).lstat()
        except OSError:
            return False
        right = stat.S_ISREG(found.st_mode) and found.st_size == member.size
        return right and not self._anew

    def _bring(self, member: _Member, advance: Callable[[int], None]) -> int:
        """Unpack a member, unless it is there, and return its CRC-32."""
        there = self._is_there(member)
        if there and member.crc is not None:
            advance(member.size)
            return member.crc
        target = self._folder / self._names.path(member.name)
        if there:  # a tar archive does not tell the checksum: it takes reading
            with self._opened(member) as source:
                return self._copy(member, source, None, advance)
        self._look_at_space(member.size)
        self._names.make_parents(target)
        try:
            with self._opened(member) as source, self._temporary.open("wb") as sink:
                crc = self._copy(member, source, sink, advance)
            os.replace(self._temporary, target)
        except OSError as error:
            if error.errno is None:
                raise tarfile.ReadError(str(error)) from error
            told = output_error(target, error)
            raise OutputError(
                told.cause,
                remedy=f"{told.remedy} The same command goes on from there.",
            ) from error
        return crc

    def _opened(self, member: _Member) -> IO[bytes]:
        content = self._open(member.info)
        if content is None:
            raise tarfile.ReadError(f"{member.name} has no content")
        return content

    def _copy(
        self,
        member: _Member,
        source: IO[bytes],
        sink: BinaryIO | None,
        advance: Callable[[int], None],
    ) -> int:
        crc = done = 0
        while chunk := source.read(_CHUNK):
            done += len(chunk)
            if done > member.size:
                raise self._names.refusal(member.name, "is larger than the archive says")
            crc = zlib.crc32(chunk, crc)
            if sink is not None:
                sink.write(chunk)
            advance(len(chunk))
        if done < member.size:
            raise EOFError(f"{member.name} ends early")
        return crc

    def _look_at_space(self, size: int) -> None:
        self._written_since_look += size
        if self._written_since_look > _LOOK_AT_SPACE:
            self._written_since_look = 0
            check_space(self._folder, size, f"the next file of {self._name}")

    def _check_bomb(self, total: int) -> None:
        if self._estimate and total > self._estimate * _MOST_OVER_ESTIMATE:
            raise self._bomb(total)

    def _bomb(self, total: int) -> DownloadError:
        return DownloadError(
            f"{self._name} of {amount(self._size)} would unpack to {amount(total)} or more"
            + (f" in place of {amount(self._estimate)}" if self._estimate else ""),
            remedy="It is not what it should be, and nothing more of it is unpacked.",
        )
