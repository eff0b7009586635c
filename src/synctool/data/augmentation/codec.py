"""Loss by lossy audio codecs, those that libsndfile has, in memory."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import scipy.signal

from synctool.types import AUDIO_HZ

_PROBE_S = 0.5
_LEAST_LIKENESS = 0.5


@dataclass(frozen=True)
class Codec:
    """A way to store audio.

    Attributes:
        name: What it is known as.
        format: libsndfile's name of the container.
        subtype: libsndfile's name of the coding.
        weakest: Range of libsndfile's compression level, 0 least to 1 most; None where it has none.
        share: How often it is chosen; Opus takes several times as long as the others.
    """

    name: str
    format: str
    subtype: str
    weakest: tuple[float, float] | None
    share: float

    def through(self, audio: np.ndarray, level: float) -> np.ndarray:
        """Encode and decode: float32 ``[N]`` of the same or nearly the same length.

        Args:
            audio: float32 ``[N]`` in -1..1.
            level: 0 for the least compression in ``weakest``, 1 for the most.

        Raises:
            soundfile.SoundFileError: libsndfile cannot.
        """
        import soundfile

        more = {}
        if self.weakest is not None:
            low, high = self.weakest
            more["compression_level"] = float(np.clip(low + (high - low) * level, 0.0, high))
        file = io.BytesIO()
        soundfile.write(file, audio, AUDIO_HZ, self.subtype, format=self.format, **more)
        file.seek(0)
        return soundfile.read(file, dtype="float32")[0]


CODECS = (
    Codec("mp3", "MP3", "MPEG_LAYER_III", (0.2, 0.95), 0.35),
    Codec("vorbis", "OGG", "VORBIS", (0.3, 1.0), 0.40),
    Codec("opus", "OGG", "OPUS", (0.90, 0.99), 0.05),
    Codec("gsm", "WAV", "GSM610", None, 0.20),
)


@lru_cache(maxsize=1)
def aligned_codecs() -> tuple[tuple[Codec, int], ...]:
    """The codecs that this libsndfile has, each with its delay in samples.

    The delay is measured on a made-up waveform, and not believed; a codec whose audio cannot be found in
    what comes out is left out.
    """
    import soundfile

    found = []
    for codec in CODECS:
        try:
            delay = delay_samples(partial(codec.through, level=0.5))
        except (soundfile.SoundFileError, TypeError, ValueError):  # not in this build of libsndfile
            continue
        if delay is not None:
            found.append((codec, delay))
    return tuple(found)


def delay_samples(through: Callable[[np.ndarray], np.ndarray]) -> int | None:
    """By how much a codec delays audio, measured on a made-up one.

    Args:
        through: Encodes and decodes float32 ``[N]`` in -1..1.

    Returns:
        Samples; None where the audio cannot be found in what comes out.
    """
    rng = np.random.default_rng(0)
    loud = np.repeat(rng.random(25), int(_PROBE_S * AUDIO_HZ) // 25)
    probe = scipy.signal.lfilter([0.1], [1, -0.9], rng.normal(0, 1, loud.size) * loud)
    probe = (probe / np.abs(probe).max() / 2).astype(np.float32)
    decoded = through(probe)
    scores = scipy.signal.correlate(decoded, probe, method="fft")
    scores /= np.linalg.norm(decoded) * np.linalg.norm(probe) + 1e-9
    return int(scores.argmax()) - (probe.size - 1) if scores.max() > _LEAST_LIKENESS else None


def put_back(decoded: np.ndarray, delay: int, size: int) -> np.ndarray:
    """What a codec gave back, in its place again.

    Args:
        decoded: float32 ``[M]``.
        delay: Of ``delay_samples``.
        size: Samples of the audio that went in.

    Returns:
        float32 ``[size]``; silence where nothing came back.
    """
    out = np.zeros(size, np.float32)
    begin = max(delay, 0)
    part = decoded[begin : begin + size - max(-delay, 0)]
    out[max(-delay, 0) :][: part.size] = part
    return out


def through_codec(audio: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Send a waveform through a codec chosen by chance, and bring it back into its place.

    Args:
        audio: float32 ``[N]``.
        rng: Random generator.
        strength: 1 for the usual range of compression, less for weaker.

    Returns:
        float32 ``[N]``; as it was where no codec is to be had, or the audio is silent.
    """
    known = aligned_codecs()
    peak = float(np.abs(audio).max(initial=0.0))
    if not known or peak < 1e-5 or not np.isfinite(peak):
        return audio
    shares = np.array([codec.share for codec, _ in known])
    codec, delay = known[int(rng.choice(len(known), p=shares / shares.sum()))]
    scale = max(1.0, peak)  # encoders cut off what is beyond 1
    decoded = codec.through((audio / scale).astype(np.float32), rng.random() * min(strength, 1.0))
    return put_back(decoded, delay, audio.size) * np.float32(scale)
