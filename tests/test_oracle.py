"""The judge is fair: who knows all scores 1, who knows nothing scores chance, in every metric."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmark_modules import benchmark_modules
from synctool.evaluation.metrics import METRICS
from synctool.types import Condition, Label, Trial


@pytest.fixture(scope="module")
def bench() -> Iterator[SimpleNamespace]:
    with benchmark_modules("chance", "coded_videos", "oracle") as found:
        yield found


@pytest.fixture(scope="module")
def figures(
    bench: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    with bench.coded_videos.installed():
        found, _ = bench.oracle.fairness(
            tmp_path_factory.mktemp("films"),
            films=6,
            seconds=6,
            networks=2,
            shifts="-10,-5,3,9",
            small=True,
        )
    return found


def at_chance(found: dict[str, Any]) -> bool:
    """Whether chance lies within the interval, made half as wide again, as a dozen figures are looked at.

    A dozen videos happen to agree, and leave too narrow an interval: that of as many tosses counts as well.
    """
    low, value, high, level = (found[name] for name in ("low", "value", "high", "chance"))
    tosses = 2.5 * math.sqrt(level * (1 - level) / found["units"]) if 0 < level < 1 else 0.0
    down, up = max(1.5 * (value - low), tosses), max(1.5 * (high - value), tosses)
    return value - down <= level <= value + up


def test_who_knows_everything_scores_one_everywhere(
    bench: SimpleNamespace, figures: dict[str, dict[str, Any]]
) -> None:
    reader = {name: of[bench.coded_videos.READER]["value"] for name, of in figures.items()}
    shares = {
        name: value
        for name, value in reader.items()
        if METRICS[name].unit == "share" and METRICS[name].higher_is_better
    }
    assert {name: v for name, v in shares.items() if v != 1} == {}
    assert {"accuracy_1_frame@5", "accuracy_0", "roc_auc", "f1", "piece_consistency"} <= set(shares)
    errors = {
        name: value for name, value in reader.items() if METRICS[name].higher_is_better is False
    }
    del errors["lse_d"]  # a distance, whose zero is out of reach
    assert {name: v for name, v in errors.items() if abs(v) > 0.01} == {}
    assert {"mae_ms", "inconclusive_rate", "ece", "shift_max_ms"} <= set(errors)


@pytest.mark.parametrize("backbone", ["code-guesser", "fcn-cls"])
def test_who_knows_nothing_scores_chance_everywhere(
    figures: dict[str, dict[str, Any]], backbone: str
) -> None:
    judged = {
        name: of[backbone]
        for name, of in figures.items()
        if backbone in of and of[backbone]["chance"] is not None
    }
    assert {n: f for n, f in judged.items() if f["low"] is not None and not at_chance(f)} == {}
    assert {"accuracy_1_frame@5", "accuracy_1", "mae_ms", "roc_auc", "brier"} <= set(judged)
    assert "piece_consistency" in judged


def test_guesses_have_three_of_31_windows(figures: dict[str, dict[str, Any]]) -> None:
    for frames in (5, 15):
        found = figures[f"accuracy_1_frame@{frames}"]["code-guesser"]
        level = METRICS[f"accuracy_1_frame@{frames}"].chance
        assert at_chance({**found, "chance": level})
        assert abs(found["value"] - level) < 0.04


def test_knowledge_is_not_taken_for_chance(figures: dict[str, dict[str, Any]]) -> None:
    for name in ("accuracy_1_frame@5", "accuracy_1", "mae_ms", "roc_auc", "piece_consistency"):
        guesses = figures[name]["code-guesser"]
        gained = figures[name]["code-reader"]["value"] - guesses["value"]
        assert at_chance(guesses)
        assert not at_chance(
            {**guesses, **{k: guesses[k] + gained for k in ("low", "value", "high")}}
        )


def test_who_knows_nothing_says_nothing(figures: dict[str, dict[str, Any]]) -> None:
    for backbone in ("code-guesser", "fcn-cls"):
        assert figures["inconclusive_rate"][backbone]["value"] > 0.8


def test_the_same_seed_gives_the_same_figures(bench: SimpleNamespace, tmp_path: Path) -> None:
    made = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        with bench.coded_videos.installed():
            found, _ = bench.oracle.fairness(
                tmp_path / name, films=2, seconds=2, networks=1, shifts="5", small=True
            )
        made.append(found)
    assert made[0] == made[1]


def test_the_table_has_a_row_for_every_metric(
    bench: SimpleNamespace, figures: dict[str, dict[str, Any]]
) -> None:
    table = bench.oracle.fairness_table(figures, "8 videos")
    assert len(table.rows) == len(figures) and {len(row) for row in table.rows} == {6}
    assert not any("nan" in cell.lower() for row in table.rows for cell in row)
    row = next(row for row in table.rows if row[0] == "±1 frame, 5 frames")
    assert row[1].startswith("1.000 [")


# ------------------------------------------------------------------------------ the chance level


def known(film: str, truth: float, found: float, **more: Any) -> Trial:
    """An answer to a video whose truth is known."""
    return Trial(
        film,
        "model",
        condition=Condition("shift", truth),
        label=Label(0.0, person=film),
        truth_frames=truth,
        offset_frames=found,
        confidence=0.9,
        verdict="detectable",
        answered=True,
        **more,
    )


def test_exchanging_takes_away_what_answers_know(bench: SimpleNamespace) -> None:
    truths = np.random.default_rng(1).integers(-15, 16, 300).tolist()
    right = [known(f"f{i}", n, n) for i, n in enumerate(truths)]
    levels = bench.chance.chance_levels(right, [], draws=3)
    assert levels["accuracy_1"] == pytest.approx(3 / 31, abs=0.03)
    assert levels["mae_ms"] == pytest.approx(
        40 * np.abs(np.subtract.outer(truths, truths)).mean(), rel=0.1
    )
    assert not {"lse_c", "speed", "shift_mae_ms", "inconclusive_rate"} & set(levels)


def test_a_constant_answer_is_worth_the_same_anywhere(bench: SimpleNamespace) -> None:
    always = [known(f"f{i}", i % 5, 0.0) for i in range(50)]
    levels = bench.chance.chance_levels(always, [], draws=2)
    assert levels["accuracy_1"] == pytest.approx(0.4)


def test_windows_are_judged_by_wrong_labels(bench: SimpleNamespace) -> None:
    right = [known("f", 0, 0, windows={5: (9, 10)})]
    wrong = [known("f", 3, 0, windows={5: (1, 10)})]
    assert bench.chance.chance_levels(right, wrong, draws=1)["accuracy_1_frame@5"] == 0.1


def test_pieces_are_exchanged_with_pieces(bench: SimpleNamespace) -> None:
    films = [known(f"f{i}", i, i) for i in range(6)]
    pieces = [
        replace(t, condition=Condition("piece", 1.0, 0.0, 2.0), offset_frames=100.0 + i)
        for i, t in enumerate(films)
    ]
    mixed = bench.chance._exchanged([*films, *pieces], np.random.default_rng(0))
    assert {t.offset_frames for t in mixed if t.condition.kind == "piece"} == set(
        np.arange(100.0, 106.0)
    )
    assert [t.truth_frames for t in mixed] == [t.truth_frames for t in [*films, *pieces]]


# ------------------------------------------------------------------------------ the made-up videos


def test_wrong_labels_are_wrong(bench: SimpleNamespace) -> None:
    own = [-4, -3, -1, 0, 0, 2, 3, 4]
    wrong = bench.oracle._others(own, np.random.default_rng(0))
    assert sorted(wrong) == sorted(own)
    assert sum(abs(a - b) >= 3 for a, b in zip(own, wrong)) >= 6


def test_there_are_only_so_many_frames(bench: SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="more than 4096 frames"):
        bench.oracle.fairness(tmp_path, films=100, seconds=60, networks=1)
    with pytest.raises(ValueError, match="numbers end"):
        bench.coded_videos.coded_video(tmp_path / "a.mkv", first=4000, frames=200)


def test_chance_is_no_level_of_what_ignores_the_truth(bench: SimpleNamespace) -> None:
    judged = {name for name in METRICS if bench.chance.judged(name)}
    assert {name for name in METRICS if METRICS[name].family == "windows"} <= judged
    assert {"mae_ms", "f1", "segment_iou", "brier", "piece_consistency"} <= judged
    assert not {"lse_c", "lse_d", "speed", "memory_mb", "shift_accuracy_0"} & judged
    assert not any(math.isnan(METRICS[name].chance or 0.0) for name in judged)
