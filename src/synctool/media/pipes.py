"""Video that comes through a pipe: read once from front to back, and not waited for without limit.

Most formats can be read so. An MP4 whose index comes last, an AVI and some others cannot: they are
kept in a temporary file first.
"""

from __future__ import annotations

import errno
import logging
import os
import select
import sys
import tempfile
import threading
import time
from typing import Any, BinaryIO

from synctool.errors import MediaError, MissingError
from synctool.media.locating import STANDARD_INPUT, Place
from synctool.temporaries import scratch_file

STALL_S = 30.0
"""Longest wait for the next bytes, or for a program that writes to a named pipe."""
SPOOL_BYTES = 32 << 30
"""Largest video that is kept in a temporary file."""
HEAD_BYTES = 1 << 16
_CHUNK = 1 << 18
_LOOK_S = 0.2
_TOLD_BYTES = 1 << 28
_STREAMED = (
    b"\x1a\x45\xdf\xa3",  # Matroska, WebM
    b"FLV",
    b"OggS",
    b"nm@",  # NUT
    b"\x00\x00\x01\xba",  # MPEG programme stream
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF
    b"\x1f\x07\x00",  # DV
)
_BEFORE_INDEX = {b"ftyp", b"styp", b"free", b"skip", b"wide", b"pnot", b"uuid", b"junk", b"pdin"}
_ISO = _BEFORE_INDEX | {b"moov", b"mdat", b"sidx", b"moof"}
_log = logging.getLogger("synctool.media")


class PipeReader:
    """A pipe as a file that can be read but not sought, for ``av.open``.

    It never raises while FFmpeg reads, which takes errors for the end: ``failure`` tells.

    Args:
        place: The pipe.
        stall_s: Longest wait for the next bytes.

    Raises:
        MissingError: It cannot be opened.
    """

    def __init__(self, place: Place, *, stall_s: float = STALL_S) -> None:
        self.name = place.shown
        self.failure: MediaError | None = None
        self._stall_s = stall_s
        self._held = bytearray()
        self._closed = False
        self._using = threading.Lock()
        try:
            if place.path == STANDARD_INPUT:
                self._descriptor = os.dup(sys.stdin.fileno())
            else:
                self._descriptor = os.open(place.path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        except OSError as error:
            raise MissingError(
                f"cannot read {place.shown}: {error.strerror}", remedy="Check its permissions."
            ) from error

    def read(self, count: int) -> bytes:
        """The next bytes, at least one unless the pipe has ended."""
        if not self._held:
            self._held += self._more(count)
        data = bytes(self._held[:count])
        del self._held[:count]
        return data

    def peek(self, count: int) -> bytes:
        """At least ``count`` of the next bytes, which stay to be read; fewer only at the end."""
        while len(self._held) < count and (more := self._more(count)):
            self._held += more
        return bytes(self._held)

    def close(self) -> None:
        """Stop waiting, and close the pipe; from any thread."""
        if not self._closed:
            self._closed = True
            with self._using:  # a number that is closed may be another file's at once
                os.close(self._descriptor)

    def _more(self, count: int) -> bytes:
        """What comes next, as soon as something does; nothing at the end or after a failure."""
        until = time.monotonic() + self._stall_s
        while not self._closed and self.failure is None:
            if time.monotonic() > until:
                self.failure = MediaError(
                    f"{self.name}: nothing came through the pipe for {self._stall_s:g} s",
                    remedy="See whether the program that writes to it still runs; or give a file.",
                )
                break
            with self._using:
                data = None if self._closed else _arrived(self._descriptor, max(count, HEAD_BYTES))
            if data is not None:
                return data
        return b""


def _arrived(descriptor: int, count: int) -> bytes | None:
    """What has come within a moment: nothing at the end, None if nothing has."""
    if hasattr(select, "poll"):  # on Windows a read waits as long as it takes
        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN | select.POLLHUP | select.POLLERR)
        if not waiting.poll(_LOOK_S * 1000):
            return None
    try:
        return os.read(descriptor, count)
    except BlockingIOError:
        return None


def can_be_streamed(reader: PipeReader) -> bool:
    """Whether the video in a pipe can be read from front to back, by its first bytes."""
    wanted = 16
    while True:
        head = reader.peek(wanted)
        answer = _streams(head)
        if answer is not None or len(head) < wanted or len(head) >= HEAD_BYTES:
            return bool(answer)
        wanted = len(head) + 1


def _streams(head: bytes) -> bool | None:
    """Whether a video that begins so can be streamed; None if that takes more of it."""
    if head.startswith(_STREAMED):
        return True
    if head[4:8] in _ISO:
        return _index_first(head)
    for step, start in ((188, 0), (192, 4), (204, 0)):
        if head[start : start + 1] == b"\x47":
            if len(head) < start + 3 * step:
                return None
            if set(head[start : start + 3 * step : step]) == {0x47}:
                return True
    return False


def _index_first(head: bytes) -> bool | None:
    """Whether an MP4 or MOV has its index before its media."""
    at = 0
    while at + 8 <= len(head):
        size, kind = int.from_bytes(head[at : at + 4], "big"), head[at + 4 : at + 8]
        if kind in (b"moov", b"moof"):
            return True
        if kind not in _BEFORE_INDEX or size < 8:
            return False
        at += size
    return None


def spooled(reader: PipeReader) -> BinaryIO:
    """Everything that comes through a pipe, in a named temporary file that goes when it is closed.

    Args:
        reader: The pipe.

    Raises:
        MediaError: It stalls, is too large, or there is no room for it.
    """
    kept: Any = scratch_file()
    try:
        _copy(reader, kept)
        kept.flush()
    except OSError as error:
        kept.close()
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise MediaError(
            f"{reader.name}: no room in {tempfile.gettempdir()} for the video that comes through the pipe",
            remedy="Set TMPDIR to a folder with more room, or save it and give the file.",
        ) from error
    except BaseException:
        kept.close()
        raise
    return kept


def _copy(reader: PipeReader, kept: BinaryIO) -> None:
    done, told = 0, _TOLD_BYTES
    while data := reader.read(_CHUNK):
        kept.write(data)
        done += len(data)
        if done > told:
            told += _TOLD_BYTES
            _log.info("%s: %d MB read into a temporary file", reader.name, done >> 20)
        if done > SPOOL_BYTES:
            raise MediaError(
                f"{reader.name}: more than {SPOOL_BYTES >> 30} GiB came through the pipe, in a format "
                "that must be kept whole",
                remedy="Save it and give the file; or send Matroska or an MPEG transport stream.",
            )
    if reader.failure is not None:
        raise reader.failure
