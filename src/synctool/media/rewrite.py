"""Writing a video anew, frame by frame, with video and audio changed and their sync kept.

Both are taken from the video's presentation timeline and written back to it: the new video's timeline
is the old one's. Frames stream through; of a long video no more than the 16 kHz audio is held.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, Literal

import av
import numpy as np
from av.codec import Codec
from av.container import OutputContainer
from av.error import FFmpegError

from synctool.errors import MediaError, MissingError, OutputError, UsageError
from synctool.files import atomic_path
from synctool.media.frames import Frame, VideoFrames
from synctool.types import AUDIO_HZ, PLAYED, VIDEO_FPS, StreamSelection

SUFFIX = ".mkv"
_TIME_BASE = Fraction(1, 90_000)
_HELD_BYTES = 32 << 20
_THREADS = 4  # fixed: what x264 writes depends on it
_BLOCK = AUDIO_HZ // 10
SMALLEST_PX = 16
"""Shortest side of images that are encoded."""
_FASTEST_FPS = 240


@dataclass(frozen=True)
class VideoCoding:
    """How frames are stored.

    Attributes:
        encoder: FFmpeg's name of it.
        options: Its options.
    """

    encoder: str = "libx264"
    options: Mapping[str, str] = field(default_factory=lambda: {"preset": "ultrafast", "crf": "12"})


NEAR_LOSSLESS = VideoCoding()


def rewrite(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    frames: Callable[[Iterator[Frame]], Iterable[Frame]] | None = None,
    audio: Callable[[np.ndarray], np.ndarray] | None = None,
    coding: VideoCoding = NEAR_LOSSLESS,
    fps: float | None = None,
    streams: StreamSelection = PLAYED,
    allow_external: bool = False,
) -> None:
    """Write a video anew.

    Frames are 8-bit 4:2:0, upright, with square pixels and at most 1920 px wide or high; the audio is
    16 kHz mono PCM, which is what every network is given. Frames keep their own times, to the
    millisecond that Matroska counts in.

    Args:
        source: The video.
        target: The new video; ends in ``.mkv``.
        frames: Changes the frames: takes them in order of their times and gives them so.
        audio: Changes the audio: takes and gives int16 ``[N]``, from timeline 0.
        coding: How the frames are stored.
        fps: Frames per second of what ``frames`` gives, if not the video's own.
        streams: Which of its streams, as a player takes them unless told.
        allow_external: Whether a playlist may name local files outside its folder.

    Raises:
        UsageError: The new name does not end in ``.mkv``, or there is no such audio track.
        MissingError: There is no such video, or this FFmpeg lacks the encoder.
        MediaError: The video cannot be read, or lacks video or audio.
        OutputError: The new video cannot be written.
    """
    check_target(target)
    check_encoder(coding.encoder, "w")
    with (
        VideoFrames(source, streams=streams, allow_external=allow_external) as video,
        atomic_path(target) as part,
        tempfile.SpooledTemporaryFile(_HELD_BYTES) as spool,
    ):
        try:
            # Without "bitexact" Matroska numbers its tracks by chance.
            with av.open(
                f"file:{part}", "w", format="matroska", options={"fflags": "bitexact"}
            ) as copy:
                writer = _Writer(copy, coding, fps or video.source.video_fps, video.colour_matrix)
                shown = video.frames()
                video_packets = _Packets(spool)
                for frame in frames(shown) if frames else shown:
                    video_packets.add(writer.encode(frame))
                for _ in shown:  # to the end, so that the audio is complete
                    pass
                video_packets.add(writer.finish())
                waveform = video.audio.pop(video.audio.end)
                writer.interleave(video_packets, audio(waveform) if audio else waveform)
        except FFmpegError as error:
            reason = error.strerror or str(error)
            raise OutputError(
                f"cannot write {os.fspath(target)} with {coding.encoder}: {reason}",
                remedy="See whether the disk is full; or give a video of a common size.",
            ) from error


def check_target(target: str | os.PathLike[str]) -> None:
    """See whether a video can have this name.

    Raises:
        UsageError: It does not end in ``.mkv``.
    """
    if Path(target).suffix.lower() != SUFFIX:
        raise UsageError(
            f"{os.fspath(target)}: videos are written anew as Matroska only",
            remedy=f"Give a name that ends in {SUFFIX}.",
        )


def check_encoder(name: str, mode: Literal["r", "w"]) -> None:
    """See whether FFmpeg, as PyAV carries it, has an encoder (``w``) or a decoder (``r``).

    Raises:
        MissingError: It has not.
    """
    try:
        Codec(name, mode)
    except ValueError as error:
        kind = "encoder" if mode == "w" else "decoder"
        raise MissingError(
            f"the FFmpeg of this PyAV has no {kind} {name}",
            remedy="Install PyAV from PyPI, whose wheels carry the common ones: pip install av",
        ) from error


class _Writer:
    """The streams of the new video."""

    def __init__(
        self,
        copy: OutputContainer,
        coding: VideoCoding,
        fps: float,
        matrix: int | None,
    ) -> None:
        self._copy = copy
        rate = Fraction(min(fps, _FASTEST_FPS) or VIDEO_FPS).limit_denominator(1001)
        self._video: Any = copy.add_stream(coding.encoder, rate=rate, options=dict(coding.options))
        self._video.pix_fmt = "yuv420p"
        self._video.codec_context.time_base = _TIME_BASE
        self._video.codec_context.thread_count = _THREADS
        if matrix is not None:
            self._video.codec_context.colorspace = matrix
        self._audio: Any = copy.add_stream("pcm_s16le", rate=AUDIO_HZ, layout="mono")
        self._size: tuple[int, int] | None = None
        self._last = -1

    def encode(self, frame: Frame) -> Iterable[av.Packet]:
        """Packets that are ready."""
        if self._size is None:
            width, height = frame.size_px
            if min(height, width) < SMALLEST_PX:
                raise MediaError(
                    f"frames of {width}x{height} px are too small to be stored",
                    remedy=f"Give a video of at least {SMALLEST_PX} px.",
                )
            self._size = (width, height)
            self._video.width, self._video.height = self._size
        stamp = round(frame.time_s / _TIME_BASE)
        if stamp <= self._last:
            return []
        self._last = stamp
        stored = frame.encodable(self._size)
        stored.pts, stored.time_base = stamp, _TIME_BASE
        return self._video.encode(stored)

    def finish(self) -> Iterable[av.Packet]:
        """What the encoder still holds."""
        return self._video.encode(None)

    def interleave(self, video_packets: _Packets, audio: np.ndarray) -> None:
        """Write everything, in order of time."""
        audio_packets: Iterator[Any] = self._audio_packets(audio)
        waiting = next(audio_packets, None)
        packet: Any  # whose times are known
        for packet in video_packets.read(self._video):
            while waiting is not None and waiting.dts * waiting.time_base < packet.dts * _TIME_BASE:
                self._copy.mux(waiting)
                waiting = next(audio_packets, None)
            self._copy.mux(packet)
        while waiting is not None:
            self._copy.mux(waiting)
            waiting = next(audio_packets, None)

    def _audio_packets(self, audio: np.ndarray) -> Iterator[av.Packet]:
        for start in range(0, audio.size, _BLOCK):
            part = np.ascontiguousarray(audio[None, start : start + _BLOCK], np.int16)
            frame = av.AudioFrame.from_ndarray(part, "s16", "mono")
            frame.sample_rate, frame.pts = AUDIO_HZ, start
            frame.time_base = Fraction(1, AUDIO_HZ)
            yield from self._audio.encode(frame)
        yield from self._audio.encode(None)


class _Packets:
    """Coded frames that wait for the audio, on disk where they are many."""

    def __init__(self, spool: IO[bytes]) -> None:
        self._spool = spool
        self._facts: list[tuple[int, int, int, int, bool]] = []

    def add(self, packets: Iterable[av.Packet]) -> None:
        """Keep packets."""
        for packet in packets:
            unit = packet.time_base / _TIME_BASE
            pts, dts, lasts = (
                round((n or 0) * unit) for n in (packet.pts, packet.dts, packet.duration)
            )
            self._facts.append((packet.size, pts, dts, lasts, packet.is_keyframe))
            self._spool.write(bytes(packet))

    def read(self, stream: av.VideoStream) -> Iterator[av.Packet]:
        """Give them back in order."""
        self._spool.seek(0)
        for size, pts, dts, duration, key in self._facts:
            packet = av.Packet(self._spool.read(size))
            packet.pts, packet.dts, packet.duration, packet.time_base = (
                pts,
                dts,
                duration,
                _TIME_BASE,
            )
            packet.is_keyframe, packet.stream = key, stream
            yield packet
