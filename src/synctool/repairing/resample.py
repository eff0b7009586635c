"""Samples of one audio track, moved by an offset that may change: copied, cross-faded, resampled.

Where an offset holds, samples are copied as they are, moved by a whole number of them, so that lossless
audio stays so. Where it grows, they are interpolated with a windowed sinc (J. O. Smith, Digital Audio
Resampling). Where one gives way to the next, both are cross-faded; where the audio in
between is missing (the offset grows at once), there is silence, and nothing is played twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from synctool.repairing.plan import OffsetSpan

CROSS_FADE_S = 0.010
_TAPS = 64
_PHASES = 512
_KAISER_BETA = 9.0


@dataclass(frozen=True)
class _Span:
    """An offset in samples, from one index of the new track on."""

    start: int
    offset: float
    growth: float
    silent: bool = False

    def offsets(self, index: np.ndarray) -> np.ndarray:
        return self.offset + self.growth * (index - self.start)


class MovedSamples:
    """The samples of a new track from those of the old one, which come in order and need not stay.

    Args:
        spans: Offsets; their times count from ``origin_s``.
        origin_s: In the time that indices count from.
        rate: Samples per second; index ``i`` is at ``i / rate`` seconds.
        last: Highest index that will be asked for.
        dtype: Of the samples: a float in -1..1, or an integer.
        channels: How many.
    """

    def __init__(
        self,
        spans: Sequence[OffsetSpan],
        *,
        origin_s: float,
        rate: int,
        last: int,
        dtype: np.dtype,
        channels: int,
    ) -> None:
        self._spans: list[_Span] = []
        for span in spans:
            start = round((origin_s + span.start_s) * rate)
            offset = span.offset_ms / 1000 * rate
            growth = span.drift_ms_per_min / 60_000
            self._spans.append(_Span(start, offset if growth else float(round(offset)), growth))
        self._spans = _with_gaps(self._spans)
        self._half_fade = round(CROSS_FADE_S * rate / 2)
        self._dtype = np.dtype(dtype)
        self._silence = 128 if self._dtype == np.uint8 else 0
        self._held = np.empty((channels, 0), self._dtype)
        self._first = 0
        ends = [s.start for s in self._spans[1:]] + [last]
        met = [
            s.offset + s.growth * (at - s.start)
            for s, end in zip(self._spans, ends, strict=True)
            for at in ((s.start, end) if s.growth else (s.start,))
        ]
        self._least, self._most = min(met), max(met)

    def add(self, samples: np.ndarray, index: int) -> None:
        """Take samples of the old track; gaps become silence, overlaps are dropped.

        Args:
            samples: ``[channels, N]``.
            index: Of the first, by its own timestamp.
        """
        if not self._held.shape[1]:
            self._first = index
        end = self._first + self._held.shape[1]
        if index < end:
            samples = samples[:, end - index :]
            index = end
        gap = np.full((len(samples), index - end), self._silence, self._dtype)
        self._held = np.concatenate([self._held, gap, samples], axis=1)

    @property
    def ready(self) -> int:
        """The index before which all of the new track can be made."""
        end = self._first + self._held.shape[1]
        return int(np.floor(end + self._least)) - _TAPS

    def take(self, start: int, stop: int) -> np.ndarray:
        """Samples of the new track, ``[channels, stop - start]``; the next ones come after them."""
        made = np.empty((len(self._held), stop - start), self._dtype)
        for number, span in enumerate(self._spans):
            end = self._spans[number + 1].start if number + 1 < len(self._spans) else stop
            low, high = (start if number == 0 else max(start, span.start)), min(stop, end)
            if low < high:
                made[:, low - start : high - start] = self._read(span, low, high)
        for before, after in zip(self._spans, self._spans[1:]):
            low = max(start, after.start - self._half_fade)
            high = min(stop, after.start + self._half_fade)
            if low < high:
                made[:, low - start : high - start] = self._faded(before, after, low, high)
        self._forget(stop)
        return made

    def _faded(self, before: _Span, after: _Span, low: int, high: int) -> np.ndarray:
        share = (np.arange(low, high) + 0.5 - after.start) / (2 * self._half_fade) + 0.5
        weight = 0.5 - 0.5 * np.cos(np.pi * share)
        old = self._read(before, low, high).astype(np.float64)
        return self._rounded(old + weight * (self._read(after, low, high) - old))

    def _read(self, span: _Span, low: int, high: int) -> np.ndarray:
        if span.silent:
            return np.full((len(self._held), high - low), self._silence, self._dtype)
        if not span.growth:
            by = int(span.offset)
            return self._stored(low - by, high - by)
        index = np.arange(low, high)
        at = index - span.offsets(index)
        whole = np.floor(at).astype(np.int64)
        begin, end = int(whole[0]) - _TAPS, int(whole[-1]) + _TAPS
        stored = self._stored(begin, end).astype(np.float64) - self._silence
        phase, fine = np.divmod((at - whole) * _PHASES, 1.0)
        kernels = _kernels()
        phase = phase.astype(np.int64)
        weights = kernels[phase] + fine[:, None] * (kernels[phase + 1] - kernels[phase])
        taps = (whole - begin - _TAPS // 2 + 1)[:, None] + np.arange(_TAPS)
        return self._rounded(np.einsum("cnt,nt->cn", stored[:, taps], weights) + self._silence)

    def _stored(self, low: int, high: int) -> np.ndarray:
        """Samples of the old track; silence where it has none."""
        read = np.full((len(self._held), high - low), self._silence, self._dtype)
        begin, end = max(low, self._first), min(high, self._first + self._held.shape[1])
        if begin < end:
            read[:, begin - low : end - low] = self._held[
                :, begin - self._first : end - self._first
            ]
        return read

    def _rounded(self, values: np.ndarray) -> np.ndarray:
        if self._dtype.kind == "f":
            return values.astype(self._dtype)
        limits = np.iinfo(self._dtype)
        return np.clip(np.rint(values), limits.min, limits.max).astype(self._dtype)

    def _forget(self, stop: int) -> None:
        """Drop what no later sample needs."""
        needed = int(np.floor(stop - self._most)) - 2 * _TAPS - 2 * self._half_fade
        spare = min(needed - self._first, self._held.shape[1])
        if spare > self._held.shape[1] // 2:
            self._held = self._held[:, spare:]
            self._first += spare


def _with_gaps(spans: list[_Span]) -> list[_Span]:
    """Put silence where an offset gives way to a larger one, half before and half after."""
    if not spans:
        return []
    made = [spans[0]]
    for span, after in zip(spans[1:], [*spans[2:], None]):
        last = made[-1]
        ends = last.offset + last.growth * (span.start - last.start)
        gap = round(span.offset - ends)
        if gap > 0:
            low = max(span.start - gap // 2, last.start + 1)
            high = min(span.start + gap - gap // 2, after.start - 1 if after else span.start + gap)
            made.append(_Span(low, last.offset, 0.0, silent=True))
            moved = span.offset + span.growth * (high - span.start)
            span = _Span(high, moved, span.growth)
        made.append(span)
    return made


@cache
def _kernels() -> np.ndarray:
    """Windowed sincs by phase, float64 ``[phases + 1, taps]``, each of sum 1."""
    phase = np.arange(_PHASES + 1)[:, None] / _PHASES
    distance = np.arange(_TAPS)[None] - (_TAPS // 2 - 1) - phase
    inside = np.clip(1 - (distance / (_TAPS / 2)) ** 2, 0, None)
    kernels = np.sinc(distance) * np.i0(_KAISER_BETA * np.sqrt(inside))
    return kernels / kernels.sum(1, keepdims=True)
