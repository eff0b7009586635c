"""Opening a video, wherever it comes from, under rules that hold for everything FFmpeg may open.

A file is opened by FFmpeg itself, with the formats that read nothing but this one file. Playlists go
through ``playlists``, pipes through ``pipes``. The network is never used.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from functools import cache
from typing import Any, BinaryIO

import av
from av.container import InputContainer
from av.error import ArgumentError, ExitError, FFmpegError
from av.format import ContainerFormat
from av.stream import Stream

from synctool.errors import MediaError, MissingError, SyncToolError
from synctool.media import filetypes, pipes
from synctool.media.encryption import lacks_index, undecodable_error, undecodable_streams
from synctool.media.locating import Place, locate
from synctool.media.playlists import CONCAT, HLS, PlaylistFiles, concat_script, playlist_kind

OPEN_S = 60.0
"""Longest time that opening a video may take."""
_READING_OTHERS = {
    *{"concat", "dash", "hls", "imf", "image2", "mlv", "vobsub", "dvdvideo"},
    *{"rtp", "rtsp", "sap", "sdp", "avisynth", "vapoursynth", "webm_dash_manifest"},
}
"""Formats that open further files or addresses."""
_NO_VIDEO = {"tty", "bin", "xbin", "adf", "idf", "lavfi", "ffmetadata"}
"""Formats that turn texts into video, by the ending of their name alone."""
_ANY_ENDING = {
    "allowed_extensions": "ALL", "allowed_segment_extensions": "ALL", "extension_picky": "0",
}  # fmt: skip
"""What FFmpeg asks of the names of segments: formats and places are looked at here."""
_NO_FILE = 1  # AVFMT_NOFILE: devices
_IMAGES = {"ico", "image2pipe"}
_WITHOUT_INDEX = {"mpeg", "mpegts", "flv", "live_flv", "wtv"}
"""Formats that do not say at their beginning what streams there are."""
_DEEPLY = {"probesize": str(64 << 20), "analyzeduration": str(600 * av.time_base)}
"""How far FFmpeg looks for streams that do not come at the beginning: bytes, and microseconds."""
_AGAIN = "It is damaged, cut off, or not a video; play it in a media player to see."


class OpenedVideo:
    """A video that is open, and what belongs to it. Close it when it is no longer read.

    Attributes:
        container: FFmpeg's container.
        name: Its base name, safe to print.
        path: Of the one file that it is read from; None where there is no such file.
        undecodable: Streams that no decoder can read, by index, and why: see ``encryption``.
    """

    def __init__(
        self,
        container: InputContainer,
        place: Place,
        *,
        parts: tuple[BinaryIO | pipes.PipeReader, ...] = (),
        files: PlaylistFiles | None = None,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.container = container
        self.name = os.path.basename(place.shown) or place.shown
        self.path = None if place.is_pipe or files is not None else place.path
        self.undecodable: dict[int, str] = {}
        self._parts = parts
        self._files = files
        self._notes = notes

    @property
    def once_only(self) -> bool:
        """Whether it comes through a pipe, so that it cannot be opened a second time."""
        return any(isinstance(part, pipes.PipeReader) for part in self._parts)

    @property
    def warnings(self) -> list[str]:
        """What was found out on the way, in words; more may come while it is read."""
        return [*self._notes, *(self._files.warnings if self._files else ())]

    @property
    def missing_s(self) -> float:
        """How long the parts of a playlist are that are not there, as far as is known by now."""
        return self._files.missing_s if self._files else 0.0

    def check(self) -> None:
        """See whether everything could be read, which FFmpeg does not tell; call it at the end.

        Raises:
            MediaError: A pipe has stalled, or a playlist names what may not be read.
        """
        if self._files is not None:
            self._files.check()
        for part in self._parts:
            if isinstance(part, pipes.PipeReader) and part.failure is not None:
                raise part.failure

    def check_decodable(self, *streams: Stream | None) -> None:
        """See whether streams can be decoded at all.

        Raises:
            MediaError: One is encrypted, or its media lie in another file.
        """
        for stream in streams:
            if stream is not None and stream.index in self.undecodable:
                raise undecodable_error(self.name, stream.type, self.undecodable[stream.index])

    def stop_waiting(self) -> None:
        """Wake a thread that waits for bytes of a pipe; it finds the end."""
        for part in self._parts:
            if isinstance(part, pipes.PipeReader):
                part.close()

    def close(self) -> None:
        """Close the container, and the files behind it."""
        self.container.close()
        for part in self._parts:
            part.close()


def open_video(name: str | os.PathLike[str], *, allow_external: bool = False) -> OpenedVideo:
    """Open a video for reading.

    Args:
        name: A path, a ``file:`` URL, or ``-`` for the standard input.
        allow_external: Whether a playlist may name local files outside its folder.

    Raises:
        MissingError: No such file, or it may not be read.
        UsageError: A URL, a folder, a device or a terminal.
        MediaError: It is empty, no video, or a playlist that names what may not be read.
    """
    place = locate(name)
    if place.is_pipe:
        return _from_pipe(place)
    with open(place.path, "rb") as file:
        head = file.read(filetypes.HEAD_BYTES)
    kind = playlist_kind(head, place.path)
    if kind is not None:
        opened = _from_playlist(place, kind, allow_external)
    else:
        _refuse_others(place, head)
        opened = _from_file(place, head)
        with open(place.path, "rb") as file:
            check_streams(opened, head, file, place.size_bytes)
        return opened
    check_streams(opened, head)
    return opened


def _from_file(place: Place, head: bytes) -> OpenedVideo:
    opened = _file_opened(place, head)
    if not _may_begin_later(opened.container):
        return opened
    opened.close()
    return _file_opened(place, head, **_DEEPLY)


def _file_opened(place: Place, head: bytes, **options: Any) -> OpenedVideo:
    if not _is_text(place.path):  # can only be handed over as an open file
        source = open(place.path, "rb")
        return _opened(place, head, lambda: _open(source, **options), parts=(source,))
    # "file:" keeps names with colons from being taken for a protocol.
    name = f"file:{place.path}"
    return _opened(place, head, lambda: _open(name, protocols="file", **options))


def _may_begin_later(container: InputContainer) -> bool:
    """Whether video or audio that FFmpeg did not meet at the beginning may come later in the file."""
    videos = [s.codec_context for s in container.streams.video]
    audios = [s.codec_context for s in container.streams.audio]
    unmet = [not c.width for c in videos if c is not None]
    unmet += [not c.sample_rate for c in audios if c is not None]
    if any(unmet):
        return True
    return not (videos and audios) and container.format.name in _WITHOUT_INDEX


def _from_playlist(place: Place, kind: str, allow_external: bool) -> OpenedVideo:
    if not _is_text(place.path):
        raise MediaError(
            f"{place.shown}: a playlist cannot be read from a path that is not UTF-8",
            remedy="Rename its folder or the playlist.",
        )
    files = PlaylistFiles(place.path, shown=place.shown, allow_external=allow_external)
    if kind == HLS:
        url = f"file:{os.path.abspath(place.path)}"
        make = lambda: _open(url, only=HLS, io_open=files.open, **dict[str, Any](_ANY_ENDING))  # noqa: E731
    else:
        script = io.BytesIO(concat_script(os.path.abspath(place.path), files))
        more: dict[str, Any] = {"safe": "0"}
        make = lambda: _open(script, only=CONCAT, protocols="file", **more)  # noqa: E731
    try:
        opened = _opened(place, b"", make, files=files)
    except MediaError:
        files.check()
        if files.warnings:
            raise MissingError(files.warnings[0], remedy="Get all files of the playlist.") from None
        raise
    try:
        files.check()
    except BaseException:
        opened.close()
        raise
    return opened


def _from_pipe(place: Place) -> OpenedVideo:
    reader = pipes.PipeReader(place)
    try:
        return _from_reader(place, reader)
    except BaseException:
        reader.close()
        raise


def _from_reader(place: Place, reader: pipes.PipeReader) -> OpenedVideo:
    streamed = pipes.can_be_streamed(reader)
    head = reader.peek(1)
    if reader.failure is not None:
        raise reader.failure
    if not head:
        raise MediaError(
            f"{place.shown}: nothing came through the pipe",
            remedy="See what the program that writes to it says.",
        )
    if playlist_kind(head, "a.m3u8") is not None:
        raise MediaError(
            f"{place.shown}: a playlist cannot come through a pipe",
            remedy="Give the file, beside what it names.",
        )
    _refuse_others(place, head)
    if streamed:
        opened = _opened(place, head, lambda: _open(reader), parts=(reader,))
        check_streams(opened, head, io.BytesIO(head), len(head))
        return opened
    with_name = pipes.spooled(reader)
    try:
        kept = Place(with_name.name, place.shown, is_pipe=False, size_bytes=with_name.tell())
        note = "read through a temporary file, as this format cannot be read from a pipe"
        make = lambda: _open(f"file:{kept.path}", protocols="file")  # noqa: E731
        opened = _opened(kept, head, make, parts=(with_name, reader), notes=(note,))
        with open(kept.path, "rb") as file:
            check_streams(opened, head, file, kept.size_bytes)
    except BaseException:
        with_name.close()
        raise
    return opened


def _opened(
    place: Place, head: bytes, make: Callable[[], InputContainer], **more: Any
) -> OpenedVideo:
    try:
        return OpenedVideo(make(), place, **more)
    except FFmpegError as error:
        for part in more.get("parts", ()):
            if getattr(part, "failure", None) is not None:
                raise part.failure from error
            part.close()
        raise _unreadable(place, head, error) from error


def check_streams(
    opened: OpenedVideo, head: bytes, file: BinaryIO | None = None, size: int = 0
) -> None:
    """See what kind of streams there are, before anything is decoded; closes what is no video.

    Args:
        opened: What was opened.
        head: Its first bytes, as far as they are known.
        file: The file, where there is one.
        size: Its size in bytes.

    Raises:
        MediaError: It is no video.
    """
    container = opened.container
    try:
        format_name = container.format.name
        if format_name.endswith("_pipe") or format_name in _IMAGES:
            image = filetypes.image_kind(head)
            words = image.words if image else "a still image"
            raise _not_a_video(
                opened.name, filetypes.FileType(words, "Give the video file itself.")
            )
        if not any(s.type in ("video", "audio") for s in container.streams):
            kind = filetypes.probably(head, opened.name)
            if kind is not None:
                raise _not_a_video(opened.name, kind)
            raise MediaError(f"{opened.name} holds neither video nor audio", remedy="Give a video.")
        if file is not None:
            opened.undecodable = undecodable_streams(container, file, size)
    except BaseException:
        opened.close()
        raise


def _refuse_others(place: Place, head: bytes) -> None:
    kind = filetypes.certainly(head)
    if kind is not None:
        raise _not_a_video(os.path.basename(place.shown), kind)


def _not_a_video(name: str, kind: filetypes.FileType) -> MediaError:
    return MediaError(f"{name} cannot be read as a video: it is {kind.words}", remedy=kind.remedy)


def _unreadable(place: Place, head: bytes, error: FFmpegError) -> SyncToolError:
    name = os.path.basename(place.shown) or place.shown
    if isinstance(error, ExitError):
        return MediaError(
            f"{name} cannot be read as a video: opening it took more than {OPEN_S:g} s",
            remedy="Copy it to a local disk, or convert it to a common format.",
        )
    kind = filetypes.probably(head, place.path)
    if kind is not None:
        return _not_a_video(name, kind)
    if head[4:8] in (b"ftyp", b"mdat", b"wide", b"free", b"skip"):
        with open(place.path, "rb") as file:
            if lacks_index(file, place.size_bytes):
                return MediaError(
                    f"{name} cannot be read as a video: its index (moov) is missing, as the file is cut off",
                    remedy="Copy or download it again; a recording that broke off needs a repair tool.",
                )
    words = (error.strerror or str(error)).lower()
    if isinstance(error, ArgumentError):
        words = "its format is not known, or may open other files and is not read"
    return MediaError(f"{name} cannot be read as a video: {words}", remedy=_AGAIN)


def _open(
    source: str | BinaryIO | pipes.PipeReader,
    *,
    only: str = "",
    protocols: str = "none",
    io_open: Callable[..., BinaryIO] | None = None,
    **options: str,
) -> InputContainer:
    """FFmpeg's own opening, held to formats and protocols."""
    formats = single_file_formats() if not only else f"{only},{single_file_formats()}"
    rules = {"protocol_whitelist": protocols, "format_whitelist": formats}
    return av.open(
        source,
        "r",
        format=only or None,
        metadata_errors="replace",
        container_options=rules | options,
        timeout=(OPEN_S, None),
        io_open=io_open,
    )


@cache
def single_file_formats() -> str:
    """All formats that read nothing but the file that they are given."""
    return ",".join(n for n in sorted(av.formats_available) if not _opens_others(n))


def _is_text(path: str) -> bool:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _opens_others(name: str) -> bool:
    if set(name.split(",")) & (_READING_OTHERS | _NO_VIDEO):
        return True
    try:
        return bool(ContainerFormat(name, "r").flags & _NO_FILE)
    except ValueError:  # written only
        return True
