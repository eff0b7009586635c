"""Playlists: files that name other files, which are opened under rules of our own.

A playlist comes from untrusted sources as often as a video does. FFmpeg would open whatever it names: any
file of the user, a pipe that never ends, an address. Here everything that an HLS playlist names comes
through ``PlaylistFiles``, and FFmpeg itself may open nothing; an ffconcat script is read, its files
are checked, and FFmpeg gets a script that holds nothing else.
"""

from __future__ import annotations

import errno
import io
import os
import re
import stat
from collections import defaultdict
from collections.abc import Iterator
from typing import BinaryIO
from urllib.parse import unquote_to_bytes

from synctool.errors import MediaError, MissingError, SyncToolError
from synctool.names import printable

HLS, CONCAT = "hls", "concat"
CONCAT_MARK = b"ffconcat version"
_HLS_MARK = re.compile(rb"(?:\xef\xbb\xbf)?\s*#EXTM3U")
_HLS_SUFFIXES = (".m3u8", ".m3u")
_ENDED = b"#EXT-X-ENDLIST"
_MASTER = b"#EXT-X-STREAM-INF"
_FURTHER = re.compile(rb"^\s*#EXT-X-(?:STREAM-INF|MEDIA|I-FRAME-STREAM-INF):", re.M)
_KEY = re.compile(rb"^#EXT-X-(?:SESSION-)?KEY:(?!.*METHOD=NONE)", re.M)
_LASTS = re.compile(rb"#EXTINF:\s*(\d{1,6}(?:\.\d{1,9})?)")
_URI = re.compile(rb'[:,]\s*URI="([^"]*)"')
_LONGEST_PLAYLIST = 16 << 20
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
_KEPT = {b"duration", b"inpoint", b"outpoint", b"stream", b"exact_stream_id"}
_NUMBER = re.compile(rb"[\w.:+-]+\Z")
_OPTION = "--allow-external"
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def playlist_kind(head: bytes, path: str) -> str | None:
    """``HLS`` or ``CONCAT`` if a file is such a playlist.

    As in FFmpeg, HLS must end in ``.m3u8`` or ``.m3u``: nothing else turns into a playlist unseen.

    Args:
        head: The first bytes of the file.
        path: Its path.
    """
    if head.startswith(CONCAT_MARK):
        return CONCAT
    if b"#EXT-X-" in head and _HLS_MARK.match(head):
        if os.path.splitext(path)[1].lower() in _HLS_SUFFIXES:
            return HLS
    return None


class PlaylistFiles:
    """Opens what a playlist names, if it may be opened.

    Only regular files beside or below the playlist are, after all links are followed. What is refused
    or missing reads as an empty file, since FFmpeg takes errors there lightly; ``check`` tells.

    Args:
        playlist: Its path.
        shown: Its name, safe to print.
        allow_external: Whether local files anywhere else may be read.
    """

    def __init__(self, playlist: str, *, shown: str, allow_external: bool = False) -> None:
        self._shown = shown
        self._folder = os.path.realpath(os.path.dirname(playlist) or ".")
        self._allow_external = allow_external
        self._seen_first = False
        self.refused: SyncToolError | None = None
        self.warnings: list[str] = []
        self._lasts_s: dict[str, tuple[str, float]] = {}
        self._missing_s: dict[str, float] = defaultdict(float)

    @property
    def missing_s(self) -> float:
        """How long the parts are that are not there, of the playlist that lacks most."""
        return max(self._missing_s.values(), default=0.0)

    def open(self, url: str, flags: int = 1, options: object = None) -> BinaryIO:
        """Open one file that FFmpeg asks for, as ``av.open`` takes it for ``io_open``.

        Args:
            url: What is wanted, already joined to the playlist's own name.
            flags: FFmpeg's; only reading is wanted.
            options: FFmpeg's; unused.
        """
        if self.refused is not None:  # nothing that follows counts
            return io.BytesIO()
        try:
            file = self._opened(self._path_of(url))
            return self._as_playlist(file, url) or file
        except MissingError as error:
            self._warn(error.cause)
            playlist, seconds = self._lasts_s.pop(self._path_of(url), (url, 0.0))
            self._missing_s[playlist] += seconds
        except SyncToolError as error:
            self.refused = error
        return io.BytesIO()

    def check(self) -> None:
        """See whether everything that was asked for could be opened.

        Raises:
            MediaError: Something was refused.
        """
        if self.refused is not None:
            raise self.refused

    def checked(self, url: str) -> str:
        """The path of a file that the playlist may read, and that is no playlist itself.

        Raises:
            MissingError: It is not there.
            MediaError: It may not be read.
        """
        path = self._path_of(url)
        with self._opened(path) as file:
            head = file.read(64)
        if head.startswith(CONCAT_MARK) or _HLS_MARK.match(head):
            self._refuse(path, "which is a playlist itself", "Name its files in place of it.")
        return path

    def _path_of(self, url: str) -> str:
        """Where a file lies, if the playlist may read it."""
        named = url[5:] if url.startswith("file:") else url
        if _SCHEME.match(named) and not os.path.lexists(named):
            self._refuse(named, "and addresses are not opened", "Download its parts first.")
        if named.startswith("//"):
            named = "/" + named.lstrip("/")
        try:
            exists = os.path.lexists(named)
            if not exists and "%" in named:
                named = os.fsdecode(unquote_to_bytes(os.fsencode(named)))
            path = os.path.realpath(named)
            inside = os.path.commonpath([self._folder, path]) == self._folder
        except ValueError:  # a NUL, or another drive
            path, inside = named, False
        if not inside and not self._allow_external:
            self._refuse(
                named, "which is outside its folder", f"If you trust the playlist, use {_OPTION}."
            )
        return path

    def _opened(self, path: str) -> BinaryIO:
        """A regular file, opened without waiting for anything."""
        try:
            descriptor = os.open(path, _FLAGS)
        except (OSError, ValueError) as error:
            if getattr(error, "errno", None) in (errno.ENXIO, errno.EISDIR):
                self._refuse(path, "which is no regular file", None)
            reason = getattr(error, "strerror", None) or "no such name"
            raise MissingError(
                f"{self._shown} names {printable(os.path.basename(path))}, which cannot be read: {reason}"
            ) from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            self._refuse(path, "which is no regular file", None)
        return open(descriptor, "rb")

    def _as_playlist(self, file: BinaryIO, url: str) -> BinaryIO | None:
        """The text of a playlist as FFmpeg shall see it; None for any other file."""
        head = file.read(64)
        file.seek(0)
        if not _HLS_MARK.match(head):
            return None
        with file:
            text = _whole(file, self._shown).lstrip(b"\xef\xbb\xbf \t\r\n")
        try:
            text.decode("utf-8")
        except UnicodeDecodeError:
            raise MediaError(
                f"{self._shown} is no playlist: its text is not UTF-8", remedy="Make it anew."
            ) from None
        if _KEY.search(text):
            raise MediaError(
                f"{self._shown} is encrypted (HLS with a key)",
                remedy="Decrypt it first, with its key: ffmpeg -i playlist.m3u8 -c copy decrypted.mp4",
            )
        if self._seen_first and _FURTHER.search(text):
            # FFmpeg follows these without end, and crashes.
            self._refuse(url, "which names further playlists itself", None)
        self._seen_first = True
        self._check_named(text, url)
        if _ENDED not in text and _MASTER not in text:
            # Without an end FFmpeg would wait for more, and begin near the end.
            self._warn("the playlist has no end yet; what it names now was read")
            text += b"\n" + _ENDED + b"\n"
        return io.BytesIO(text)

    def _check_named(self, text: bytes, url: str) -> None:
        """See at once whether everything may be read: FFmpeg passes over some of it without asking."""
        folder = os.path.dirname(url[5:] if url.startswith("file:") else url)
        lasts_s = 0.0
        for line in re.split(rb"[\r\n]+", text):
            line = line.strip()
            if told := _LASTS.match(line):
                lasts_s = float(told[1])
            names = _URI.findall(line) if line.startswith(b"#") else filter(None, [line])
            for name in map(os.fsdecode, names):
                is_whole = _SCHEME.match(name) and not os.path.lexists(os.path.join(folder, name))
                path = self._path_of(name if is_whole else os.path.join(folder, name))
                if not line.startswith(b"#"):
                    self._lasts_s[path] = (url, lasts_s)

    def _refuse(self, named: str, why: str, remedy: str | None) -> None:
        raise MediaError(
            f"{self._shown} names {printable(named)}, {why}",
            remedy=remedy or "A playlist may name video files only.",
        )

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)


def concat_script(playlist: str, files: PlaylistFiles) -> bytes:
    """An ffconcat script with nothing but files that may be read, and where they begin and end.

    Args:
        playlist: Path of the script.
        files: Says which files may be read.

    Raises:
        MissingError: A file is not there.
        MediaError: It names what may not be read, or holds what is not known.
    """
    folder = os.path.dirname(playlist)
    lines = [b"ffconcat version 1.0"]
    with open(playlist, "rb") as file:
        text = _whole(file, printable(playlist))
    for number, (word, rest) in enumerate(_directives(text), 1):
        if word == b"file":
            named = os.fsdecode(_token(rest))
            within = named if named.startswith("file:") else os.path.join(folder, named)
            if _SCHEME.match(named) and not os.path.lexists(within):
                within = named
            lines.append(b"file " + _quoted(files.checked(within)))
        elif word in _KEPT and _NUMBER.match(rest):
            lines.append(word + b" " + rest)
        elif word not in (
            b"ffconcat",
            b"stream_meta",
            b"file_packet_meta",
            b"file_packet_metadata",
        ):
            shown = printable(word[:40].decode("utf-8", "replace"))
            raise MediaError(
                f"{printable(playlist)}, directive {number}: {shown} is not supported",
                remedy="Keep to file, duration, inpoint and outpoint.",
            )
    return b"\n".join(lines) + b"\n"


def _whole(file: BinaryIO, shown: str) -> bytes:
    text = file.read(_LONGEST_PLAYLIST + 1)
    if len(text) > _LONGEST_PLAYLIST:
        raise MediaError(
            f"{shown} is a playlist of more than {_LONGEST_PLAYLIST >> 20} MiB",
            remedy="Split it into shorter ones.",
        )
    return text


def _directives(text: bytes) -> Iterator[tuple[bytes, bytes]]:
    """First word and rest of every line, as FFmpeg splits them."""
    for line in re.split(rb"[\r\n\0]+", text):
        words = line.strip(b" \t").split(None, 1)
        if words and not words[0].startswith(b"#"):
            yield words[0], words[1] if len(words) > 1 else b""


def _token(text: bytes) -> bytes:
    """The first token of a text under FFmpeg's rules of quoting and escaping."""
    token, at, kept = bytearray(), 0, 0
    while at < len(text):
        char = text[at : at + 1]
        if char in b" \t":
            break
        if char == b"\\" and at + 1 < len(text):
            token += text[at + 1 : at + 2]
            at += 2
        elif char == b"'":
            end = text.find(b"'", at + 1)
            end = len(text) if end < 0 else end
            token += text[at + 1 : end]
            at = end + 1
        else:
            token += char
            at += 1
        kept = len(token)
    return bytes(token[:kept])


def _quoted(path: str) -> bytes:
    return b"'file:" + os.fsencode(path).replace(b"'", rb"'\''") + b"'"
