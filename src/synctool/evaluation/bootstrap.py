"""Confidence intervals of means over clips, by resampling people.

Clips of one person are not independent: a network that reads a face well reads all its clips well. So
whole people are drawn with replacement (the cluster bootstrap; Davison & Hinkley, "Bootstrap methods and
their application", 1997, section 3.8), and the interval is that of percentiles. Where all values are 0 or
all are 1, resampling would call the mean exact; then the open end is that of Clopper & Pearson ("The use of
confidence or fiducial limits", 1934) for as many trials as there are people.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

LEAST_PEOPLE = 5
"""With fewer people, clips are drawn instead: the interval then says nothing about other people."""


@dataclass(frozen=True)
class Interval:
    """A mean with its interval.

    Attributes:
        mean: Mean over all values.
        low: Lower end.
        high: Upper end.
        drawn: What was resampled.
        units: How many of these there are.
        values: How many values the mean is of.
    """

    mean: float
    low: float
    high: float
    drawn: Literal["people", "clips"]
    units: int
    values: int


def mean_interval(
    values: Sequence[float],
    people: Sequence[Hashable],
    *,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """Mean of values and its percentile interval by cluster bootstrap.

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
    by_person = len(set(people)) >= LEAST_PEOPLE
    keys = list(people) if by_person else list(range(len(values)))
    index = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    group = np.array([index[key] for key in keys])
    sums = np.bincount(group, weights=np.asarray(values, float))
    counts = np.bincount(group).astype(float)
    rng = np.random.default_rng(seed)
    times = rng.multinomial(len(index), np.full(len(index), 1 / len(index)), size=draws)
    # A mean over the clips of the people drawn, as the mean itself is one over clips.
    means = (times @ sums) / (times @ counts)
    tail = 50 * (1 - level)
    low, high = open_ends(*np.percentile(means, [tail, 100 - tail]), len(index), level=level)
    return Interval(
        mean=float(np.mean(np.asarray(values, float))),
        low=float(low),
        high=float(high),
        drawn="people" if by_person else "clips",
        units=len(index),
        values=len(values),
    )


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
