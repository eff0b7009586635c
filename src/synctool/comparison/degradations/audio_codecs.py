"""Audio through the real codecs of videos, in memory, with their delay taken back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import cast

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext

from synctool.data.augmentation.codec import delay_samples, put_back
from synctool.errors import MediaError
from synctool.media.rewrite import check_encoder
from synctool.types import AUDIO_HZ

_TIME_BASE = Fraction(1, AUDIO_HZ)
_FULL = 32767.0
_PROBE_KBIT_S = 32.0
_PADDING_S = 0.2
"""Silence after the end, so that what a codec delays comes out before it stops."""


@dataclass(frozen=True)
class AudioCodec:
    """A codec of FFmpeg.

    Attributes:
        encoder: FFmpeg's name of the encoder.
        decoder: FFmpeg's name of the decoder.
        sample_format: What the encoder takes.
    """

    encoder: str
    decoder: str
    sample_format: str

    def check(self) -> None:
        """See whether it is there.

        Raises:
            MissingError: It is not.
        """
        check_encoder(self.encoder, "w")
        check_encoder(self.decoder, "r")


AUDIO_CODECS: Mapping[str, AudioCodec] = {
    "aac": AudioCodec("aac", "aac", "fltp"),
    "opus": AudioCodec("libopus", "opus", "s16"),
    "mp3": AudioCodec("libmp3lame", "mp3float", "s16p"),
}
"""By the name of the degradation."""


def through_codec(codec: AudioCodec, audio: np.ndarray, kbit_s: float) -> tuple[np.ndarray, int]:
    """Encode and decode audio.

    Args:
        codec: Which.
        audio: float32 ``[N]`` in -1..1, 16 kHz mono.
        kbit_s: Bit rate.

    Returns:
        float32 ``[N]``, nothing moved in time; and how many bytes the coded audio has.

    Raises:
        MissingError: This FFmpeg lacks the codec.
        MediaError: The codec destroys the audio, so that its delay cannot be told.
    """
    codec.check()
    decoded, size = _round_trip(codec, audio, kbit_s)
    return put_back(decoded, _delay(codec), audio.size), size


@lru_cache(maxsize=8)
def _delay(codec: AudioCodec) -> int:
    """Samples by which decoded audio is late: measured, as containers and versions differ."""
    delay = delay_samples(lambda probe: _round_trip(codec, probe, _PROBE_KBIT_S)[0])
    if delay is None:
        raise MediaError(
            f"what comes out of the codec {codec.encoder} is not what was put in",
            remedy="Install another version of PyAV.",
        )
    return delay


def _round_trip(codec: AudioCodec, audio: np.ndarray, kbit_s: float) -> tuple[np.ndarray, int]:
    """float32 ``[M]`` as the decoder gives it, and the coded bytes."""
    encoder = cast(AudioCodecContext, av.CodecContext.create(codec.encoder, "w"))
    encoder.sample_rate, encoder.layout = AUDIO_HZ, "mono"
    encoder.format, encoder.bit_rate = codec.sample_format, round(1000 * kbit_s)
    encoder.time_base = _TIME_BASE
    encoder.open()
    packets = [p for frame in _frames(audio, encoder) for p in encoder.encode(frame)]
    packets += encoder.encode(None)
    decoder = cast(AudioCodecContext, av.CodecContext.create(codec.decoder, "r"))
    decoder.extradata = encoder.extradata
    decoder.sample_rate, decoder.layout = AUDIO_HZ, "mono"
    back = av.AudioResampler(format="s16", layout="mono", rate=AUDIO_HZ)
    parts = []
    for packet in [*packets, None]:
        for frame in decoder.decode(packet):
            frame.pts = None
            parts += [f.to_ndarray().reshape(-1) for f in back.resample(frame)]
    parts += [f.to_ndarray().reshape(-1) for f in back.resample(None)]
    decoded = np.concatenate(parts).astype(np.float32) / np.float32(_FULL)
    return decoded, sum(packet.size for packet in packets)


def _frames(audio: np.ndarray, encoder: AudioCodecContext) -> Iterator[av.AudioFrame]:
    ints = np.round(np.clip(audio, -1, 1) * _FULL).astype(np.int16)
    size = encoder.frame_size
    more = round(_PADDING_S * AUDIO_HZ)
    ints = np.pad(ints, (0, more + -(ints.size + more) % size))
    convert = av.AudioResampler(format=encoder.format, layout="mono", rate=AUDIO_HZ)
    for start in range(0, ints.size, size):
        frame = av.AudioFrame.from_ndarray(ints[None, start : start + size], "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = AUDIO_HZ, start, _TIME_BASE
        for ready in convert.resample(frame):
            ready.pts, ready.time_base = start, _TIME_BASE
            yield ready
