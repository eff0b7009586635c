"""An audio track decoded, moved sample by sample, and encoded again in its own codec."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.codec import Codec
from av.container import OutputContainer
from av.error import FFmpegError

from synctool.errors import MediaError
from synctool.repairing.plan import OffsetSpan
from synctool.repairing.resample import MovedSamples

_ENCODERS = {"mp3": "libmp3lame", "opus": "libopus", "amr_nb": "libopencore_amrnb"}
"""Where FFmpeg's own is missing or not finished."""
_UNFINISHED = {"dts", "truehd", "mlp", "vorbis"}
"""Encoders that FFmpeg calls experimental; those that lose quality are not used."""
_LOSSLESS = {"flac", "alac", "wavpack", "tta", "truehd", "mlp"}
_LEAST_PER_CHANNEL = {"aac": 80_000, "mp3": 64_000, "opus": 64_000}
_MOST_PER_CHANNEL = {"mp3": 160_000, "opus": 256_000}
_JITTER_S = 0.03
"""Timestamps that are off by less are taken for rounded ones."""
_BLOCK_S = 0.5


@dataclass(frozen=True)
class AudioCoding:
    """How a track is encoded.

    Attributes:
        encoder: FFmpeg's name.
        codec: Name of the codec.
        bit_rate: Bits a second, 0 where the codec needs none.
        format: Sample format.
        same: Whether it is the codec of the old track.
    """

    encoder: str
    codec: str
    bit_rate: int
    format: str
    same: bool


def encoder_for(
    stream: av.AudioStream, substitutes: Sequence[str], *, bit_rate: float = 0.0
) -> AudioCoding:
    """How to encode a track again: in its own codec, or in another where FFmpeg has no encoder for it.

    Args:
        stream: The track.
        substitutes: Encoders to be taken then, the best first.
        bit_rate: Of the track, where the container does not tell.

    Raises:
        MediaError: There is none.
    """
    own = stream.codec_context.codec.canonical_name
    wanted = [_ENCODERS.get(own, own)] if own not in _UNFINISHED else []
    for name in (*wanted, *substitutes):
        try:
            codec = Codec(name, "w")
        except ValueError:
            continue
        formats = [f.name for f in codec.audio_formats or ()]
        rates = codec.audio_rates
        if rates and stream.codec_context.sample_rate not in rates:
            continue
        same = codec.canonical_name == own
        return AudioCoding(
            name,
            codec.canonical_name,
            _bit_rate(codec.canonical_name, stream, bit_rate),
            _format(stream.codec_context.format.name, formats),
            same,
        )
    raise MediaError(
        f"FFmpeg has no encoder for the audio's codec ({own}), and its offset changes along the video",
        remedy="Write to .mkv, which can hold it as FLAC; or repair one offset with --offset-ms.",
    )


def own_coding(stream: av.AudioStream) -> AudioCoding:
    """How packets are made that stand among those of a track.

    Raises:
        MediaError: There is no encoder for its codec.
    """
    coding = encoder_for(stream, ())
    return replace(coding, bit_rate=stream.codec_context.bit_rate or coding.bit_rate)


def open_encoder(coding: AudioCoding, like: av.AudioStream) -> av.AudioCodecContext:
    """An encoder for the rate and the channels of a track, not opened yet."""
    made = cast(av.AudioCodecContext, av.CodecContext.create(coding.encoder, "w"))
    made.sample_rate = like.codec_context.sample_rate
    made.layout = like.codec_context.layout.name
    made.format = coding.format
    if coding.bit_rate:
        made.bit_rate = coding.bit_rate
    made.time_base = Fraction(1, like.codec_context.sample_rate)
    return made


def add_encoded(copy: OutputContainer, coding: AudioCoding, like: av.AudioStream) -> av.AudioStream:
    """A stream of a new file as an encoder describes it.

    Raises:
        ValueError: The container cannot hold it.
    """
    rate = like.codec_context.sample_rate
    made = cast(av.AudioStream, copy.add_stream(coding.encoder, rate=rate))
    new = made.codec_context
    new.layout, new.format = like.codec_context.layout.name, coding.format
    if coding.bit_rate:
        new.bit_rate = coding.bit_rate
    new.time_base = Fraction(1, rate)
    return made


def encoder_delay(coding: AudioCoding, like: av.AudioStream) -> tuple[int, int]:
    """Samples that an encoder puts before the first, and samples to a packet (0: any)."""
    context = open_encoder(coding, like)
    context.open()
    stamps = [p.pts for p in _silence(coding, like, 8192) if p.pts is not None]
    first = min(stamps, default=0)
    return max(0, -first), context.frame_size or 0


def silent_packets(stream: av.AudioStream, count: int) -> list[bytes]:
    """Packets of silence as a track could have had them, for containers that tell no times.

    Raises:
        MediaError: There is no encoder for its codec.
    """
    coding = own_coding(stream)
    size = encoder_delay(coding, stream)[1] or stream.codec_context.sample_rate // 25
    made = [bytes(p) for p in _silence(coding, stream, size * (count + 4))]
    return made[1 : count + 1] if len(made) > count else made[:count]


def _silence(coding: AudioCoding, like: av.AudioStream, samples: int) -> Iterator[av.Packet]:
    context = open_encoder(coding, like)
    frame = av.AudioFrame(format=coding.format, layout=context.layout.name, samples=samples)
    for plane in frame.planes:
        filling = b"\x80" if coding.format.startswith("u8") else b"\0"
        plane.update(filling * plane.buffer_size)
    frame.sample_rate, frame.pts, frame.time_base = context.sample_rate, 0, context.time_base
    yield from context.encode(frame)
    yield from context.encode(None)


class NewAudio:
    """A track whose audio is made anew; see ``tracks.TrackRepair``.

    Args:
        stream: The old track.
        coding: How it is encoded.
        spans: Offsets.
        origin: The time that they count from, seconds of the file.
        start: Where the old track begins.
        stop: Where it ends.
        begin: Nothing is played before.
        end: Nothing is played after.
        gapless: Whether the new track must begin at ``begin`` with a whole packet, as containers without
            timestamps need.
        hides_start: Whether the container can hold packets that are not played.
    """

    copied = False

    def __init__(
        self,
        stream: av.AudioStream,
        coding: AudioCoding,
        spans: Sequence[OffsetSpan],
        *,
        origin: Fraction,
        start: Fraction,
        stop: Fraction,
        begin: Fraction,
        end: Fraction,
        gapless: bool,
        hides_start: bool,
    ) -> None:
        self._stream, self._coding = stream, coding
        context = stream.codec_context
        self._rate = context.sample_rate
        first, last = spans[0], spans[-1]
        opens = start + Fraction(first.offset_s(float(start - origin)))
        closes = stop + Fraction(last.offset_s(float(stop - origin)))
        low = begin if gapless else max(begin, opens)
        self._next = math.ceil(low * self._rate)
        self._last = math.ceil(min(end, closes) * self._rate)
        self._begin = begin
        delay, size = encoder_delay(coding, stream)
        self._hides_start = hides_start or coding.codec == "opus"
        if not self._hides_start and size:
            self._next -= -delay % size
        self._shown_from = self._next if self._hides_start else math.ceil(low * self._rate)
        self._spans, self._origin = spans, origin
        self._samples: MovedSamples | None = None
        self._expected: int | None = None
        self._encoder: av.AudioStream

    def add_to(self, copy: OutputContainer) -> av.AudioStream:
        """See ``tracks.TrackRepair``.

        Raises:
            ValueError: The container cannot hold it.
        """
        self._encoder = add_encoded(copy, self._coding, self._stream)
        return self._encoder

    def push(self, packet: av.Packet) -> Iterator[av.Packet]:
        """See ``tracks.TrackRepair``."""
        try:
            frames = packet.decode()
        except FFmpegError:
            return  # a damaged packet becomes silence
        for frame in frames:
            self._take(frame)
            yield from self._ready()

    def finish(self) -> Iterator[av.Packet]:
        """See ``tracks.TrackRepair``."""
        for frame in self._stream.codec_context.decode(None):
            self._take(frame)
        if self._samples is None:
            raise MediaError(
                "nothing of the audio can be decoded",
                remedy="Play the video to see whether it is whole.",
            )
        yield from self._made(self._samples, self._last)
        yield from self._placed(self._encoder.encode(None))

    def _take(self, frame: av.AudioFrame) -> None:
        samples = frame.to_ndarray()
        channels = len(frame.layout.channels)
        if not frame.format.is_planar:
            samples = samples.reshape(-1, channels).T
        if self._samples is None:
            self._samples = MovedSamples(
                self._spans,
                origin_s=float(self._origin),
                rate=self._rate,
                last=self._last,
                dtype=samples.dtype,
                channels=channels,
            )
            self._layout, self._packed = frame.layout.name, not frame.format.is_planar
            self._format = frame.format.name
        if (frame.layout.name, frame.format.name, frame.sample_rate) != (
            self._layout, self._format, self._rate,
        ):  # fmt: skip
            raise MediaError(
                "the audio changes its rate or channels on the way",
                remedy="Convert it first, and repair the result.",
            )
        at = self._expected
        if frame.pts is not None and frame.time_base is not None:
            told = round(frame.pts * frame.time_base * self._rate)
            if at is None or abs(told - at) > _JITTER_S * self._rate:
                at = told
        at = at or 0
        self._samples.add(samples, at)
        self._expected = at + samples.shape[1]

    def _ready(self) -> Iterator[av.Packet]:
        block = round(_BLOCK_S * self._rate)
        if self._samples is not None and self._samples.ready - self._next >= block:
            yield from self._made(self._samples, min(self._samples.ready, self._last))

    def _made(self, samples: MovedSamples, stop: int) -> Iterator[av.Packet]:
        block = round(_BLOCK_S * self._rate)
        while self._next < stop:
            until = min(self._next + block, stop)
            made = samples.take(self._next, until)
            shaped = np.ascontiguousarray(made.T).reshape(1, -1) if self._packed else made
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(shaped), self._format, self._layout
            )
            frame.sample_rate, frame.time_base = self._rate, Fraction(1, self._rate)
            frame.pts = self._next
            self._next = until
            yield from self._placed(self._encoder.encode(frame))

    def _placed(self, packets: Sequence[av.Packet]) -> Iterator[av.Packet]:
        for packet in packets:
            if packet.pts is None or packet.pts >= self._shown_from or self._hides_start:
                yield packet


def _bit_rate(codec: str, stream: av.AudioStream, measured: float) -> int:
    """Bits a second for a codec: those of the track, or more where that is little."""
    if codec in _LOSSLESS or codec.startswith("pcm_"):
        return 0
    channels = stream.codec_context.layout.nb_channels
    told = max(stream.codec_context.bit_rate or 0, measured)
    if codec == stream.codec_context.codec.canonical_name and codec not in _LEAST_PER_CHANNEL:
        return round(told)
    least = _LEAST_PER_CHANNEL.get(codec, 96_000) * channels
    most = _MOST_PER_CHANNEL.get(codec, 320_000) * channels
    return min(most, max(least, round(told)))


def _format(own: str, formats: Sequence[str]) -> str:
    """The sample format of an encoder that comes closest to a track's own."""
    if not formats or own in formats:
        return own
    kinds = {f.removesuffix("p"): f for f in reversed(formats)}
    for kind in (own.removesuffix("p"), "flt", "s32", "s16"):
        if kind in kinds:
            return kinds[kind]
    return formats[0]
