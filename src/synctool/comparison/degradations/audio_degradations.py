"""Audio degraded: noise, voices and music behind it, a room, clipping. Nothing moves in time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

import numpy as np
import scipy.signal

from synctool.comparison.degradations.audio_codecs import AUDIO_CODECS, through_codec
from synctool.comparison.degradations.random_state import chance
from synctool.comparison.degradations.table import degradation
from synctool.data.augmentation.augmented_audio import (
    coloured_noise,
    fitted,
    in_room,
    mixed,
    room_tail,
)
from synctool.data.augmentation.music import music
from synctool.errors import UsageError
from synctool.types import AUDIO_HZ

_FULL = 32767.0
_FRAME = AUDIO_HZ // 50
_ACTIVE_DB = 30.0
_VOICES = 6
_PITCHES = (80, 92, 97, 104, 110, 125)
_LOUD_ROOM_S = 0.5
"""Reverberation time at which a room's tail is as strong as the direct sound."""


def audio_change(name: str, level: int, *, seed: int) -> Callable[[np.ndarray], np.ndarray]:
    """What a degradation does to audio.

    Args:
        name: One that changes nothing but the audio.
        level: 1 to 5.
        seed: Of what is left to chance.

    Returns:
        Takes and gives int16 ``[N]``, 16 kHz mono.

    Raises:
        UsageError: There is no such degradation or level, or it changes the video.
        MissingError: This FFmpeg lacks the encoder.
    """
    row = degradation(name)
    value = row.value(level)
    if row.changes != "sound":
        raise UsageError(
            f"{name} does not change the audio alone", remedy="It needs the video: perturbed()."
        )
    if name in AUDIO_CODECS:
        codec = AUDIO_CODECS[name]
        codec.check()
        return _on_floats(lambda audio: through_codec(codec, audio, value)[0])
    change = _CHANGES[name]
    return _on_floats(lambda audio: change(audio, value, chance(seed, name, level)))


def at_speed(audio: np.ndarray, speed: float) -> np.ndarray:
    """Audio played faster, its pitch raised.

    Args:
        audio: int16 ``[N]``.
        speed: Above 1 for faster.

    Returns:
        int16 ``[N / speed]``; what was at ``t`` is at ``t / speed``.
    """
    if not audio.size:
        return audio
    ratio = Fraction(1 / speed).limit_denominator(1000)
    new = scipy.signal.resample_poly(_floats(audio), ratio.numerator, ratio.denominator)
    return np.round(np.clip(new, -1, 1) * _FULL).astype(np.int16)


def speech_power(audio: np.ndarray) -> float:
    """Mean power while somebody speaks: of the 20 ms frames within 30 dB of the loud ones.

    Pauses do not count, as in the active speech level of ITU-T P.56; the loud ones are the 95th
    percentile.

    Args:
        audio: float ``[N]``.
    """
    whole = audio.size // _FRAME * _FRAME
    if not whole:
        return float(np.mean(np.square(audio, dtype=np.float64))) if audio.size else 0.0
    powers = np.square(audio[:whole], dtype=np.float64).reshape(-1, _FRAME).mean(1)
    active = powers >= np.percentile(powers, 95) / 10 ** (_ACTIVE_DB / 10)
    return float(powers[active].mean())


def _behind(audio: np.ndarray, other: np.ndarray, snr_db: float) -> np.ndarray:
    """Audio with another behind it, at a ratio of speech level to noise."""
    pauses_db = 10 * np.log10((speech_power(audio) + 1e-12) / (np.mean(audio**2) + 1e-12))
    return mixed(audio, other, snr_db - pauses_db)


def _noise(audio: np.ndarray, snr_db: float, rng: np.random.Generator) -> np.ndarray:
    return _behind(audio, coloured_noise(audio.size, rng, slope=0.0), snr_db)


def _pink_noise(audio: np.ndarray, snr_db: float, rng: np.random.Generator) -> np.ndarray:
    return _behind(audio, coloured_noise(audio.size, rng, slope=0.5), snr_db)


def _babble(audio: np.ndarray, snr_db: float, rng: np.random.Generator) -> np.ndarray:
    # Backwards it keeps the voice and the rhythm of speech, and matches no mouth.
    backwards = np.ascontiguousarray(audio[::-1])
    voices = (
        fitted(scipy.signal.resample_poly(backwards, 100, pitch), audio.size, rng)
        for pitch in rng.permutation(_PITCHES)[:_VOICES]
    )
    return _behind(audio, np.asarray(sum(voices)), snr_db)


def _music(audio: np.ndarray, snr_db: float, rng: np.random.Generator) -> np.ndarray:
    return _behind(audio, music(audio.size, rng), snr_db)


def _reverb(audio: np.ndarray, rt60_s: float, rng: np.random.Generator) -> np.ndarray:
    # In a diffuse field the energy behind the direct sound grows with the reverberation time.
    return in_room(audio, room_tail(rt60_s, rng), np.sqrt(rt60_s / _LOUD_ROOM_S))


def _clipping(audio: np.ndarray, over_db: float, _: np.random.Generator) -> np.ndarray:
    peak = np.abs(audio).max()
    return np.clip(audio * np.float32(10 ** (over_db / 20)), -peak, peak)


_CHANGES: Mapping[str, Callable[[np.ndarray, float, np.random.Generator], np.ndarray]] = {
    "noise": _noise,
    "pink-noise": _pink_noise,
    "babble": _babble,
    "music": _music,
    "reverb": _reverb,
    "clipping": _clipping,
}


def _on_floats(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    def changed(audio: np.ndarray) -> np.ndarray:
        if not audio.size:
            return audio
        new = change(_floats(audio))
        # Softer where it would not fit: nothing is clipped that was not meant to be.
        return np.round(new * (_FULL / max(1.0, float(np.abs(new).max())))).astype(np.int16)

    return changed


def _floats(audio: np.ndarray) -> np.ndarray:
    return audio.astype(np.float32) / np.float32(_FULL)
