"""Intervals of any statistic of clips, by resampling people.

Clips of one person are not independent: a model that reads a face well reads all its clips well. So
whole people are drawn with replacement (the cluster bootstrap; Davison & Hinkley, "Bootstrap methods and
their application", 1997, section 3.8), clips where there are too few people, and the interval is that of
percentiles. Where all values are 0 or all are 1, resampling would call a share exact; then the open end is
that of Clopper & Pearson ("The use of confidence or fiducial limits", 1934) for as many trials as there are
people.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

LEAST_PEOPLE = 5
"""With fewer people, clips are drawn instead: the interval then says nothing about other people."""
DRAWS = 400
_BLOCK = 4_000_000
"""Weights in memory at a time."""


@dataclass(frozen=True)
class Interval:
    """A figure with its interval; NaN where there is none.

    Attributes:
        value: The figure.
        low: Lower end.
        high: Upper end.
        drawn: What was resampled: ``people``, ``clips`` or "".
        units: How many of these.
        count: How many items the figure is of.
    """

    value: float
    low: float = np.nan
    high: float = np.nan
    drawn: str = ""
    units: int = 0
    count: int = 0


UNDEFINED = Interval(np.nan)


@dataclass(frozen=True)
class Units:
    """What is drawn together.

    Attributes:
        index: Unit of every item, int ``[N]`` in 0..count-1.
        count: How many units.
        drawn: What they are: ``people`` or ``clips``.
    """

    index: np.ndarray
    count: int
    drawn: str


def units_of(people: np.ndarray, clips: np.ndarray) -> Units:
    """People to draw, or clips where fewer than ``LEAST_PEOPLE`` are known.

    Args:
        people: Numbers of people ``[N]``, negative for somebody unknown: then the clip stands alone.
        clips: Numbers of clips ``[N]``, 0 or more.
    """
    known = people >= 0
    by_person = len(np.unique(people[known])) >= LEAST_PEOPLE
    codes = np.where(known, people, people.max(initial=0) + 1 + clips) if by_person else clips
    found, index = np.unique(codes, return_inverse=True)
    return Units(index, len(found), "people" if by_person else "clips")


def numbered(keys: Sequence[Hashable]) -> np.ndarray:
    """Equal keys get equal numbers, in the order of appearance; int ``[N]``, -1 for None."""
    numbers: dict[Hashable, int] = {}
    return np.array(
        [-1 if key is None else numbers.setdefault(key, len(numbers)) for key in keys], int
    )


def interval_of(
    statistic: Callable[[np.ndarray], np.ndarray],
    units: Units,
    *,
    value: float | None = None,
    share: bool = False,
    level: float = 0.95,
    draws: int = DRAWS,
    seed: int = 0,
) -> Interval:
    """A statistic and its percentile interval by cluster bootstrap.

    Args:
        statistic: Given weights float ``[D, N]``, how often each item is drawn, returns ``[D]``; NaN
            where it is not defined.
        units: What is drawn together.
        value: The statistic of all items once, if it is known.
        share: Whether it lies in 0..1, so that an end which is reached every time is opened.
        level: Share of the resampled values inside the interval, 0..1.
        draws: How often to resample.
        seed: Seed.
    """
    items = len(units.index)
    if not items:
        return UNDEFINED
    if value is None:
        value = float(statistic(np.ones((1, items)))[0])
    rows = max(1, _BLOCK // items)
    blocks = (
        statistic(times[:, units.index].astype(float))
        for times in _blocks(units.count, rows, draws, seed)
    )
    return _interval(value, blocks, units, share=share, level=level)


def interval_of_sums(
    statistic: Callable[[np.ndarray], np.ndarray],
    parts: np.ndarray,
    units: Units,
    *,
    share: bool = False,
    level: float = 0.95,
    draws: int = DRAWS,
    seed: int = 0,
) -> Interval:
    """The same for a statistic of sums over the items, which is much faster.

    Args:
        statistic: Given sums ``[D, P]`` returns ``[D]``; NaN where it is not defined.
        parts: What is summed, ``[N, P]``.
        units: What is drawn together.
        share: Whether the statistic lies in 0..1.
        level: Share of the resampled values inside the interval, 0..1.
        draws: How often to resample.
        seed: Seed.
    """
    if not len(parts):
        return UNDEFINED
    by_unit = np.stack(
        [np.bincount(units.index, weights=part, minlength=units.count) for part in parts.T], axis=1
    )
    value = float(statistic(parts.sum(0, keepdims=True, dtype=float))[0])
    rows = max(1, _BLOCK // units.count)
    blocks = (
        statistic(times.astype(float) @ by_unit)
        for times in _blocks(units.count, rows, draws, seed)
    )
    return _interval(value, blocks, units, share=share, level=level)


def ratio_of(numerators: np.ndarray, denominators: np.ndarray, units: Units, **more) -> Interval:
    """Sum over sum, as ``interval_of_sums``; a mean where all denominators are 1."""
    return interval_of_sums(_ratio, np.stack([numerators, denominators], axis=1), units, **more)


def mean_of(values: np.ndarray, units: Units, **more) -> Interval:
    """Mean of values ``[N]``, as ``interval_of_sums``."""
    return ratio_of(values, np.ones(len(values)), units, **more)


def median_of(values: np.ndarray, units: Units, **more) -> Interval:
    """Median of values ``[N]``, as ``interval_of``."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    if not len(values):
        return UNDEFINED
    sorted_units = Units(units.index[order], units.count, units.drawn)

    def statistic(weights: np.ndarray) -> np.ndarray:
        until = weights.cumsum(axis=1)
        total = until[:, -1:]
        # The middle one or the mean of the middle two, as of the values repeated.
        low = (until <= (total - 1) // 2).sum(axis=1)
        high = (until <= total // 2).sum(axis=1)
        return 0.5 * (ordered[low] + ordered[high])

    return interval_of(statistic, sorted_units, value=float(np.median(values)), **more)


def mean_interval(
    values: Sequence[float],
    people: Sequence[Hashable],
    *,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """Mean of one value per clip, with its interval; an end that is reached every time is opened.

    Args:
        values: One per clip.
        people: Who is in each.
        level: Share of the resampled means inside the interval, 0..1.
        draws: How often to resample.
        seed: Seed.

    Raises:
        ValueError: No values, or not as many people.
    """
    if not len(values) or len(values) != len(people):
        raise ValueError(f"{len(values)} values of {len(people)} people")
    units = units_of(numbered(people), np.arange(len(values)))
    sums = np.bincount(units.index, weights=np.asarray(values, float))
    counts = np.bincount(units.index).astype(float)
    rng = np.random.default_rng(seed)
    times = rng.multinomial(units.count, np.full(units.count, 1 / units.count), size=draws)
    # A mean over the clips of the people drawn, as the mean itself is one over clips.
    low, high = _percentiles((times @ sums) / (times @ counts), level)
    low, high = open_ends(low, high, units.count, level=level)
    mean = float(np.mean(np.asarray(values, float)))
    return Interval(mean, low, high, units.drawn, units.count, len(values))


def open_ends(low: float, high: float, units: int, *, level: float = 0.95) -> tuple[float, float]:
    """An interval of a share, opened after Clopper & Pearson where it is only 0 or only 1.

    Args:
        low: Lower end.
        high: Upper end.
        units: How many independent trials there are.
        level: Of the interval, 0..1.
    """
    if low != high or low not in (0.0, 1.0):
        return low, high
    open_end = (0.5 * (1 - level)) ** (1 / units)
    return (open_end, 1.0) if low == 1.0 else (0.0, 1 - open_end)


def _ratio(sums: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(sums[:, 1] > 0, sums[:, 0] / sums[:, 1], np.nan)


def _interval(
    value: float, blocks: Iterator[np.ndarray], units: Units, *, share: bool, level: float
) -> Interval:
    """Percentiles of the draws in which the statistic is defined, if these are most."""
    if np.isnan(value):
        return UNDEFINED
    count = len(units.index)
    drawn = np.concatenate(list(blocks))
    kept = drawn[~np.isnan(drawn)]
    low = high = np.nan
    if 2 * len(kept) >= len(drawn):
        low, high = _percentiles(kept, level)
        # A statistic that chance pushes to one side, as calibration error, may lie outside.
        low, high = min(low, value), max(high, value)
        if share:
            low, high = open_ends(low, high, units.count, level=level)
    if units.count < 2 and not (share and low != high):
        low = high = np.nan  # the one unit is drawn every time
    return Interval(value, float(low), float(high), units.drawn, units.count, count)


def _percentiles(drawn: np.ndarray, level: float) -> tuple[float, float]:
    tail = 50 * (1 - level)
    low, high = np.percentile(drawn, [tail, 100 - tail])
    return float(low), float(high)


def _blocks(count: int, rows: int, draws: int, seed: int) -> Iterator[np.ndarray]:
    times = _times(count, draws, seed)
    for start in range(0, draws, rows):
        yield times[start : start + rows]


@lru_cache(maxsize=4)
def _times(count: int, draws: int, seed: int) -> np.ndarray:
    """How often each of ``count`` units is drawn, uint8 ``[draws, count]``; most are 0, 1 or 2."""
    rng = np.random.default_rng(seed)
    times = np.empty((draws, count), np.uint8)
    rows = max(1, _BLOCK // count)
    for start in range(0, draws, rows):
        block = times[start : start + rows]
        chosen = rng.integers(count, size=block.shape) + count * np.arange(len(block))[:, None]
        block[:] = np.minimum(
            np.bincount(chosen.ravel(), minlength=block.size).reshape(block.shape), 255
        )
    times.setflags(write=False)
    return times
