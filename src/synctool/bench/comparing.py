"""Two score cards beside each other, with the differences of what both were asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from synctool.bench.answers import Answer
from synctool.bench.card import Card
from synctool.bench.metrics import BENCH_METRICS, SCORE, summarise, units_among
from synctool.errors import UsageError
from synctool.evaluation.bootstrap import Interval, mean_of
from synctool.evaluation.metric_specs import Metric

_LIKE = {"brightness": 2.0, "level_db": 1.0}
"""Renderings of two machines differ by less than this."""


@dataclass(frozen=True)
class ComparedMetric:
    """One metric of two cards.

    Attributes:
        name: A key of ``BENCH_METRICS``.
        group: As in ``Metric``.
        first: Of the first card; None where it is not defined.
        second: Of the second.
        difference: Second minus first of the share that is right, with its interval over the same faces; None
            for other metrics.
    """

    name: str
    group: str
    first: Metric | None
    second: Metric | None
    difference: Interval | None = None


@dataclass(frozen=True)
class ComparedCards:
    """Two cards.

    Attributes:
        first: One.
        second: The other.
        metrics: The parts that both have, and the score over them.
        remarks: What a reader must know.
    """

    first: Card
    second: Card
    metrics: tuple[ComparedMetric, ...]
    remarks: tuple[str, ...]


def compare_cards(first: Card, second: Card) -> ComparedCards:
    """Put two cards beside each other, by the parts whose inputs are the same.

    Args:
        first: One card.
        second: The other.

    Raises:
        UsageError: They are of two versions of the bench, or have no part of equal inputs.
    """
    if first.bench != second.bench:
        raise UsageError(
            f"the cards are of {first.bench} and {second.bench}, whose figures cannot be compared",
            remedy="Run both with the same version of synctool bench.",
        )
    theirs = {part.name: part.hash for part in second.inputs}
    shared = [part.name for part in first.inputs if theirs.get(part.name) == part.hash]
    if not any(name != "speed" for name in shared):
        raise UsageError(
            "the cards have no part of the same inputs",
            remedy="Run both with the same --quick, --only and --dataset.",
        )
    own = [a for a in first.answers if a.part in shared]
    other = [a for a in second.answers if a.part in shared]
    figures = [summarise(own, subject=first.name), summarise(other, subject=second.name)]
    by_place = [{(m.group, m.name): m for m in of_card} for of_card in figures]
    places = list(dict.fromkeys(place for of_card in by_place for place in of_card))
    groups = list(dict.fromkeys(group for group, _ in places))
    order = list(BENCH_METRICS)
    places.sort(key=lambda place: (groups.index(place[0]), order.index(place[1])))
    compared = tuple(
        ComparedMetric(
            name,
            group,
            by_place[0].get((group, name)),
            by_place[1].get((group, name)),
            _difference(own, other, group) if name == "right" else None,
        )
        for group, name in places
    )
    return ComparedCards(first, second, compared, tuple(_remarks(first, second, shared)))


def _difference(first: Sequence[Answer], second: Sequence[Answer], group: str) -> Interval | None:
    """Second minus first, of the answers to the same items."""
    part, _, kind = group.partition("/")
    theirs = {a.id: a for a in second if a.usable}
    pairs = [
        (a, theirs[a.id])
        for a in first
        if a.usable and a.part == part and kind in ("", a.group) and a.id in theirs
    ]
    if not pairs:
        return None
    gained = np.array([float(b.right) - float(a.right) for a, b in pairs])
    return mean_of(gained, units_among([a for a, _ in pairs]))


def _remarks(first: Card, second: Card, shared: Sequence[str]) -> list[str]:
    said = []
    names = dict.fromkeys(part.name for card in (first, second) for part in card.inputs)
    if left := [name for name in names if name not in shared]:
        said.append(
            f"Left out, as the inputs differ or one card lacks them: {', '.join(left)}; the {SCORE} is over "
            "the others."
        )
    if first.machine != second.machine and "speed" in shared:
        said.append(
            "The cards were made on different machines: speeds say little, times decoding more."
        )
    for name, most in _LIKE.items():
        one, two = (np.asarray(card.signature.get(name, ()), float) for card in (first, second))
        if one.size and one.shape == two.shape and float(np.abs(one - two).max()) > most:
            said.append(f"The machines render videos of different {name.replace('_db', '')}.")
    return said
