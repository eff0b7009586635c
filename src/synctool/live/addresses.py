"""What is given as a source of ``synctool live``: a file, a pipe, a stream of the network, a device."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from synctool.errors import UsageError
from synctool.media.locating import STANDARD_INPUT, is_pipe, locate
from synctool.names import printable

Kind = Literal["file", "pipe", "stream", "device"]
SCHEMES = ("udp", "rtp", "srt", "rist", "rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "tcp")
"""Schemes of addresses; ``media/stream_opening.py`` knows how each is read."""
DEVICE = "device:"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_LABEL = re.compile(r"([A-Za-z0-9][\w .-]{0,63})=(.+)", re.S)


@dataclass(frozen=True)
class LiveAddress:
    """A source.

    Attributes:
        label: Its name in events, metrics and the view, safe to print.
        where: What to open: a path, ``-``, an address, or for a device ``FORMAT:NAME``.
        kind: What it is.
    """

    label: str
    where: str
    kind: Kind

    @property
    def endless(self) -> bool:
        """Whether its end is a loss, after which it is opened again."""
        return self.kind in ("stream", "device")

    @property
    def scheme(self) -> str:
        """Of an address, in small letters; empty for all else."""
        return self.where.split(":", 1)[0].lower() if self.kind == "stream" else ""


def live_addresses(given: list[str]) -> list[LiveAddress]:
    """All sources of a run, each with a name of its own.

    Raises:
        UsageError: A source that cannot be one, two of one name, or the standard input twice.
        MissingError: A file that is not there.
    """
    found = [live_address(text) for text in given]
    for number, address in enumerate(found):
        if any(other.label == address.label for other in found[:number]):
            raise UsageError(
                f"two sources are called {address.label!r}",
                remedy="Give one a name of its own: NAME=SOURCE.",
            )
    return found


def live_address(text: str) -> LiveAddress:
    """What a text stands for.

    Args:
        text: ``[NAME=]SOURCE`` with a path, ``-``, an address, or ``device:FORMAT:NAME``.

    Raises:
        UsageError: It cannot be a source.
        MissingError: A file that is not there.
        MediaError: An empty file.
    """
    named = _LABEL.fullmatch(text)
    if named and not os.path.exists(text):
        label, rest = named[1].strip(), named[2]
        if not _is_address_with_equals(text):
            own = live_address(rest)
            return LiveAddress(printable(label), own.where, own.kind)
    if text == STANDARD_INPUT or is_pipe(text):
        return LiveAddress("stdin" if text == STANDARD_INPUT else _base(text), text, "pipe")
    if text.lower().startswith(DEVICE):
        return _device(text)
    scheme = _SCHEME.match(text)
    if scheme and not os.path.exists(text) and scheme[1].lower() != "file":
        return _stream(text, scheme[1].lower())
    _refuse_device_file(text)
    place = locate(text)
    return LiveAddress(_base(place.shown), text, "file")


def _is_address_with_equals(text: str) -> bool:
    scheme = _SCHEME.match(text)
    return bool(scheme) or text.lower().startswith(DEVICE)


def _stream(text: str, scheme: str) -> LiveAddress:
    if scheme not in SCHEMES:
        raise UsageError(
            f"{printable(scheme)} is no kind of stream that is read",
            remedy=f"Give a file, - for the standard input, or an address of {', '.join(SCHEMES)}.",
        )
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise UsageError(f"{printable(text)} is no address: {error}", remedy="Check it.") from error
    if not host and not (scheme in ("udp", "rtp") and port):
        raise UsageError(f"{printable(text)} names no host", remedy="Check the address.")
    # Without name, password and query, which may hold a key.
    shown = f"{scheme}://{host}{'' if port is None else f':{port}'}{parts.path}"
    return LiveAddress(printable(shown), text, "stream")


def _device(text: str) -> LiveAddress:
    format_name, _, device = text[len(DEVICE) :].partition(":")
    if not format_name or not device:
        raise UsageError(
            f"{printable(text)} names no device",
            remedy="Give device:FORMAT:NAME as FFmpeg has them: device:avfoundation:0:0",
        )
    return LiveAddress(printable(device), f"{format_name}:{device}", "device")


def _refuse_device_file(text: str) -> None:
    try:
        mode = os.stat(text).st_mode
    except (OSError, ValueError):
        return
    if stat.S_ISCHR(mode):
        raise UsageError(
            f"{printable(text)} is a device, and its kind is not known",
            remedy=f"Give device:FORMAT:{printable(text)}, or let FFmpeg write to a pipe: "
            f"ffmpeg -f v4l2 -i {printable(text)} -f alsa -i default -f mpegts - | synctool live -",
        )


def _base(shown: str) -> str:
    return printable(os.path.basename(shown) or shown)
