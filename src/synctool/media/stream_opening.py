"""Opening a stream of the network or a device, under rules for each protocol.

Only ``synctool live`` comes here: everything else reads files and never uses the network. A stream may lead
to further addresses (a playlist to its segments), and only to those of the protocols that belong to it, never
to a file of this machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import av
from av.error import ExitError, FFmpegError, ProtocolNotFoundError

from synctool.errors import MediaError, MissingError, SyncToolError, UsageError
from synctool.media.locating import Place
from synctool.media.opening import OpenedVideo, check_streams, single_file_formats

PROBE_S = 3.0
"""So long FFmpeg looks at a stream before it says what is in it."""


@dataclass(frozen=True)
class Protocol:
    """How the addresses of one scheme are read.

    Attributes:
        allowed: FFmpeg's protocols that it may use.
        formats: FFmpeg's formats that it may use beside those of single files.
        pushed: Whether the data come at their own speed, and what is not taken in time is lost.
        options: FFmpeg's options.
    """

    allowed: str
    formats: str = ""
    pushed: bool = False
    options: tuple[tuple[str, str], ...] = ()


_WEB = Protocol("http,https,tcp,tls,httpproxy,crypto,data", "hls,dash")
_RTSP = Protocol(
    "rtsp,rtp,srtp,udp,tcp,tls",
    "rtsp,rtp,sdp",
    pushed=True,
    options=(("rtsp_flags", "prefer_tcp"),),
)
_RTMP = Protocol("rtmp,rtmps,rtmpt,tcp,tls,http,https", "live_flv", pushed=True)
_UDP = (("overrun_nonfatal", "1"), ("buffer_size", str(4 << 20)))
PROTOCOLS: dict[str, Protocol] = {
    "http": _WEB,
    "https": _WEB,
    "rtsp": _RTSP,
    "rtsps": _RTSP,
    "rtmp": _RTMP,
    "rtmps": _RTMP,
    "udp": Protocol("udp", pushed=True, options=_UDP),
    "rtp": Protocol("rtp,srtp,udp", "rtp,sdp", pushed=True, options=_UDP),
    "srt": Protocol("srt,udp", pushed=True),
    "rist": Protocol("rist,udp", pushed=True),
    "tcp": Protocol("tcp"),
}
"""By the scheme of the address."""


def open_stream(
    url: str,
    *,
    shown: str,
    open_s: float,
    silent_s: float,
    options: tuple[tuple[str, str], ...] = (),
) -> OpenedVideo:
    """Open a stream.

    Args:
        url: Its address.
        shown: Its name, safe to print.
        open_s: Longest time that opening it may take.
        silent_s: Longest wait for data later on; reading then ends with an ``ExitError``.
        options: More options of FFmpeg.

    Raises:
        MissingError: Nothing comes from there.
        MediaError: What comes is no video.
        UsageError: This FFmpeg does not know the protocol.
    """
    scheme = url.split(":", 1)[0].lower()
    protocol = PROTOCOLS[scheme]
    formats = ",".join(filter(None, [protocol.formats, single_file_formats()]))
    rules = {
        "protocol_whitelist": protocol.allowed,
        "format_whitelist": formats,
        "analyzeduration": str(round(PROBE_S * av.time_base)),
    }
    given = rules | dict(protocol.options) | dict(options)
    try:
        return _opened(url, shown, timeout=(open_s, silent_s), container_options=given)
    except ProtocolNotFoundError as error:
        raise UsageError(
            f"{shown}: the FFmpeg that PyAV comes with has no {scheme}",
            remedy=f"Let a program that has it write to a pipe: "
            f"ffmpeg -i {scheme}://... -c copy -f mpegts - | synctool live -",
        ) from error


def open_device(
    format_name: str, device: str, *, shown: str, open_s: float, silent_s: float
) -> OpenedVideo:
    """Open a camera or a capture card.

    Args:
        format_name: FFmpeg's name of the kind of device, such as ``avfoundation`` or ``dshow``.
        device: Its name, as FFmpeg takes it.
        shown: Its name, safe to print.
        open_s: Longest time that opening it may take.
        silent_s: Longest wait for data later on.

    Raises:
        UsageError: This FFmpeg has no such kind of devices.
        MissingError: The device cannot be opened.
    """
    if format_name not in av.formats_available:
        raise UsageError(
            f"{shown}: the FFmpeg that PyAV comes with has no devices of the kind {format_name!r}",
            remedy="Let a program that has them write to a pipe: "
            "ffmpeg -f v4l2 -i /dev/video0 -f alsa -i default -f mpegts - | synctool live -",
        )
    return _opened(device, shown, format=format_name, timeout=(open_s, silent_s))


def _opened(url: str, shown: str, **more: Any) -> OpenedVideo:
    try:
        container = av.open(url, "r", metadata_errors="replace", **more)
    except ProtocolNotFoundError:
        raise
    except (FFmpegError, OSError, ValueError) as error:
        raise _unreachable(shown, error, more["timeout"][0]) from error
    opened = OpenedVideo(container, Place(url, shown, is_pipe=True))
    opened.name = shown
    check_streams(opened, b"")
    return opened


def _unreachable(shown: str, error: Exception, open_s: float) -> SyncToolError:
    if isinstance(error, ExitError):
        return MissingError(
            f"{shown}: nothing came within {open_s:g} s",
            remedy="See whether the stream runs, and whether a firewall lies between.",
        )
    words = str(getattr(error, "strerror", None) or error).lower()
    if isinstance(error, FFmpegError) and "invalid data" in words:
        return MediaError(
            f"{shown}: what comes is no video ({words})", remedy="See what is sent there."
        )
    return MissingError(f"{shown} cannot be opened: {words}", remedy="Check the address.")
