"""Intervals by cluster bootstrap, against brute force and scikit-learn."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from synctool.evaluation import bootstrap, ranking
from synctool.evaluation.bootstrap import (
    Interval,
    Units,
    interval_of,
    interval_of_sums,
    mean_interval,
    mean_of,
    median_of,
    numbered,
    ratio_of,
    units_of,
)


def units(items: int, people: int) -> Units:
    return units_of(np.arange(items) % people, np.arange(items))


def by_hand(statistic: Callable[[np.ndarray], float], drawn: Units, draws: int = 400) -> Interval:
    """The same draws as the library's, with every item repeated as often as it is drawn."""
    rng = np.random.default_rng(0)
    chosen = rng.integers(drawn.count, size=(draws, drawn.count))
    members = [np.flatnonzero(drawn.index == unit) for unit in range(drawn.count)]
    values = [statistic(np.concatenate([members[u] for u in row])) for row in chosen]
    return Interval(statistic(np.arange(len(drawn.index))), *np.nanpercentile(values, [2.5, 97.5]))


def same(found: Interval, expected: Interval) -> None:
    assert (found.value, found.low, found.high) == pytest.approx(
        (expected.value, expected.low, expected.high)
    )


def test_means_ratios_and_medians_are_those_of_repeated_items() -> None:
    rng = np.random.default_rng(3)
    values, weights, drawn = rng.normal(size=63), rng.uniform(1, 2, 63), units(63, 9)
    same(mean_of(values, drawn), by_hand(lambda i: float(values[i].mean()), drawn))
    same(median_of(values, drawn), by_hand(lambda i: float(np.median(values[i])), drawn))
    expected = by_hand(lambda i: float(values[i].sum() / weights[i].sum()), drawn)
    same(ratio_of(values, weights, drawn), expected)
    tied = np.round(values)
    same(median_of(tied, drawn), by_hand(lambda i: float(np.median(tied[i])), drawn))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (ranking.roc_auc, roc_auc_score),
        (ranking.average_precision, average_precision_score),
    ],
)
@pytest.mark.parametrize("digits", [1, 9])
def test_rankings_are_scikit_learns_in_every_draw(ours, theirs, digits: int) -> None:
    rng = np.random.default_rng(5)
    truth = rng.uniform(size=60) < 0.4
    score = np.round(rng.normal(size=60) + truth, digits)  # with one digit many are equal
    drawn = units(60, 12)
    same(ours(truth, score, drawn), by_hand(lambda i: theirs(truth[i], score[i]), drawn))


def test_draws_where_there_is_nothing_to_measure_are_left_out() -> None:
    truth, score = np.array([True] + [False] * 9), np.arange(10.0)
    found = ranking.roc_auc(truth, score, units(10, 10))
    assert found.value == 0.0 and found.low == 0.0 and found.high == pytest.approx(1 - 0.025**0.1)
    rare = interval_of(lambda w: np.where(w.shape[0] == 1, 1.0, np.nan + w[:, 0]), units(10, 10))
    assert rare.value == 1.0 and math.isnan(rare.low)


def test_it_agrees_with_the_interval_of_means() -> None:
    rng = np.random.default_rng(1)
    people = np.arange(400) % 20
    values = rng.normal(size=20)[people] + rng.normal(size=400)
    ours = mean_of(values, units_of(people, np.arange(400)), draws=4000)
    theirs = mean_interval(values.tolist(), people.tolist())
    assert (ours.value, ours.units, ours.drawn) == (pytest.approx(theirs.value), 20, theirs.drawn)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.04)


def test_intervals_hold_what_they_promise() -> None:
    rng = np.random.default_rng(2)
    covered = {"people": 0, "clips": 0}
    for _ in range(150):
        people = np.arange(150) % 30
        values = rng.normal(size=30)[people] + 0.3 * rng.normal(size=150)
        for name, drawn in (
            ("people", units_of(people, np.arange(150))),
            ("clips", units_of(np.full(150, -1), np.arange(150))),
        ):
            found = median_of(values, drawn, draws=200)
            covered[name] += found.low <= 0 <= found.high
    assert covered["people"] >= 132
    assert covered["clips"] < 110  # what drawing people is for


def test_shares_that_are_always_the_same_have_open_ends() -> None:
    ones = mean_of(np.ones(12), units(12, 6), share=True)
    assert (ones.low, ones.high) == (pytest.approx(0.025 ** (1 / 6)), 1.0)
    assert mean_of(np.ones(12), units(12, 6)).low == 1.0
    half = mean_of(np.full(12, 0.5), units(12, 6), share=True)
    assert (half.low, half.high) == (0.5, 0.5)


def test_one_unit_has_no_interval_unless_it_is_a_share_at_its_end() -> None:
    one = Units(np.zeros(4, int), 1, "clips")
    assert math.isnan(mean_of(np.arange(4.0), one).low)
    assert mean_of(np.ones(4), one, share=True).low == pytest.approx(0.025)
    assert math.isnan(mean_of(np.full(4, 0.5), one, share=True).low)


def test_nothing_is_undefined() -> None:
    none = units_of(np.zeros(0, int), np.zeros(0, int))
    for found in (
        mean_of(np.zeros(0), none),
        median_of(np.zeros(0), none),
        interval_of(lambda w: w.sum(1), none),
        interval_of_sums(lambda s: s[:, 0], np.zeros((0, 1)), none),
    ):
        assert math.isnan(found.value) and (found.count, found.units, found.drawn) == (0, 0, "")


def test_people_are_drawn_from_five_on_and_held_out_speakers_alone() -> None:
    videos = np.arange(12)
    assert units_of(videos % 4, videos).drawn == "clips"
    assert units_of(videos % 5, videos).count == 5
    mixed = units_of(np.where(videos < 10, videos % 5, -1), videos)
    assert (mixed.drawn, mixed.count) == ("people", 7)
    shared = units_of(np.full(12, -1), videos // 3)
    assert (shared.drawn, shared.count) == ("clips", 4)
    assert numbered(["b", None, "a", "b"]).tolist() == [0, -1, 1, 0]


def test_an_interval_holds_its_own_figure() -> None:
    tight = interval_of(lambda w: np.full(len(w), 3.0), units(6, 6), value=2.0)
    assert (tight.low, tight.high) == (2.0, 3.0)


def test_blocks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    values, drawn = np.random.default_rng(0).normal(size=30), units(30, 30)
    whole, mean = median_of(values, drawn), mean_of(values, drawn)
    monkeypatch.setattr(bootstrap, "_BLOCK", 100)
    for _ in range(2):
        assert median_of(values, drawn) == whole
        same(mean_of(values, drawn), mean)
        bootstrap._times.cache_clear()
