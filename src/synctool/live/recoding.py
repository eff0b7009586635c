"""A codec that changes in the middle of a stream: noticed by what can be decoded, and followed.

FFmpeg's demuxer follows another codec of a transport stream on the same PID and hands out its packets, but a
decoder once opened stays what it is. Where nearly no packet can be decoded any more, the likely codecs are
tried on the packets at hand, and the first that reads them goes on from there.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from av import AudioCodecContext, Packet, VideoCodecContext
from av.codec import Codec
from av.error import FFmpegError

PACKETS = 25
"""So many packets are judged at a time: a second of video, half a second of audio."""
FAILED_SHARE = 0.8
"""Where more of them give no frame, the codec has changed; losses of a network spoil fewer."""
READ_SHARE, LEAST_READ = 0.7, 5
"""A codec is believed that reads so many of the packets at hand from a keyframe on."""
TRIES = 4
"""So often codecs are tried, some seconds long, until no keyframe is waited for any more."""
CODECS = {
    "video": ("h264", "hevc", "mpeg2video"),
    "audio": ("aac", "mp2", "ac3", "eac3", "aac_latm", "mp3"),
}
"""What is tried, by FFmpeg's names: codecs of broadcasts whose packets need no header beside them."""

Context = VideoCodecContext | AudioCodecContext


@dataclass(frozen=True)
class Recoded:
    """The decoder that goes on.

    Attributes:
        name: FFmpeg's name of the codec.
        context: The decoder, which has seen nothing yet.
        packets: What is to be decoded with it first.
    """

    name: str
    context: Context
    packets: tuple[Packet, ...]


class CodecWatch:
    """Watches whether the packets of one stream can be decoded.

    Args:
        kind: ``video`` or ``audio``.
        codec: Name of the codec that is decoded now.
        threads: Of a decoder for video.

    Attributes:
        unknown: Whether frames came, and no codec reads the packets that come now.
    """

    def __init__(self, kind: str, codec: str, *, threads: int) -> None:
        self._kind, self._codec, self._threads = kind, codec, threads
        self._last: deque[tuple[Packet, bool]] = deque(maxlen=PACKETS)
        self._given, self._tries = False, 0
        self.unknown = False

    def begin(self, codec: str) -> None:
        """Begin anew with a codec; its decoder may give nothing before the next keyframe."""
        self._codec = codec
        self._last.clear()
        self._given, self._tries, self.unknown = False, 0, False

    def add(self, packet: Packet, *, gave: bool) -> Recoded | None:
        """Take a packet that was decoded.

        Args:
            packet: The packet.
            gave: Whether a frame came out.

        Returns:
            The decoder to go on with, where the codec has changed.
        """
        self._given = self._given or gave
        self._last.append((packet, not gave))
        failures = sum(own for _, own in self._last)
        if len(self._last) < PACKETS or failures <= FAILED_SHARE * PACKETS:
            self._tries, self.unknown = 0, False
            return None
        packets = tuple(own for own, _ in self._last)
        found = self._reads(packets)
        if found is None:
            self._last.clear()
            self._tries += 1
            self.unknown = self._given and self._tries >= TRIES
            return None
        self.begin(found)
        return Recoded(found, self._context(found), packets)

    def _reads(self, packets: tuple[Packet, ...]) -> str | None:
        """The codec that reads most of the packets, if one does."""
        read = {c: self._frames(c, packets) for c in CODECS[self._kind] if c != self._codec}
        best = max(read, key=lambda codec: read[codec])
        return best if read[best] >= LEAST_READ else None

    def _frames(self, codec: str, packets: tuple[Packet, ...]) -> int:
        """Frames that a codec gives of the packets; 0 where it gives too few from its first one on."""
        try:
            context = self._context(codec)
        except (FFmpegError, ValueError):  # not in this FFmpeg
            return 0
        frames, first = 0, len(packets)
        for number, packet in enumerate((*packets, None)):
            try:
                came = len(context.decode(packet))
            except FFmpegError:
                continue
            first = min(first, number) if came else first
            frames += came
        return frames if frames >= READ_SHARE * (len(packets) - first) else 0

    def _context(self, codec: str) -> Any:
        context = Codec(codec, "r").create()
        if isinstance(context, VideoCodecContext):
            context.thread_type = "AUTO"
            context.thread_count = self._threads
        return context
