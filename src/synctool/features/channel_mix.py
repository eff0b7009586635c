"""Several channels of one sound: how far they are apart in time, whether one is inverted, and a mix of them.

Delays come from the generalised cross-correlation with phase transform (Knapp & Carter, "The generalized
correlation method for estimation of time delay", 1976), in the band of speech. The mix moves all channels
onto the reference,
turns inverted ones, and weighs each by its coherence with the reference: what is noise or another scene
counts little. The reference decides where the mix lies in time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from synctool.types import AUDIO_HZ

MOST_DELAY_MS = 40.0
"""Microphones up to 14 m further away."""
SPEED_M_S = 343.0
LEAST_COHERENCE = 0.1
"""Channels with less are other sound: their delay means nothing, and they are no part of the mix."""
LOW_HZ, HIGH_HZ = 200.0, 4000.0
"""The band of speech in which channels are compared."""
_MOST_S = 60.0
_SEGMENT = 4096
_SILENT_PEAK = 33


@dataclass(frozen=True)
class ChannelPlace:
    """One channel beside the reference.

    Attributes:
        delay_ms: How much later it hears the same, > 0; None where it hears something else or nothing.
        inverted: Whether its polarity is the opposite.
        coherence: Mean magnitude-squared coherence with the reference in the band of speech, once its delay
            is taken out, 0..1.
        weight: Its share of the mix, 0..1.
        level_db: Its level, relative to full scale.
    """

    delay_ms: float | None
    inverted: bool
    coherence: float
    weight: float
    level_db: float


def places_of(channels: Sequence[np.ndarray], reference: int) -> tuple[ChannelPlace, ...]:
    """Every channel beside the reference.

    Args:
        channels: int16 ``[N]`` each, 16 kHz.
        reference: Number of the one that the others are compared with.
    """
    longest = round(_MOST_S * AUDIO_HZ)
    length = min(min(x.size for x in channels), longest)
    heard = [x[:length].astype(np.float64) / 32768 for x in channels]
    own, found = heard[reference], []
    for number, x in enumerate(heard):
        level_db = 10 * float(np.log10(np.mean(x**2) + 1e-12)) if x.size else -120.0
        if not x.size or np.abs(x).max() * 32768 < _SILENT_PEAK:
            found.append((None, False, 0.0, level_db))
            continue
        lag, sign = (0, 1.0) if number == reference else _lag(own, x)
        alike = 1.0 if number == reference else _coherence(own, _moved(sign * x, lag))
        known = alike >= LEAST_COHERENCE
        delay = 1000 * lag / AUDIO_HZ if known else None
        found.append((delay, known and sign < 0, alike, level_db))
    weights = np.array([a if d is not None else 0.0 for d, _, a, _ in found])
    total = weights.sum()
    shares = weights / total if total > 0 else weights
    return tuple(
        ChannelPlace(
            None if d is None else round(d, 3),
            inverted,
            round(a, 4),
            round(float(w), 4),
            round(level, 1),
        )
        for (d, inverted, a, level), w in zip(found, shares)
    )


def mixed(channels: Sequence[np.ndarray], places: Sequence[ChannelPlace]) -> np.ndarray:
    """The mix on the time of the reference: int16 ``[N]``, as loud as the weighted channels are."""
    length = max(x.size for x in channels)
    total = np.zeros(length)
    for x, place in zip(channels, places):
        if place.weight > 0 and place.delay_ms is not None:
            lag = round(place.delay_ms * AUDIO_HZ / 1000)
            own = _moved(x.astype(np.float64), lag)
            total[: own.size] += place.weight * (-own if place.inverted else own)
    return np.clip(np.round(total), -32768, 32767).astype(np.int16)


def metres(delay_ms: float) -> float:
    """How much further away a microphone is that hears the same so much later."""
    return delay_ms / 1000 * SPEED_M_S


def _lag(own: np.ndarray, other: np.ndarray) -> tuple[int, float]:
    """Samples by which another channel is later, and the sign of its polarity."""
    size = 1 << (2 * own.size - 1).bit_length()
    cross = np.fft.rfft(other, size) * np.conj(np.fft.rfft(own, size))
    hz = np.fft.rfftfreq(size, 1 / AUDIO_HZ)
    inside = (hz >= LOW_HZ) & (hz <= HIGH_HZ)
    whitened = np.where(inside, cross / np.maximum(np.abs(cross), 1e-12), 0)
    most = round(MOST_DELAY_MS * AUDIO_HZ / 1000)
    whole = np.fft.irfft(whitened, size)
    near = np.r_[whole[-most:], whole[: most + 1]]
    best = int(np.abs(near).argmax())
    return best - most, float(np.sign(near[best])) or 1.0


def _moved(x: np.ndarray, lag: int) -> np.ndarray:
    """The same, earlier by so many samples."""
    out = np.zeros_like(x)
    if lag > 0:
        out[: x.size - lag] = x[lag:]
    elif lag < 0:
        out[-lag:] = x[:lag]
    else:
        out[:] = x
    return out


def _coherence(own: np.ndarray, other: np.ndarray) -> float:
    from scipy.signal import (
        coherence,  # slow to import, and few videos are asked for their channels
    )

    segment = min(_SEGMENT, max(own.size // 8, 64))
    hz, alike = coherence(own, other, AUDIO_HZ, nperseg=segment)
    inside = (hz >= LOW_HZ) & (hz <= HIGH_HZ)
    # Few segments make noise coherent by chance: one over their number on average.
    chance = 1 / max(2 * own.size / segment - 1, 1)
    mean = float(np.nanmean(alike[inside]))
    return max((mean - chance) / (1 - chance), 0.0) if chance < 1 else 0.0
