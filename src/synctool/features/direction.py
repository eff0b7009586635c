"""From which side a stereo pair of channels hears a sound: difference of level, and of time.

A voice that is panned is louder on its side; one that is recorded by spaced microphones is there earlier;
two heads or cardioids do both. Delays come from the generalised cross-correlation with phase transform
(Knapp & Carter 1976), summed over the blocks of one span. What both channels carry while nobody
speaks is taken off their levels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synctool.features.channel_mix import HIGH_HZ, LOW_HZ
from synctool.types import AUDIO_HZ, SAMPLES_PER_FRAME

MOST_DELAY_MS = 5.0
"""A pair of microphones 1.7 m apart, with the sound from the side."""
LEAST_PEAK = 0.1
"""Lower peaks of the correlation, 0..1, are those of diffuse sound: their delay means nothing."""
FULL_LEVEL_DB = 6.0
"""A difference of level that is all to one side, as ``Heard.side`` counts."""
FULL_DELAY_MS = 0.25
"""The same of the delay: that of two microphones 17 cm apart at 30 degrees."""
_BLOCK, _FINER = 1024, 4
_LEAST_RISE = 0.25
_SILENT = 1e-10


@dataclass(frozen=True)
class Heard:
    """What a span of both channels tells.

    Attributes:
        level_db: By how much the right channel is louder.
        delay_ms: By how much the right channel hears the sound earlier; None where it is diffuse.
        peak: Height of the correlation's peak, 0..1.
    """

    level_db: float
    delay_ms: float | None
    peak: float

    @property
    def side(self) -> float:
        """From -1, left, to +1, right; level and delay that contradict each other cancel."""
        delay = 0.0 if self.delay_ms is None else self.delay_ms / FULL_DELAY_MS
        level = self.level_db / FULL_LEVEL_DB
        return float(np.clip(np.clip(level, -1, 1) + np.clip(delay, -1, 1), -1, 1))


class StereoPair:
    """Both channels by blocks of one 25 Hz frame.

    Args:
        left: int16 ``[N]``, 16 kHz.
        right: The same.
        quiet: Frames in which nobody speaks, bool ``[T]``: their mean level is the noise of each channel.
    """

    def __init__(self, left: np.ndarray, right: np.ndarray, quiet: np.ndarray) -> None:
        self._channels = [_padded(x, len(quiet)) for x in (left, right)]
        self.identical = bool(np.array_equal(self._channels[0], self._channels[1]))
        hz = np.fft.rfftfreq(_BLOCK, 1 / AUDIO_HZ)
        self._inside = (hz >= LOW_HZ) & (hz <= HIGH_HZ)
        self._window = np.hanning(_BLOCK).astype(np.float32)
        still = np.flatnonzero(quiet)
        self._noise = [self._power(x, still) for x in self._channels]

    def heard(self, frames: np.ndarray) -> Heard | None:
        """What some frames tell.

        Args:
            frames: Their numbers, int ``[M]``; those outside the audio are silent.

        Returns:
            None where they are no louder than the noise.
        """
        power = [self._power(x, frames) for x in self._channels]
        voice = [own - noise for own, noise in zip(power, self._noise)]
        if sum(voice) <= _LEAST_RISE * sum(power) or sum(power) < _SILENT:
            return None
        least = 1e-3 * sum(voice)  # 30 dB is all to one side
        level_db = 10 * float(np.log10(max(voice[1], least) / max(voice[0], least)))
        delay, peak = self._delay(frames)
        return Heard(level_db, delay if peak >= LEAST_PEAK else None, peak)

    def _spectra(self, channel: np.ndarray, frames: np.ndarray) -> np.ndarray:
        starts = (np.clip(frames, 0, None) * SAMPLES_PER_FRAME).astype(int)
        known = starts[(frames >= 0) & (starts + _BLOCK <= channel.size)]
        blocks = channel[known[:, None] + np.arange(_BLOCK)]
        return np.fft.rfft(blocks * self._window, axis=1)[:, self._inside]

    def _power(self, channel: np.ndarray, frames: np.ndarray) -> float:
        """Mean power in the band of speech."""
        if not frames.size:
            return 0.0
        found = self._spectra(channel, frames)
        return float((np.abs(found) ** 2).mean()) / _BLOCK if found.size else 0.0

    def _delay(self, frames: np.ndarray) -> tuple[float, float]:
        """Milliseconds by which the right channel is earlier, and the height of the peak."""
        left, right = (self._spectra(x, frames) for x in self._channels)
        cross = left * np.conj(right)
        size = np.abs(cross)
        whitened = np.where(size > _SILENT, cross / np.maximum(size, _SILENT), 0).mean(0)
        whole = np.zeros(_BLOCK // 2 + 1, np.complex128)
        whole[self._inside] = whitened
        lags = np.fft.irfft(whole, _FINER * _BLOCK) * (_FINER * _BLOCK / 2 / self._inside.sum())
        most = round(MOST_DELAY_MS * AUDIO_HZ / 1000 * _FINER)
        near = np.r_[lags[-most:], lags[: most + 1]]
        best = int(np.abs(near).argmax())
        return 1000 * (best - most) / (_FINER * AUDIO_HZ), float(min(np.abs(near[best]), 1.0))


def _padded(x: np.ndarray, frames: int) -> np.ndarray:
    own = x.astype(np.float32) / 32768
    return np.pad(own, (0, max(frames * SAMPLES_PER_FRAME + _BLOCK - own.size, 0)))
