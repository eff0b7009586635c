"""The metrics of compare: oracle, chance, small cases by hand, and input that has nothing to measure."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    precision_recall_fscore_support,
    roc_auc_score,
)

from synctool.comparison.degradations import offset_factor
from synctool.errors import UsageError
from synctool.evaluation.metrics import (
    FAMILIES,
    GROUPINGS,
    METRICS,
    Metric,
    agreement,
    model_names,
    reliability,
    summarise,
)
from synctool.scoring.confidence import expected_calibration_error
from synctool.scoring.verdict import judge
from synctool.types import Condition, FrameSeries, Label, Segment, Trial

NAN = float("nan")
WINDOWS = (5, 7, 9, 11, 13, 15)
BEST_IS_1 = {
    *(f"accuracy_1_frame@{n}" for n in WINDOWS),
    *(f"accuracy_{k}" for k in (0, 1, 2, 3, 5)),
    *{"answered_accuracy_1", "roc_auc", "average_precision", "precision", "recall", "f1"},
    *{"frame_accuracy", "frame_coverage", "segment_iou", "piece_consistency", "shift_accuracy_0"},
}
BEST_IS_0 = {
    *{"mae_ms", "median_ae_ms", "bias_ms", "inconclusive_rate", "failure_rate", "ece", "brier"},
    *{"shift_mae_ms", "shift_max_ms"},
}
WITHOUT_BEST = {"lse_c", "lse_d", "speed", "memory_mb"}


def trial(
    film: str = "a.mp4", truth: float | None = 0.0, found: float | None = 0.0, **more
) -> Trial:
    """An answered trial of four seconds."""
    confidence = more.pop("confidence", 1.0)
    return Trial(
        film=film,
        backbone=more.pop("backbone", "net"),
        label=more.pop("label", Label(truth)),
        truth_frames=truth,
        offset_frames=found,
        confidence=confidence,
        verdict=more.pop("verdict", "inconclusive" if found is None else judge(40 * found)),
        answered=more.pop("answered", found is not None),
        duration_s=more.pop("duration_s", 4.0),
        **more,
    )


def table(
    trials: Sequence[Trial], *, by: Sequence[str] = (), group: str = "all"
) -> dict[str, Metric]:
    """The figures of one group of the only model."""
    return {m.name: m for m in summarise(trials, by=by) if m.group == group}


def value(name: str, *trials: Trial) -> float:
    return table(trials)[name].value


def series(offsets: Sequence[float | None], confidence: float = 1.0) -> FrameSeries:
    times = tuple(i / 25 for i in range(len(offsets)))
    return FrameSeries(times, tuple(offsets), (confidence,) * len(offsets))


def presented(rng: np.random.Generator, films: int = 40) -> Iterator[tuple[Trial, float, bool]]:
    """Videos, moved videos and pieces of eight people, not yet answered."""
    for number in range(films):
        film = f"video-{number}.mp4"
        true = float(rng.uniform(-8, 8)) if number % 2 else float(rng.integers(-3, 2))
        segments = ()
        if number % 5 == 0:
            segments = (Segment(0.0, 2.0, true, 1.0), Segment(2.0, 4.0, true - 7, 1.0))
        label = Label(true, f"person-{number % 8}", f"set-{number % 2}", "en", segments)
        moves = [Condition("shift", moved_frames=float(m)) for m in (-5, 5)]
        pieces = [
            Condition("piece", float(rng.uniform(-3, 3)), start, start + 0.9)
            for start in (0.0, 1.0, 2.0, 3.0)
        ]
        for condition in (Condition(), *moves, *([] if segments else pieces)):
            whole = condition.kind != "piece"
            yield trial(
                film,
                true + condition.moved_frames,
                None,
                label=label,
                condition=condition,
                duration_s=4.0 if whole else 0.9,
                seconds=0.5,
                curve=(0.0,) * 31,
                memory_mb=100.0,
                lse_c=7.0,
                lse_d=6.0,
            )


def oracle(seed: int = 0) -> list[Trial]:
    """A model that knows everything."""
    answered = []
    for asked in presented(np.random.default_rng(seed)):
        true, moved = asked.truth_frames, asked.condition.moved_frames
        start = asked.condition.start_s or 0.0
        found = (Segment(start, start + asked.duration_s, true, 1.0),)
        if asked.label.segments:
            found = tuple(
                replace(s, offset_frames=s.offset_frames + moved) for s in asked.label.segments
            )
        verdicts = [judge(40 * s.offset_frames) for s in found]
        frames = [
            next((s.offset_frames for s in found if s.start_s <= i / 25 < s.end_s), None)
            for i in range(100)
        ]
        answered.append(
            replace(
                asked,
                offset_frames=true,
                confidence=1.0,
                answered=True,
                verdict=max(verdicts, key=("in sync", "detectable", "unacceptable").index),
                segments=found,
                frames=series(frames)
                if asked.condition.kind == "plain"
                else FrameSeries((), (), ()),
                windows=dict.fromkeys(WINDOWS, (30, 30)),
            )
        )
    return answered


def guesser(seed: int = 0, films: int = 400) -> list[Trial]:
    """A model that draws its answers: offsets of -15..15 with any confidence."""
    rng = np.random.default_rng(seed)
    people = [f"person-{i % 40}" for i in range(films)]
    trials = []
    for number in range(films):
        true = float(rng.integers(-15, 16))
        label = Label(true, people[number])
        for condition in (Condition(), Condition("shift", moved_frames=1.0)):
            found = float(rng.integers(-15, 16))
            trials.append(
                trial(
                    f"video-{number}.mp4",
                    true + condition.moved_frames,
                    found,
                    label=label,
                    condition=condition,
                    confidence=float(rng.uniform()),
                    windows={n: (int(rng.binomial(40, 3 / 31)), 40) for n in WINDOWS},
                    frames=series(rng.integers(-15, 16, 50).astype(float).tolist()),
                    curve=(0.0,) * 31,
                )
            )
    return trials


# ------------------------------------------------------------------- what every metric must do


def test_every_metric_is_measured_and_described() -> None:
    assert BEST_IS_1 | BEST_IS_0 | WITHOUT_BEST == set(METRICS)
    found = summarise([trial()], by=GROUPINGS)
    groups = {m.group for m in found}
    assert groups == {"all", "condition=plain", "perturbation=none level=0"}
    for group in groups:
        assert [m.name for m in found if m.group == group] == list(METRICS)
    for name, spec in METRICS.items():
        assert spec.family in FAMILIES and spec.source and spec.title, name
        assert spec.definition.endswith(".") and spec.definition.count(". ") == 0, name


def test_a_perfect_oracle_is_perfect_in_every_metric() -> None:
    found = table(oracle())
    assert {n: found[n].value for n in BEST_IS_1} == dict.fromkeys(BEST_IS_1, 1.0)
    assert {n: found[n].value for n in BEST_IS_0} == pytest.approx(
        dict.fromkeys(BEST_IS_0, 0), abs=1e-9
    )
    for name in BEST_IS_1 | BEST_IS_0:
        assert found[name].count > 0, name
    for name in BEST_IS_1:
        # Eight people prove no more than eight trials do.
        assert found[name].drawn == "people" and found[name].units <= 8
        assert found[name].high == 1.0
        assert found[name].low == pytest.approx(0.025 ** (1 / found[name].units))
    assert found["speed"].value == pytest.approx(found["speed"].low)
    assert found["accuracy_1_frame@5"].count == 30 * len(oracle())


def chances(trials: Sequence[Trial]) -> dict[str, float]:
    """What ``guesser`` is to be expected to score."""
    expected = {name: spec.chance for name, spec in METRICS.items() if spec.chance is not None}
    assert {*expected} == {*(f"accuracy_1_frame@{n}" for n in WINDOWS), "roc_auc"}
    truths = [t.truth_frames for t in trials]
    drawn = range(-15, 16)
    for k in (1, 2, 3, 5):  # at the ends of the range there are fewer right answers
        expected[f"accuracy_{k}"] = np.mean(
            [sum(abs(n - t) <= k for n in drawn) / 31 for t in truths]
        )
    right = expected["answered_accuracy_1"] = expected["accuracy_1"]
    expected["accuracy_0"] = np.mean([t in drawn for t in truths]) / 31
    expected["shift_accuracy_0"] = 1 / 31
    truly = np.mean([judge(40 * t) == "in sync" for t in truths])
    called = 5 / 31
    expected |= {"precision": truly, "recall": called, "average_precision": truly}
    expected["f1"] = 2 * truly * called / (truly + called)
    expected["frame_accuracy"] = truly * called + (1 - truly) * (1 - called)
    expected["brier"] = right * (1 / 3) + (1 - right) * (1 / 3)
    expected["ece"] = np.mean([abs(bin_ / 10 + 0.05 - right) for bin_ in range(10)])
    expected["mae_ms"] = 40 * np.mean([abs(n - t) for n in drawn for t in truths])
    expected["median_ae_ms"] = 40 * np.median([abs(n - t) for n in drawn for t in truths])
    expected["bias_ms"] = -40 * np.mean(truths)
    return expected


def test_a_model_that_guesses_is_at_chance_in_every_metric() -> None:
    covered: dict[str, list[bool]] = {}
    for seed in range(6):
        trials = guesser(seed, films=200)
        found = table(trials)
        for name, chance in chances(trials).items():
            metric = found[name]
            covered.setdefault(name, []).append(metric.low <= chance <= metric.high)
            assert metric.drawn == "people" and metric.units >= 10, name
            if METRICS[name].unit == "share":
                assert metric.high - metric.low < 0.3, name
                assert metric.value == pytest.approx(chance, abs=0.15), name
    # Intervals of 95%: of 150 some miss, but none always.
    assert all(sum(hits) >= 3 for hits in covered.values()), covered
    assert np.mean(list(covered.values())) > 0.88


def test_pieces_of_a_model_that_guesses_rarely_agree() -> None:
    rng = np.random.default_rng(1)
    pieces = [
        trial(
            f"{i}.mp4", None, float(rng.uniform(-15, 15)), condition=Condition("piece", 0, j, j + 1)
        )
        for i in range(60)
        for j in range(9)
    ]
    found = table(pieces)["piece_consistency"]
    assert found.count == 540 and found.drawn == "clips" and found.units == 60
    assert found.high < 0.35  # the median is one of nine, and the middle is where most are


def test_a_second_run_and_another_order_give_the_same_numbers() -> None:
    trials = [*(replace(t, backbone="guesser") for t in guesser(films=30)), *oracle()]
    by = ["source", "condition"]
    first = summarise(trials, by=by)
    assert repr(summarise(iter(trials), by=by)) == repr(first)
    shuffled = [trials[i] for i in np.random.default_rng(0).permutation(len(trials))]
    assert {*map(repr, summarise(shuffled, by=by))} == {*map(repr, first)}
    twice = [*guesser(0, 30), *(replace(t, backbone="other") for t in guesser(1, 30))]
    assert repr(agreement(twice)) == repr(agreement([*twice[:60][::-1], *twice[60:]]))


FAILED = Trial("a.mp4", "net", error="no memory", truth_frames=1.0, label=Label(1.0))
ALL_SAME = [trial(f"{i}.mp4", 0.0, 0.0) for i in range(6)]
DEGENERATE = {
    "nothing": [],
    "one trial": [trial()],
    "no truth": [trial(f"{i}", None, 1.0, label=Label()) for i in range(6)],
    "all failed": [replace(FAILED, film=f"{i}") for i in range(6)],
    "no match": [trial(f"{i}", 1.0, None, confidence=0.0) for i in range(6)],
    "one class": ALL_SAME,
    "no confidence": [replace(t, confidence=NAN) for t in ALL_SAME],
    "empty windows": [replace(t, windows={5: (0, 0), 99: (1, 1)}) for t in ALL_SAME],
}


@pytest.mark.parametrize("kind", DEGENERATE)
def test_what_cannot_be_measured_is_of_no_trials_and_nobody_is_warned(kind: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = summarise(DEGENERATE[kind], by=GROUPINGS)
        reliability(DEGENERATE[kind])
        agreement(DEGENERATE[kind])
    assert bool(found) == bool(DEGENERATE[kind])
    for metric in found:
        assert metric.defined == (metric.count > 0), metric
        if not metric.defined:
            assert math.isnan(metric.low) and math.isnan(metric.high)
            assert (metric.drawn, metric.units) == ("", 0)
        assert not (metric.low > metric.value or metric.high < metric.value), metric


def defined(kind: str) -> set[str]:
    return {name for name, metric in table(DEGENERATE[kind]).items() if metric.defined}


def test_what_is_left_of_degenerate_input() -> None:
    assert defined("all failed") == {"failure_rate"}
    assert table(DEGENERATE["all failed"])["failure_rate"].value == 1.0
    assert defined("no truth") == {"inconclusive_rate", "failure_rate"}
    assert not defined("one class") & {"roc_auc", "average_precision", "precision", "recall", "f1"}
    assert "accuracy_1" in defined("one class")
    assert "ece" not in defined("no confidence") and "brier" not in defined("no confidence")
    no_match = table(DEGENERATE["no match"])
    assert no_match["accuracy_1"].value == 0.0 and no_match["accuracy_1"].count == 6
    assert no_match["inconclusive_rate"].value == 1.0 and not no_match["mae_ms"].defined
    one = table([trial(truth=0.0, found=2.0)])
    assert one["mae_ms"].value == 80.0 and math.isnan(one["mae_ms"].low)


def test_a_metric_goes_into_json() -> None:
    plain = table([trial()])["roc_auc"].to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False))["value"] is None
    assert plain["name"] == "roc_auc" and plain["count"] == 0


def test_trials_stream_by() -> None:
    once = guesser(films=50)

    def many() -> Iterator[Trial]:
        for i in range(20):
            yield from (replace(t, film=f"{i}-{t.film}") for t in once)

    found = {m.name: m for m in summarise(many(), by=["condition"]) if m.group == "all"}
    assert found["accuracy_1"].count == 2000
    assert found["accuracy_1"].value == pytest.approx(value("accuracy_1", *once))


# --------------------------------------------------------------------------- each by hand


def test_windows_are_counted_per_clip_then_over_clips() -> None:
    found = table([trial("a", windows={5: (1, 10)}), trial("b", windows={5: (60, 100), 7: (1, 2)})])
    assert found["accuracy_1_frame@5"].value == pytest.approx((0.1 + 0.6) / 2)
    assert found["accuracy_1_frame@5"].count == 110
    assert found["accuracy_1_frame@7"].value == 0.5
    assert not found["accuracy_1_frame@15"].defined


def test_errors_by_hand() -> None:
    trials = [
        trial("a", 0.0, 0.5),
        trial("b", 0.0, -1.0),
        trial("c", 3.0, 5.0, answered=False),
        trial("d", -2.0, -2.5, answered=False),
        trial("e", 1.0, None),
        replace(FAILED, film="f"),
        trial("g", None, 9.0, label=Label()),
    ]
    found = {name: metric.value for name, metric in table(trials).items()}
    assert found["accuracy_0"] == 2 / 5
    assert found["accuracy_1"] == 3 / 5
    assert found["accuracy_2"] == found["accuracy_5"] == 4 / 5
    assert found["answered_accuracy_1"] == 1.0
    assert found["mae_ms"] == pytest.approx(40 * (0.5 + 1 + 2 + 0.5) / 4)
    assert found["median_ae_ms"] == pytest.approx(40 * 0.75)
    assert found["bias_ms"] == pytest.approx(40 * (0.5 - 1 + 2 - 0.5) / 4)
    assert found["inconclusive_rate"] == pytest.approx(3 / 6)
    assert found["failure_rate"] == pytest.approx(1 / 7)


@pytest.mark.parametrize(
    ("truth", "in_sync"), [(1.1, True), (1.2, False), (-3.1, True), (-3.2, False)]
)
def test_in_sync_is_what_the_verdict_calls_so(truth: float, in_sync: bool) -> None:
    other = trial("b", 9.0 if in_sync else 0.0, 9.0 if in_sync else 0.0)
    found = table([trial("a", truth, 0.0, verdict="in sync"), other])
    assert found["recall"].value == 1.0 and found["recall"].count == 1
    assert found["precision"].value == (1.0 if in_sync else 0.5)


def test_decisions_by_hand() -> None:
    trials = [
        trial("a", 0.0, 0.0, confidence=0.9),
        trial("b", 0.0, 0.0, confidence=0.2, verdict="inconclusive"),
        trial("c", 0.0, 5.0, confidence=0.6),
        trial("d", 5.0, 0.0, confidence=0.7),
        trial("e", 5.0, 5.0, confidence=0.9),
        trial("f", 5.0, None, confidence=0.0),
    ]
    found = {name: metric.value for name, metric in table(trials).items()}
    # Scores in sync: 0.9, 0.2, -0.6; off sync: 0.7, -0.9, 0.
    assert found["roc_auc"] == pytest.approx((3 + 2 + 1) / 9)
    assert found["average_precision"] == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)
    assert found["precision"] == 1 / 2
    assert found["recall"] == pytest.approx(1 / 3)
    assert found["f1"] == pytest.approx(2 / 5)


def test_a_video_is_in_sync_only_if_all_of_it_is() -> None:
    half = Label(0.0, segments=(Segment(0, 2, 0.0, 1.0), Segment(2, 4, 6.0, 1.0)))
    cut = trial("a", 0.0, 0.0, label=half, verdict="in sync")
    found = table([cut, trial("b", 0.0, 0.0)])
    assert found["precision"].value == 0.5
    seen = replace(cut, segments=(Segment(0, 2, 0.0, 1.0), Segment(2, 4, 6.0, 0.9)))
    assert value("roc_auc", seen, trial("b", 0.0, 0.0, confidence=0.1)) == 1.0
    part = replace(cut, condition=Condition("piece", 0.0, 0.0, 2.0), duration_s=2.0)
    assert table([part, trial("b", 9.0, 9.0)])["precision"].value == 1.0


def test_frames_by_hand() -> None:
    label = Label(None, segments=(Segment(0.0, 0.4, 0.0, 1.0), Segment(0.4, 0.6, 5.0, 1.0)))
    frames = series([0.0] * 6 + [None] * 2 + [5.0] * 4 + [0.0] * 8)
    first = trial("a", None, 0.0, label=label, frames=frames)
    found = table([first])
    assert (found["frame_coverage"].value, found["frame_coverage"].count) == (13 / 15, 15)
    # Frames 0-5 and 10-11 are right, 8 and 9 are called off sync too early, 12-14 missed.
    assert (found["frame_accuracy"].value, found["frame_accuracy"].count) == (8 / 13, 13)
    moved = replace(first, condition=Condition("shift", moved_frames=-5.0))
    assert value("frame_accuracy", moved) == pytest.approx((2 + 3) / 13)
    unsure = replace(first, film="b", frames=series([0.0] * 15, confidence=0.4))
    assert table([unsure])["frame_coverage"].value == 0.0
    assert not table([unsure])["frame_accuracy"].defined
    assert value("frame_accuracy", first, unsure) == 8 / 13


def test_segments_by_hand() -> None:
    label = Label(None, segments=(Segment(0, 4, 0.0, 1.0), Segment(4, 8, 5.0, 1.0)))
    found = (Segment(3, 5, 5.0, 0.9), Segment(5, 6, 4.0, 0.9), Segment(6, 9, 0.0, 0.9))
    first = trial("a", None, 0.0, label=label, segments=found, duration_s=8.0)
    assert value("segment_iou", first) == pytest.approx(2 / 5)
    assert value("segment_iou", replace(first, segments=())) == 0.0
    unsure = (Segment(4, 8, 5.0, 0.4), Segment(0, 1, 5.0, 0.6))
    assert value("segment_iou", replace(first, segments=unsure)) == 0.0
    constant = trial("b", 4.0, 4.0, segments=(Segment(0, 3, 4.0, 0.9),))
    assert value("segment_iou", first, constant) == pytest.approx((2 / 5 + 3 / 4) / 2)
    assert not table([trial("c", segments=(Segment(0, 4, 0.0, 0.9),))])["segment_iou"].defined
    twice = (Segment(0, 3, 4.0, 0.9), Segment(2, 3, 4.0, 0.9))
    assert value("segment_iou", replace(constant, segments=twice)) == pytest.approx(3 / 4)


def test_segments_of_a_video_that_runs_slower_are_longer() -> None:
    label = Label(None, segments=(Segment(0, 4, 0.0, 1.0), Segment(4, 8, 5.0, 1.0)))
    condition = Condition("perturbed", perturbation="slower", level=5)
    factor = offset_factor("slower", 5)
    assert factor > 1
    found = (Segment(4 * factor, 8 * factor, 5.0, 1.0),)
    slow = trial(
        "a", None, 0.0, label=label, segments=found, duration_s=8 * factor, condition=condition
    )
    got = table([slow], by=["perturbation"], group="perturbation=slower level=5")
    assert got["segment_iou"].value == pytest.approx(1.0)


def test_calibration_by_hand() -> None:
    trials = [
        trial("a", 0.0, 0.0, confidence=0.9),
        trial("b", 0.0, 4.0, confidence=0.8),
        trial("c", 0.0, 1.0, confidence=0.85),
        trial("d", 0.0, 4.0, confidence=0.1),
        trial("e", 0.0, None, confidence=0.0),
    ]
    found = table(trials)
    gaps = [0.1, abs(0.5 - 0.825) * 2, 0.1]
    assert found["ece"].value == pytest.approx(sum(gaps) / 4)
    assert found["ece"].count == found["brier"].count == 4
    assert found["brier"].value == pytest.approx((0.01 + 0.64 + 0.0225 + 0.01) / 4)
    bins = reliability([*trials, replace(trials[0], condition=PERTURBED), FAILED])["net"]
    assert [(b.low, b.count) for b in bins] == [(0.1, 1), (0.8, 2), (0.9, 1)]
    assert bins[1].confidence == pytest.approx(0.825) and bins[1].accuracy == 0.5


PERTURBED = Condition("perturbed", perturbation="noise", level=3, value=5.0, unit="dB")


def test_syncnets_scores_speed_and_memory_by_hand() -> None:
    trials = [
        trial("a", lse_c=8.0, lse_d=6.0, seconds=1.0, memory_mb=200.0),
        trial("b", lse_c=4.0, lse_d=9.0, seconds=0.5, memory_mb=900.0, duration_s=8.0),
        trial("c", lse_c=None),
    ]
    found = table(trials)
    assert (found["lse_c"].value, found["lse_d"].value, found["lse_c"].count) == (6.0, 7.5, 2)
    assert found["speed"].value == pytest.approx(12 / 1.5)
    assert (found["memory_mb"].value, found["memory_mb"].count) == (900.0, 2)
    assert math.isnan(found["memory_mb"].low) and found["memory_mb"].drawn == ""


def piece(film: str, at: float, moved: float, found: float | None, **more) -> Trial:
    return trial(film, None, found, condition=Condition("piece", moved, at, at + 2), **more)


def test_pieces_by_hand() -> None:
    pieces = [
        piece("a", 0, 2.0, 5.0),
        piece("a", 2, -1.0, 2.5),
        piece("a", 4, 0.0, 2.8),
        piece("a", 6, 4.0, -9.0, answered=False),
        piece("a", 8, 1.0, None),
        replace(piece("a", 10, 1.0, 4.0), error="no memory"),
        piece("b", 0, 0.0, 1.0),
        piece("b", 2, 0.0, 1.0),
    ]
    found = table([*pieces, trial("a", None, -7.0)])["piece_consistency"]
    assert (found.value, found.count) == (3 / 5, 5)


def moved(film: str, by: float, found: float | None, **more) -> Trial:
    return trial(film, None, found, condition=Condition("shift", moved_frames=by), **more)


def test_shifts_by_hand() -> None:
    trials = [
        trial("a", None, 1.0),
        moved("a", 5.0, 6.25),
        moved("a", -5.0, -4.5),
        moved("a", 10.0, -3.0),
        moved("a", 0.0, 1.0),
        moved("b", 5.0, 6.0),
        trial("c", None, 12.0, curve=(0.0,) * 31),
        moved("c", 5.0, -15.0, curve=(0.0,) * 31),
        moved("d", 0.0, 2.0),
        moved("d", 3.0, None),
    ]
    found = table(trials)
    assert found["shift_mae_ms"].count == 3
    assert found["shift_mae_ms"].value == pytest.approx(40 * (0.25 + 0.5 + 14) / 3)
    assert found["shift_max_ms"].value == pytest.approx(40 * 14)
    assert found["shift_accuracy_0"].value == pytest.approx(2 / 3)
    still = moved("d", 0.0, 2.0)
    assert value("shift_mae_ms", still, moved("d", 3.0, 5.5)) == pytest.approx(20)


# ------------------------------------------------------------------- against scikit-learn


@pytest.mark.parametrize("seed", range(3))
def test_the_figures_are_those_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    trials = []
    for i in range(150):
        true = float(rng.choice([0.0, 6.0]))
        found = true if rng.uniform() < 0.7 else 6.0 - true
        confidence = float(np.round(rng.uniform(), 1))  # many are equal
        verdict = judge(40 * found) if confidence >= 0.5 else "inconclusive"
        trials.append(trial(f"{i}", true, found, confidence=confidence, verdict=verdict))
    got = {name: metric.value for name, metric in table(trials).items()}
    truth = np.array([t.truth_frames == 0 for t in trials])
    sign = np.array([1 if t.offset_frames == 0 else -1 for t in trials])
    confidence = np.array([t.confidence for t in trials])
    called = np.array([t.verdict == "in sync" for t in trials])
    right = np.array([abs(t.error_frames) <= 1 for t in trials])
    precision, recall, f1, _ = precision_recall_fscore_support(truth, called, average="binary")
    assert got["roc_auc"] == pytest.approx(roc_auc_score(truth, sign * confidence))
    assert got["average_precision"] == pytest.approx(
        average_precision_score(truth, sign * confidence)
    )
    assert (got["precision"], got["recall"], got["f1"]) == pytest.approx((precision, recall, f1))
    assert got["brier"] == pytest.approx(brier_score_loss(right, confidence))
    assert got["ece"] == pytest.approx(expected_calibration_error(confidence, right))


# ------------------------------------------------------------------- groups, models, agreement


def test_groups() -> None:
    trials = [
        trial("a", 0.0, 0.0, label=Label(0.0, "anna", "news", "en")),
        trial("b", 0.0, 9.0, label=Label(0.0, "ben", "news", "")),
        replace(trial("b", 0.0, 3.0, label=Label(0.0, "ben", "news", "")), condition=PERTURBED),
        replace(trial("a", 2.0, 2.0, label=Label(0.0)), condition=Condition("shift", 2.0)),
    ]
    found = summarise(trials, by=["person", "language", "condition", "perturbation"])
    counts = {m.group: (m.value, m.count) for m in found if m.name == "accuracy_1"}
    assert counts == {
        "all": (pytest.approx(2 / 3), 3),
        "person=anna": (1.0, 1),
        "person=ben": (0.0, 1),
        "language=en": (1.0, 1),
        "condition=perturbed": (0.0, 1),
        "condition=plain": (0.5, 2),
        "condition=shift": (1.0, 1),
        "perturbation=none level=0": (0.5, 2),
        "perturbation=noise level=3": (0.0, 1),
    }
    assert next(iter(counts)) == "all"


def test_groups_by_tone() -> None:
    spoken = {"a": "zh-TW", "b": "en", "c": "yo", "d": "?", "e": "und"}
    trials = [trial(k, 0.0, 0.0, label=Label(0.0, language=v)) for k, v in spoken.items()]
    found = summarise(trials, by=["tone"])
    assert {m.group: m.count for m in found if m.name == "accuracy_1"} == {
        "all": 5,
        "tone=tonal": 2,
        "tone=not tonal": 1,
    }


def test_groups_by_voicing() -> None:
    shares = (0.2, 0.59, 0.6, 0.7, 1.0, None)
    trials = [replace(trial(str(n), 0.0, 0.0), voiced_share=x) for n, x in enumerate(shares)]
    found = summarise(trials, by=["voicing"])
    assert [(m.group, m.count) for m in found if m.name == "accuracy_1"] == [
        ("all", 6),
        ("voicing=under 60 %", 2),
        ("voicing=60 to 80 %", 2),
        ("voicing=over 80 %", 1),
    ]


def test_levels_are_in_order() -> None:
    levels = [
        replace(trial(), condition=Condition("perturbed", perturbation="noise", level=n))
        for n in (5, 1, 3)
    ]
    groups = list(dict.fromkeys(m.group for m in summarise(levels, by=["perturbation"])))
    assert groups == ["all", *(f"perturbation=noise level={n}" for n in (1, 3, 5))]


def test_an_unknown_grouping_is_refused() -> None:
    with pytest.raises(UsageError, match="weather"):
        summarise([], by=["person", "weather"])


def test_people_of_one_name_in_two_collections_are_two() -> None:
    trials = [
        trial(f"{i}", 0.0, float(i), label=Label(0.0, f"s{i % 3}", f"set-{i % 2}"))
        for i in range(12)
    ]
    found = table(trials)["mae_ms"]
    assert (found.drawn, found.units) == ("people", 6)


def test_videos_are_drawn_where_people_are_few() -> None:
    trials = [
        replace(trial(f"{i}", by, float(i % 4)), condition=Condition("shift", moved_frames=by))
        for i in range(10)
        for by in (0.0, 1.0, 2.0)
    ]
    found = table(trials)["mae_ms"]
    assert (found.drawn, found.units, found.count) == ("clips", 10, 30)


def test_models_of_one_backbone_are_told_apart() -> None:
    trials = [
        replace(trial(), weights="one"),
        replace(trial(found=9.0), weights="two"),
        replace(trial(), backbone="other"),
    ]
    found = [(m.backbone, m.value) for m in summarise(trials) if m.name == "accuracy_1"]
    assert found == [("net (one)", 1.0), ("net (two)", 0.0), ("other", 1.0)]
    assert model_names([("net", "one"), ("net", "one")]) == {("net", "one"): "net"}


def test_agreement_by_hand() -> None:
    a = trial("a", None, 1.0, backbone="x", frames=series([1.0, 1.0, None, 4.0]))
    trials = [
        a,
        replace(a, backbone="y", offset_frames=2.0, frames=series([2.0, 2.5, 1.0, 4.5])),
        replace(a, backbone="z", offset_frames=None, frames=series([None, 9.0])),
        trial("b", None, 5.0, backbone="x"),
        trial("b", None, -5.0, backbone="y"),
        replace(trial("c", None, -5.0, backbone="y"), condition=PERTURBED),
        replace(FAILED, film="b", backbone="z"),
    ]
    found = {(g.first, g.second): g for g in agreement(trials)}
    assert list(found) == [("x", "y"), ("x", "z"), ("y", "z")]
    both = found["x", "y"]
    assert (both.frames, both.frame_count) == (pytest.approx(2 / 3), 3)
    assert (both.trials, both.trial_count) == (0.5, 2)
    assert both.trials_interval.drawn == "clips" and both.trials_interval.units == 2
    assert (found["x", "z"].frames, found["x", "z"].frame_count) == (0.0, 1)
    assert math.isnan(found["x", "z"].trials) and found["x", "z"].trial_count == 0
    assert agreement([a]) == []


def test_a_model_agrees_with_itself_and_not_with_guesses() -> None:
    perfect = oracle()
    twin = [replace(t, weights="copy") for t in perfect]
    same = agreement([*perfect, *twin])[0]
    assert (same.frames, same.trials) == (1.0, 1.0) and same.trial_count == len(perfect)
    one, two = guesser(0, 100), [replace(t, backbone="other") for t in guesser(1, 100)]
    apart = agreement([*one, *two])[0]
    chance = (3 * 31 - 2) / 31**2  # the outermost have one neighbour only
    assert apart.frames_interval.low <= chance <= apart.frames_interval.high
    assert apart.frames_interval.drawn == "people"
