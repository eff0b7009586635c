"""A voice by formant synthesis: pulses of the glottis and noise, coloured by the vocal tract (source and
filter, Fant 1960; the resonances in cascade as in Klatt 1980).

Everything is a function of the time of the speech, which another function makes of the time of the audio: so
audio that is ahead, drifts or jumps is synthesized as such, exact to the sample.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from synctool.synthetic.phonemes import PAUSE, Utterance
from synctool.types import AUDIO_HZ

_FFT = 1024
_HOP = 80
"""Samples from one frame of noise to the next: 5 ms."""
_BANDWIDTHS_HZ = (80.0, 110.0, 160.0, 250.0, 350.0, 450.0, 500.0, 500.0)
_HIGHER_HZ = (3500.0, 4500.0, 5500.0, 6500.0, 7500.0)
_EDGE_S = 0.012
"""A level changes within twice this."""
_BURST_S = 0.002
_GLOTTIS_HZ = 1200.0
"""Where the spectrum of the glottis begins to fall; a lower one is a muffled voice."""
_BREATH = 0.3
"""Level of the breath in a voice."""
_BLOCK = 1024
_PEAK = 0.6
_ROOM_DB = -62.0


@dataclass(frozen=True)
class Throat:
    """Who speaks.

    Attributes:
        pitch_hz: Mean pitch.
        length: Length of the vocal tract relative to a man's: the formants are divided by it.
    """

    pitch_hz: float = 115.0
    length: float = 1.0


def speak(
    said: Utterance, speech_s: np.ndarray, throat: Throat, rng: np.random.Generator
) -> np.ndarray:
    """The audio of an utterance.

    Args:
        said: What is said.
        speech_s: ``[N]``: the time of the speech that each sample of 16 kHz plays.
        throat: Who speaks.
        rng: What the noise and the pitch are made of.

    Returns:
        float32 ``[N]`` in -1..1.
    """
    tracks = _Tracks(said, throat, rng)
    total = len(speech_s) + 2 * _FFT
    audio = np.zeros(total)
    _add_pulses(audio, tracks, speech_s, rng)
    _add_noise(audio, tracks, speech_s, rng)
    audio = audio[: len(speech_s)]
    audio *= _PEAK / max(float(np.abs(audio).max()), 1e-9)
    audio += rng.normal(size=audio.size) * 10 ** (_ROOM_DB / 20)
    return audio.astype(np.float32)


class _Tracks:
    """Pitch, levels and formants as functions of the time of the speech."""

    def __init__(self, said: Utterance, throat: Throat, rng: np.random.Generator) -> None:
        starts, ends = said.bounds_s[:-1], said.bounds_s[1:]
        lengths = ends - starts
        self._at = np.stack([starts + 0.3 * lengths, ends - 0.3 * lengths], 1).ravel()
        self._formants = said.attribute("formants_hz").repeat(2, 0) / throat.length
        edge = np.minimum(_EDGE_S, lengths / 4)
        self._voice = (
            np.stack([starts + edge, ends - edge], 1).ravel(),
            said.attribute("voice").repeat(2),
        )
        # The noise of a stop begins with its burst.
        burst, noise = said.releases_s, said.attribute("noise")
        before = np.where(burst > starts, 0, noise)
        rise = np.minimum(_BURST_S, (ends - burst) / 4)
        times = [
            starts + np.minimum(edge, (burst - starts) / 2),
            burst,
            burst + rise,
            ends - edge / 2,
        ]
        self._noise = (
            np.stack(times, 1).ravel(),
            np.stack([before, before, noise, noise], 1).ravel(),
        )
        self._noise_hz = said.attribute("noise_hz")
        self._bounds = said.bounds_s
        self._pitch_at, self._pitch = _melody(said, throat, rng)

    def formants_hz(self, t: np.ndarray) -> np.ndarray:
        """``[N, 3]``."""
        return np.stack([np.interp(t, self._at, f) for f in self._formants.T], 1)

    def voice(self, t: np.ndarray) -> np.ndarray:
        """``[N]``."""
        return np.interp(t, *self._voice)

    def noise(self, t: np.ndarray) -> np.ndarray:
        """``[N]``."""
        return np.interp(t, *self._noise)

    def noise_hz(self, t: np.ndarray) -> np.ndarray:
        """``[N]``."""
        index = np.searchsorted(self._bounds, t, "right") - 1
        return self._noise_hz[np.clip(index, 0, len(self._noise_hz) - 1)]

    def pitch_hz(self, t: np.ndarray) -> np.ndarray:
        """``[N]``."""
        return np.interp(t, self._pitch_at, self._pitch)


def _melody(
    said: Utterance, throat: Throat, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Pitch that falls along a sentence, with an accent on some vowels."""
    middles = (said.bounds_s[:-1] + said.bounds_s[1:]) / 2
    since, pitch = said.bounds_s[0], []
    for name, sound, at in zip(said.names, said.sounds, middles):
        if name == PAUSE:
            since = at
        accent = 0.12 * float(rng.random() < 0.4) if sound.voice == 1.0 else 0.0
        fall = 0.10 * (at - since) / 1.5
        pitch.append(throat.pitch_hz * (1.08 - fall + accent + 0.02 * float(rng.normal())))
    return middles, np.maximum(pitch, 0.7 * throat.pitch_hz)


def _tract(formants_hz: np.ndarray) -> np.ndarray:
    """Frequency response of the vocal tract: complex ``[N, F]`` for formants ``[N, 3]``."""
    f = np.fft.rfftfreq(_FFT, 1 / AUDIO_HZ)
    response = np.ones((len(formants_hz), f.size), complex)
    higher = np.tile(_HIGHER_HZ, (len(formants_hz), 1))
    for pole, width in zip(np.concatenate([formants_hz, higher], 1).T, _BANDWIDTHS_HZ):
        pole = pole[:, None]
        response *= pole**2 / (pole**2 - f**2 + 1j * f * width)
    return response


def _add_pulses(
    audio: np.ndarray, tracks: _Tracks, speech_s: np.ndarray, rng: np.random.Generator
) -> None:
    phase = np.cumsum(tracks.pitch_hz(speech_s)) / AUDIO_HZ
    whole = np.arange(1, int(phase[-1]) + 1)
    at = np.interp(whole, phase, np.arange(phase.size)) + rng.normal(size=whole.size) * 0.3
    at = np.clip(at, 0, len(speech_s) - 1)
    t = speech_s[at.astype(int)]
    level = tracks.voice(t) * (1 + 0.04 * rng.normal(size=t.size))
    kept = level > 0.01
    at, t, level = at[kept], t[kept], level[kept]
    f = np.fft.rfftfreq(_FFT, 1 / AUDIO_HZ)
    # The glottis, and the radiation at the lips.
    source = (1j * f / 500) / (1 + 1j * f / _GLOTTIS_HZ) ** 2
    for block in _blocks(len(at)):
        spectrum = _tract(tracks.formants_hz(t[block])) * source * level[block, None]
        late = at[block] % 1
        spectrum *= np.exp(-2j * np.pi * f * late[:, None] / AUDIO_HZ)
        for begin, pulse in zip(at[block].astype(int), np.fft.irfft(spectrum, _FFT)):
            audio[begin : begin + _FFT] += pulse


def _blocks(count: int) -> Iterator[slice]:
    """What bounds the memory of spectra."""
    for begin in range(0, count, _BLOCK):
        yield slice(begin, begin + _BLOCK)


def _add_noise(
    audio: np.ndarray, tracks: _Tracks, speech_s: np.ndarray, rng: np.random.Generator
) -> None:
    size = 4 * _HOP
    begins = np.arange(0, len(speech_s), _HOP)
    t = speech_s[np.minimum(begins + size // 2, len(speech_s) - 1)]
    level, middle = tracks.noise(t), tracks.noise_hz(t)
    breath = _BREATH * tracks.voice(t)
    kept = (level > 0.005) | (breath > 0.005)
    begins, level, middle, t, breath = (
        begins[kept],
        level[kept],
        middle[kept],
        t[kept],
        breath[kept],
    )
    f = np.fft.rfftfreq(_FFT, 1 / AUDIO_HZ)
    window = np.hanning(size)
    for block in _blocks(len(begins)):
        white = np.fft.rfft(rng.normal(size=(len(begins[block]), size)) * window, _FFT)
        centre = middle[block, None]
        band = np.exp(-0.5 * ((f - centre) / (300 + 0.22 * centre)) ** 2)
        through = np.abs(_tract(tracks.formants_hz(t[block]))) * np.minimum(f / 1500, 1)
        shape = band * (0.5 * level[block, None]) + through * (0.1 * breath[block, None])
        for begin, part in zip(begins[block], np.fft.irfft(white * shape, _FFT)):
            audio[begin : begin + _FFT] += part
