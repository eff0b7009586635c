"""What a name given for a video stands for: a file, a pipe, or something that is not opened.

Names are taken as they are given: what exists under exactly this name is meant, whatever characters
it holds. Only then is a name read as an address.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes, urlsplit

from synctool.errors import MediaError, MissingError, SyncToolError, UsageError
from synctool.names import printable

STANDARD_INPUT = "-"
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://?")
_PROTOCOLS = frozenset(
    "amqp async blob bluray cache concat concatf crypto data ffrtmpcrypt ffrtmphttp ftp gopher gophers "
    "hls http httpproxy https icecast ipfs ipns lavfi ldap magnet mmsh mmst mms pipe prompeg rist rtmp "
    "rtmpe rtmps rtmpt rtmpte rtmpts rtp rtsp sap sctp sftp smb srt srtp subfile tcp tee tls udp udplite "
    "unix ytdl zmq".split()
)
"""What FFmpeg and players take for an address without two slashes as well."""
_PROTOCOL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)[:,]")
_LOCAL_HOSTS = {"", "localhost"}
_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_NO_WAIT = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)  # neither is on Windows
_DOWNLOAD = "Download or record the video first, then give the file."


@dataclass(frozen=True)
class Place:
    """Where the bytes of a video come from.

    Attributes:
        path: What to open.
        shown: The name as the user gave it, safe to print.
        is_pipe: Whether it is read once from front to back: a pipe or the standard input.
        size_bytes: Size of a file, 0 for a pipe.
    """

    path: str
    shown: str
    is_pipe: bool
    size_bytes: int = 0


def locate(name: str | os.PathLike[str]) -> Place:
    """Find what a name stands for.

    Args:
        name: A path; a ``file:`` URL; or ``-`` for the standard input (``./-`` is a file).

    Raises:
        MissingError: No such file, or it may not be read.
        UsageError: A URL, a folder, a device, a socket or a terminal.
        MediaError: A file of 0 bytes.
    """
    text = os.fspath(name)
    shown = printable(text)
    if text == STANDARD_INPUT:
        return _standard_input()
    path = _as_path(text, shown)
    try:
        facts = os.stat(path)
        if stat.S_ISREG(facts.st_mode):
            with open(path, "rb"):
                pass
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise _missing(path, shown) from error
    except OSError as error:
        raise MissingError(
            f"cannot read {shown}: {error.strerror}", remedy="Check its name and its permissions."
        ) from error
    return _place(path, shown, facts)


def is_pipe(name: str | os.PathLike[str]) -> bool:
    """Whether a name stands for something that can be read once only: a pipe or the standard input."""
    text = os.fspath(name)
    try:
        return text == STANDARD_INPUT or stat.S_ISFIFO(os.stat(text).st_mode)
    except (OSError, ValueError):
        return False


def _as_path(text: str, shown: str) -> str:
    """The path that a name means; an address is refused."""
    if os.path.lexists(text):
        return text
    if text[:5].lower() == "file:":
        return _of_file_url(text, shown)
    match = _ADDRESS.match(text)
    scheme = match or _PROTOCOL.match(text)
    # One slash is what a path library leaves of two.
    known = scheme is not None and scheme[1].lower() in _PROTOCOLS
    if known or (match is not None and match[0].endswith("//")):
        raise UsageError(f"{shown} is a URL, and URLs are not opened", remedy=_DOWNLOAD)
    return text


def _of_file_url(text: str, shown: str) -> str:
    """The path of ``file:///a%20b.mp4``, ``file://localhost/a.mp4``, ``file:/a.mp4`` or ``file:a.mp4``."""
    rest = text[5:]
    if rest.startswith("//"):
        host = urlsplit(text).netloc
        if host.lower() not in _LOCAL_HOSTS:
            raise UsageError(
                f"{shown} names a file on another machine ({printable(host)})",
                remedy=f"A local file has three slashes, file:///folder/a.mp4. {_DOWNLOAD}",
            )
        rest = rest[2 + len(host) :]
    if os.path.lexists(rest):
        return rest
    decoded = os.fsdecode(unquote_to_bytes(os.fsencode(rest)))
    if os.name == "nt" and re.match(r"/[A-Za-z]:", decoded):
        return decoded[1:]
    return decoded


def _missing(path: str, shown: str) -> MissingError:
    remedy = "Check the path and its spelling."
    if os.name != "nt" and _WINDOWS.match(path):
        remedy = "This is a path of Windows: give the path that the file has on this machine."
    elif path != path.strip():
        remedy = "The name begins or ends with a space or a line break: check the path."
    return MissingError(f"no such file: {shown}", remedy=remedy)


def _standard_input() -> Place:
    try:
        facts = os.fstat(sys.stdin.fileno())
    except (AttributeError, OSError, ValueError) as error:
        raise MissingError(
            "there is no standard input to read a video from", remedy="Give a file."
        ) from error
    if stat.S_ISREG(facts.st_mode) and os.path.exists("/dev/stdin"):
        return _place("/dev/stdin", "the standard input", facts)
    return _place(STANDARD_INPUT, "the standard input", facts)


def _place(path: str, shown: str, facts: os.stat_result) -> Place:
    mode = facts.st_mode
    if stat.S_ISFIFO(mode) or (path == STANDARD_INPUT and stat.S_ISSOCK(mode)):
        return Place(path, shown, is_pipe=True)
    if not stat.S_ISREG(mode):
        raise _not_a_file(path, shown, mode)
    if not facts.st_size:
        raise MediaError(
            f"{shown} is empty (0 bytes)",
            remedy="Copy or download it again; in a cloud folder, make it available offline first.",
        )
    return Place(path, shown, is_pipe=path == STANDARD_INPUT, size_bytes=facts.st_size)


def _not_a_file(path: str, shown: str, mode: int) -> SyncToolError:
    if stat.S_ISDIR(mode):
        return UsageError(
            f"{shown} is a folder",
            remedy="Give the videos in it, or the folder to a command that takes folders.",
        )
    if stat.S_ISCHR(mode) and _is_terminal(path):
        return UsageError(
            f"{shown} is a terminal", remedy="Give a file, or send a video through a pipe."
        )
    kind = "a socket" if stat.S_ISSOCK(mode) else "a device"
    return UsageError(
        f"{shown} is {kind}, not a video file", remedy="Record or copy to a file first."
    )


def _is_terminal(path: str) -> bool:
    if path == STANDARD_INPUT:
        return sys.stdin.isatty()
    try:
        descriptor = os.open(path, os.O_RDONLY | _NO_WAIT)
    except OSError:
        return False
    try:
        return os.isatty(descriptor)
    finally:
        os.close(descriptor)
