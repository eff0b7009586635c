"""Videos that are sent, written to the disk as they come: never whole in memory, and within limits."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anyio import to_thread
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from synctool.errors import SyncToolError, UsageError
from synctool.files import output_error
from synctool.settings.serve import ServeSettings

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_WRITTEN_AT_ONCE = 1 << 20
_CHECKED_EVERY = 64 << 20
_LONGEST_FIELD = 4096
_MOST_PARTS = 16
_FORM_BYTES = 16 << 10
"""What a form may have beside the video."""
_DRAINED_S, _DRAINED_BYTES = 2.0, 256 << 20
LEAST_BYTES = 32 << 10
"""An upload of which less has come within the time of ``--upload-timeout`` is given up: a byte now and then
would keep a place for ever. At 30 s that is 1.1 kB/s."""


class TooLargeError(UsageError):
    """The video is larger than is allowed."""


class TooSlowError(SyncToolError):
    """Nothing has come for too long."""


@dataclass
class Upload:
    """What has come: the name of the video, and the other fields of a form."""

    name: str
    fields: dict[str, str]
    size_bytes: int = 0


class Receiver:
    """Writes what comes to a file.

    Args:
        chunks: The body of the request.
        path: The file.
        settings: Limits.
        check_room: Raises where the disk is full.
    """

    def __init__(
        self,
        chunks: AsyncIterator[bytes],
        path: Path,
        settings: ServeSettings,
        check_room: Callable[[int], None],
    ) -> None:
        self._chunks, self._path = chunks, path
        self._most_bytes = int(settings.upload_mb * 1e6)
        self._wait_s = settings.upload_timeout
        self._check_room = check_room
        self._buffer = bytearray()
        self._checked = 0
        self._size = 0

    def check_told(self, size_bytes: int | None) -> None:
        """See what is told of the size, before anything comes.

        Raises:
            TooLargeError: It is too large.
        """
        if size_bytes is not None and size_bytes > self._most_bytes + _FORM_BYTES:
            raise self._too_large()

    async def body(self, name: str) -> Upload:
        """The body is the video.

        Raises:
            SyncToolError: It is too large, too slow or empty, or cannot be written.
        """
        with await self._opened() as file:
            async for chunk in self._timely():
                await self._take(file, chunk)
            await self._finish(file)
        return Upload(name, {}, self._size)

    async def form(self, content_type: str) -> Upload:
        """The body is a form with the video in its field ``file``.

        Raises:
            SyncToolError: As of ``body``; or it is no such form.
        """
        form = _Form(content_type, self._buffer)
        with await self._opened() as file:
            async for chunk in self._timely():
                form.feed(chunk)
                await self._take(file, b"")
            form.finish()
            await self._finish(file)
        return Upload(form.name, form.fields, self._size)

    async def drain(self) -> None:
        """Read on for a moment, after a refusal: who is still sending would not read the answer before."""
        with suppress(Exception):
            await asyncio.wait_for(self._drained(), _DRAINED_S)

    async def _drained(self) -> None:
        left = _DRAINED_BYTES
        while left > 0 and (chunk := await anext(self._chunks, b"")):
            left -= len(chunk)

    async def _timely(self) -> AsyncIterator[bytes]:
        """The chunks, as long as they come, and fast enough."""
        clock = asyncio.get_running_loop().time
        left_s, came = self._wait_s, 0
        while True:
            began = clock()
            try:
                chunk = await asyncio.wait_for(anext(self._chunks), left_s)
            except StopAsyncIteration:
                return
            except asyncio.TimeoutError as error:
                raise self._too_slow(came) from error
            left_s, came = max(left_s - (clock() - began), 0.001), came + len(chunk)
            if came >= LEAST_BYTES:
                left_s, came = self._wait_s, 0
            yield chunk

    def _too_slow(self, came: int) -> TooSlowError:
        wait = f"{self._wait_s:g} s"
        much = (
            f"only {came} bytes have come within {wait}" if came else f"nothing has come for {wait}"
        )
        return TooSlowError(much, remedy="Send the video again.")

    async def _opened(self) -> Any:
        try:
            return await to_thread.run_sync(lambda: self._path.open("wb"))
        except OSError as error:
            raise output_error("the video", error) from error

    async def _take(self, file: Any, chunk: bytes) -> None:
        self._buffer += chunk
        if self._size + len(self._buffer) > self._most_bytes:
            raise self._too_large()
        if len(self._buffer) >= _WRITTEN_AT_ONCE:
            await self._write(file)

    def _too_large(self) -> TooLargeError:
        return TooLargeError(
            f"the video is larger than {self._most_bytes / 1e6:g} MB, which are allowed",
            remedy="Send a smaller version, or a part of it.",
        )

    async def _write(self, file: Any) -> None:
        if self._size >= self._checked:
            self._check_room(0)
            self._checked = self._size + _CHECKED_EVERY
        data = bytes(self._buffer)
        self._buffer.clear()
        self._size += len(data)
        try:
            await to_thread.run_sync(file.write, data)
        except OSError as error:
            raise output_error("the video", error) from error

    async def _finish(self, file: Any) -> None:
        """Wait until it is on the disk: what is answered for must not be lost."""
        await self._write(file)
        if not self._size:
            raise UsageError("no video has come", remedy="Send it as the field 'file' of a form.")

        def flush() -> None:
            file.flush()
            os.fsync(file.fileno())

        try:
            await to_thread.run_sync(flush)
        except OSError as error:
            raise output_error("the video", error) from error


class _Form:
    """Takes a form apart: the field ``file`` goes to a buffer, the others are short texts."""

    def __init__(self, content_type: str, video: bytearray) -> None:
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if not boundary:
            raise _no_form()
        self.name, self.fields = "", dict[str, str]()
        self._video, self._videos, self._parts, self._ended = video, 0, 0, False
        self._header, self._value = bytearray(), bytearray()
        self._field, self._text, self._is_video = "", bytearray(), False
        calls: MultipartCallbacks = {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, a, b: _extend(self._header, data[a:b]),
            "on_header_value": lambda data, a, b: _extend(self._value, data[a:b]),
            "on_header_end": self._header_done,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._all,
        }
        try:
            self._parser = MultipartParser(boundary, calls)
        except FormParserError as error:  # a boundary that is too long
            raise _no_form() from error

    def feed(self, chunk: bytes) -> None:
        """Read on.

        Raises:
            UsageError: It is no form, or one with too much beside the video.
        """
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _no_form() from error

    def finish(self) -> None:
        """Check that all has come.

        Raises:
            UsageError: It has not.
        """
        if not self._ended:
            raise _no_form()

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise _no_form()
        self._field, self._is_video = "", False
        self._header.clear()
        self._value.clear()
        self._text.clear()

    def _header_done(self) -> None:
        if self._header.lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._value))
            self._field = options.get(b"name", b"").decode("utf-8", "replace")
            self._is_video = self._field == "file"
            if self._is_video:
                self._videos += 1
                if self._videos > 1:
                    raise UsageError("a form holds two videos", remedy="Send one at a time.")
                self.name = options.get(b"filename", b"video").decode("utf-8", "replace")
        self._header.clear()
        self._value.clear()

    def _data(self, data: bytes, begin: int, end: int) -> None:
        if self._is_video:
            self._video.extend(data[begin:end])
            return
        _extend(self._text, data[begin:end])

    def _end(self) -> None:
        if not self._is_video and self._field:
            self.fields[self._field] = self._text.decode("utf-8", "replace")

    def _all(self) -> None:
        self._ended = True


def _extend(text: bytearray, data: bytes) -> None:
    """Add to what may not be long.

    Raises:
        UsageError: It is.
    """
    text.extend(data)
    if len(text) > _LONGEST_FIELD:
        raise _no_form()


def _no_form() -> UsageError:
    return UsageError(
        "this is no form with a video in it",
        remedy="Send multipart/form-data with the field 'file', or the video alone with ?name=.",
    )
