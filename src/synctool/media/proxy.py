"""A small copy of a video for a page: low-resolution images and speech-quality audio, each by itself.

Both are taken from the presentation timeline, as everything that is measured is: the images with their own
times, the audio as the 16 kHz mono samples that the networks are given. They are kept apart, so that a page
can play one moved against the other. Nothing is written to the disk.

The audio begins with a sync mark, a tone burst at a known time: decoders of lossy codecs differ by tens of
milliseconds in what they cut off at the beginning, and a page that finds the mark needs to know nothing of
that.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.codec import Codec
from av.error import FFmpegError

from synctool.errors import MediaError, MissingError
from synctool.media.frames import Frame, VideoFrames
from synctool.media.rewrite import SMALLEST_PX
from synctool.media.waiting import STALL_S
from synctool.types import AUDIO_HZ, PLAYED, StreamSelection

MARK_S = 0.2
"""Middle of the sync mark in the audio."""
LEAD_IN_S = 0.6
"""Where the audio of the video begins; before it are silence and the sync mark."""
_MARK_HZ, _MARK_SIGMA_S, _MARK_PEAK = 1000.0, 0.0015, 0.7
_TIME_BASE = Fraction(1, 90_000)
_FASTEST_FPS = 60
_KEY_FRAMES = 48
"""Frames from one key frame to the next, at most: what a browser decodes for a step back."""
_SAME_S = 0.001
_SHORTEST_GAP_S = 0.1
_AUDIO_LATE_S = 10.0
_BLACK, _NO_COLOUR = 16, 128
_MARGIN = 0.94
"""Share of a limit that is planned for: containers and bursts take the rest."""

Span = tuple[float, float]
"""Start and end of a part of the video, in seconds on its timeline."""


@dataclass(frozen=True)
class Quality:
    """How well a proxy shows a video.

    Attributes:
        side_px: Longest side of its images; smaller videos keep their size.
        video_bps: Most bits a second of its images; easy ones take less.
        audio_bps: Bits a second of its audio.
    """

    side_px: int
    video_bps: int
    audio_bps: int

    @property
    def bytes_per_s(self) -> float:
        """Most bytes that a second takes, with something left for the containers."""
        return (self.video_bps + self.audio_bps) / 8 / _MARGIN


QUALITIES = (
    Quality(640, 280_000, 40_000),
    Quality(480, 150_000, 32_000),
    Quality(352, 80_000, 24_000),
)
"""The best one first."""
EXCERPT_QUALITY = QUALITIES[1]
"""That of excerpts: of the smallest one, lips can hardly be read."""


@dataclass(frozen=True)
class ProxyPart:
    """A part of a video, and where it lies in something that was made of it.

    Attributes:
        at_s: Where it begins there.
        start_s: Where it begins on the timeline of the video.
        end_s: Where it ends on the timeline of the video.
    """

    at_s: float
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Proxy:
    """A small copy of a video, or of parts of it.

    Attributes:
        video: The images without audio, a file of the type ``video_type``.
        video_type: For example ``video/mp4``.
        size_px: Width and height.
        frame_s: Usual time from one frame to the next.
        video_parts: What the images show, in order and without gaps.
        audio: The audio, a file of the type ``audio_type``, after ``LEAD_IN_S`` with the sync mark.
        audio_type: For example ``audio/mpeg``.
        audio_parts: What is heard; each part reaches beyond that of the images, so that the audio can be
            moved. Their ``at_s`` count from the end of the lead-in.
    """

    video: bytes
    video_type: str
    size_px: tuple[int, int]
    frame_s: float
    video_parts: tuple[ProxyPart, ...]
    audio: bytes
    audio_type: str
    audio_parts: tuple[ProxyPart, ...]

    @property
    def bytes(self) -> int:
        """Size of both files."""
        return len(self.video) + len(self.audio)


@dataclass(frozen=True)
class _Coding:
    """An encoder, the container of what it gives, and its options.

    Attributes:
        encoder: FFmpeg's name.
        container: FFmpeg's name.
        type: MIME type of the files.
        options: Of the encoder.
    """

    encoder: str
    container: str
    type: str
    options: tuple[tuple[str, str], ...] = ()


_VIDEO = (
    # Without B-frames nothing is shown before time 0, and no player needs an edit list.
    _Coding("libx264", "mp4", "video/mp4", (("preset", "veryfast"), ("crf", "25"), ("bf", "0"))),
    _Coding(
        "libvpx-vp9", "webm", "video/webm",
        (("deadline", "realtime"), ("cpu-used", "7"), ("row-mt", "1"), ("crf", "34"), ("lag-in-frames", "0")),
    ),
)  # fmt: skip
_AUDIO = (
    # Every browser decodes MP3, also those that are built without licensed codecs.
    _Coding("libmp3lame", "mp3", "audio/mpeg"),
    _Coding("flac", "flac", "audio/flac"),
)


class _TooLarge(Exception):
    """A proxy has outgrown its limit."""


def make_proxy(
    path: str | os.PathLike[str],
    *,
    duration_s: float,
    limit_bytes: float,
    excerpt: Sequence[Span] | None = None,
    pad_s: float = 0.0,
    streams: StreamSelection = PLAYED,
    allow_external: bool = False,
    stall_timeout: float = STALL_S,
    on_progress: Callable[[float], None] | None = None,
) -> Proxy:
    """Read a video once more and make a small copy of it, as good as the limit allows.

    Args:
        path: The video, which can be read again.
        duration_s: Its length.
        limit_bytes: Most bytes of both files.
        excerpt: The parts wanted, in order and without overlap; None for the whole video.
        pad_s: How far the audio of each part reaches beyond its images.
        streams: Which of its streams.
        allow_external: Whether a playlist may name local files outside its folder.
        stall_timeout: Longest wait for a frame, in seconds; 0 waits for ever.
        on_progress: Told the time on the timeline that has been reached.

    Raises:
        MissingError: There is no such video, or this FFmpeg has none of the encoders.
        MediaError: It cannot be read or encoded, or not within the limit.
    """
    parts = tuple(excerpt) if excerpt is not None else ((0.0, duration_s),)
    seconds = sum(end - start for start, end in parts)
    fitting = [q for q in QUALITIES if seconds * q.bytes_per_s <= limit_bytes]
    for quality in fitting or QUALITIES[-1:]:
        video = VideoFrames(
            path,
            streams=streams,
            max_side_px=quality.side_px,
            allow_external=allow_external,
            stall_s=stall_timeout,
        )
        if excerpt is not None:
            video.keep_only(parts)
        with video:
            try:
                return _encoded(video, quality, parts, limit_bytes, pad_s, on_progress)
            except _TooLarge:
                continue
            except FFmpegError as error:
                reason = error.strerror or str(error)
                raise MediaError(
                    f"a small copy cannot be encoded: {reason}",
                    remedy="Use --no-player, and report the video.",
                ) from error
    raise MediaError(
        f"a small copy does not fit into {limit_bytes / 1e6:.1f} MB", remedy="Allow more megabytes."
    )


def sync_mark(rate: int = AUDIO_HZ) -> np.ndarray:
    """What the audio of a proxy begins with: int16 ``[LEAD_IN_S * rate]``."""
    t = np.arange(round(LEAD_IN_S * rate)) / rate - MARK_S
    burst = np.exp(-0.5 * (t / _MARK_SIGMA_S) ** 2) * np.cos(2 * np.pi * _MARK_HZ * t)
    return np.round(_MARK_PEAK * 32767 * burst).astype(np.int16)


def _encoded(
    video: VideoFrames,
    quality: Quality,
    parts: Sequence[Span],
    limit_bytes: float,
    pad_s: float,
    on_progress: Callable[[float], None] | None,
) -> Proxy:
    images = _Images(video, quality, parts, limit_bytes)
    audio = _Audio(parts, pad_s)
    for frame in video.frames():
        images.add(frame)
        audio.add(video.audio.pop(video.audio.available))
        if on_progress:
            on_progress(frame.time_s)
        past_s = frame.time_s - audio.end_s
        if past_s > 0 and (audio.complete or past_s > _AUDIO_LATE_S):
            break
    audio.add(video.audio.pop(video.audio.available))
    images.finish()
    audio_file, audio_type = audio.encoded(quality.audio_bps)
    video_file = images.file
    if len(video_file) + len(audio_file) > limit_bytes:
        raise _TooLarge
    return Proxy(
        video_file,
        images.coding.type,
        images.size_px,
        images.frame_s,
        images.parts,
        audio_file,
        audio_type,
        audio.parts,
    )


class _Images:
    """Encodes the frames of the parts that are wanted, one part right after the other."""

    def __init__(
        self, video: VideoFrames, quality: Quality, parts: Sequence[Span], limit_bytes: float
    ) -> None:
        self.coding = _available(_VIDEO)
        self._video, self._quality, self._limit = video, quality, limit_bytes
        at = [0.0, *np.cumsum([end - start for start, end in parts]).tolist()]
        self.parts = tuple(ProxyPart(a, start, end) for a, (start, end) in zip(at, parts))
        self.size_px = (0, 0)
        self._buffer = io.BytesIO()
        self._copy: Any = None
        self._stream: Any = None
        self._number = 0
        self._before: Frame | None = None
        self._last_stamp = -1
        self._gaps: list[float] = []

    def add(self, frame: Frame) -> None:
        """Take the next frame of the video."""
        if self._copy is None:
            self._begin(frame)
        while self._number < len(self.parts):
            part = self.parts[self._number]
            if frame.time_s < part.start_s:
                break
            entered = self._before is None or self._before.time_s < part.start_s
            if entered and frame.time_s - part.start_s > _SAME_S:
                # What is on screen when the part begins: the frame before, and nothing before the first.
                self._encode(self._before or _black(frame), part.at_s)
            if frame.time_s < part.end_s:
                self._encode(frame, part.at_s + frame.time_s - part.start_s)
                break
            self._close_part()
        if self._before is not None:
            self._gaps.append(frame.time_s - self._before.time_s)
        self._before = frame

    def finish(self) -> None:
        """No frame follows."""
        if self._copy is None or self._before is None:
            raise MediaError("there is no frame to show", remedy="Use --no-player.")
        while self._number < len(self.parts):
            if self._before.time_s < self.parts[self._number].start_s:
                self._encode(self._before, self.parts[self._number].at_s)
            self._close_part()
        self._mux(self._stream.encode(None))
        self._copy.close()

    @property
    def file(self) -> bytes:
        """What was written."""
        return self._buffer.getvalue()

    @property
    def frame_s(self) -> float:
        """Usual time from one frame to the next."""
        return max(float(np.median(self._gaps or [1 / 25])), 1 / _FASTEST_FPS)

    def _begin(self, first: Frame) -> None:
        self.size_px = first.size_px
        if min(self.size_px) < SMALLEST_PX:
            raise MediaError("its images are too small to be encoded", remedy="Use --no-player.")
        self._copy = av.open(self._buffer, "w", format=self.coding.container)
        rate = self._quality.video_bps
        options = {
            **dict(self.coding.options),
            "maxrate": str(rate),
            "bufsize": str(2 * rate),
            "g": str(_KEY_FRAMES),
        }
        fps = Fraction(min(self._video.source.video_fps, _FASTEST_FPS) or 25).limit_denominator(
            1001
        )
        stream: Any = self._copy.add_stream(self.coding.encoder, rate=fps, options=options)
        stream.width, stream.height = self.size_px
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = _TIME_BASE
        if self.coding.encoder != "libx264":  # which has the rate as a bound of its quality
            stream.bit_rate = rate
        if self._video.colour_matrix is not None:
            stream.codec_context.colorspace = self._video.colour_matrix
        self._stream = stream

    def _close_part(self) -> None:
        """Hold the last frame where the part ends later."""
        part = self.parts[self._number]
        end_s = part.at_s + part.end_s - part.start_s
        shown_s = self._last_stamp * float(_TIME_BASE)
        if self._before is not None and end_s - shown_s > 2 * _SHORTEST_GAP_S:
            self._encode(self._before, end_s - _SHORTEST_GAP_S)
        self._number += 1

    def _encode(self, frame: Frame, at_s: float) -> None:
        stamp = round(at_s / _TIME_BASE)
        least = self._last_stamp + (1 / _TIME_BASE) / (_FASTEST_FPS + 1)
        if self._last_stamp >= 0 and stamp < least:
            return
        self._last_stamp = stamp
        encodable = frame.encodable(self.size_px)
        encodable.pts, encodable.time_base = stamp, _TIME_BASE
        self._mux(self._stream.encode(encodable))

    def _mux(self, packets: Sequence[av.Packet]) -> None:
        for packet in packets:
            self._copy.mux(packet)
        if self._buffer.tell() > self._limit:
            raise _TooLarge


class _Audio:
    """Keeps the samples of the parts that are wanted, and encodes them."""

    def __init__(self, parts: Sequence[Span], pad_s: float) -> None:
        self._parts = [
            (math.floor(max(start - pad_s, 0.0) * AUDIO_HZ), math.ceil((end + pad_s) * AUDIO_HZ))
            for start, end in parts
        ]
        self._kept: list[list[np.ndarray]] = [[] for _ in parts]
        self._at = 0
        self.end_s = self._parts[-1][1] / AUDIO_HZ

    @property
    def complete(self) -> bool:
        """Whether all parts are there."""
        return self._at >= self._parts[-1][1]

    @property
    def parts(self) -> tuple[ProxyPart, ...]:
        """Where each part lies, from the end of the lead-in."""
        found, at = [], 0
        for (start, _), kept in zip(self._parts, self._kept):
            count = sum(block.size for block in kept)
            found.append(ProxyPart(at / AUDIO_HZ, start / AUDIO_HZ, (start + count) / AUDIO_HZ))
            at += count
        return tuple(found)

    def add(self, samples: np.ndarray) -> None:
        """Take the next samples of the video."""
        for (start, end), kept in zip(self._parts, self._kept):
            own = samples[max(start - self._at, 0) : max(end - self._at, 0)]
            if own.size:
                kept.append(own)
        self._at += samples.size

    def encoded(self, bit_rate: int) -> tuple[bytes, str]:
        """The file and its type."""
        coding = _available(_AUDIO)
        buffer = io.BytesIO()
        with av.open(buffer, "w", format=coding.container) as copy:
            stream: Any = copy.add_stream(coding.encoder, rate=AUDIO_HZ, layout="mono")
            stream.bit_rate = bit_rate
            for frame in self._frames(stream.codec_context.format.name):
                copy.mux(stream.encode(frame))
            copy.mux(stream.encode(None))
        return buffer.getvalue(), coding.type

    def _frames(self, sample_format: str) -> Iterator[av.AudioFrame]:
        samples = np.concatenate([sync_mark(), *(b for kept in self._kept for b in kept)])
        resampler = av.AudioResampler(sample_format, "mono", AUDIO_HZ)
        for start in range(0, samples.size, AUDIO_HZ):
            block = np.ascontiguousarray(samples[None, start : start + AUDIO_HZ])
            frame = av.AudioFrame.from_ndarray(block, "s16", "mono")
            frame.sample_rate, frame.pts = AUDIO_HZ, start
            frame.time_base = Fraction(1, AUDIO_HZ)
            yield from resampler.resample(frame)


def _available(codings: Sequence[_Coding]) -> _Coding:
    for coding in codings:
        try:
            Codec(coding.encoder, "w")
        except ValueError:
            continue
        return coding
    names = " nor ".join(coding.encoder for coding in codings)
    raise MissingError(
        f"the FFmpeg of this PyAV has no encoder {names}",
        remedy="Install PyAV from PyPI, whose wheels carry the common ones: pip install av",
    )


def _black(frame: Frame) -> Frame:
    luma, blue, red = frame.planes
    blank = (
        np.full_like(luma, _BLACK),
        np.full_like(blue, _NO_COLOUR),
        np.full_like(red, _NO_COLOUR),
    )
    return Frame(0.0, 0.0, blank)
