"""Confidence is the probability of being right, also on videos that took no part in the fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import uniform_filter1d

from fake_volumes import constant
from synctool.errors import MissingError, SyncToolError, WeightsError
from synctool.scoring.confidence import (
    EDGE_CONFIDENCE,
    FALSE_MATCHES,
    FOREIGN_PRIOR,
    UNCALIBRATED,
    Belonging,
    Calibration,
    expected_calibration_error,
    fit_calibration,
    reliability_table,
)
from synctool.scoring.offset import OffsetEstimate, estimate_offset


def estimate(t_stat: float = 5.0, frames: int = 100, *, at_edge: bool = False) -> OffsetEstimate:
    return OffsetEstimate(1.0, 16, 1.0, t_stat, frames, at_edge, np.zeros(31, dtype=np.float32))


def drawn(seed: int, count: int) -> tuple[list[OffsetEstimate], list[bool]]:
    """Estimates of short segments of which about half are right."""
    random = np.random.default_rng(seed)
    estimates, correct = [], []
    for number in range(count):
        offset, height = random.uniform(-10, 10), random.choice([0.0, 0.4, 0.8, 2.0])
        seconds = random.uniform(1, 8)
        volume = constant(offset, seconds, height=height, seed=1000 * seed + number)
        estimates.append(estimate_offset(volume))
        correct.append(abs(estimates[-1].offset_frames - offset) <= 1)
    return estimates, correct


@pytest.fixture(scope="module")
def fitted() -> Calibration:
    return fit_calibration(*drawn(1, 400))


def test_a_fit_is_calibrated_on_other_videos(fitted: Calibration) -> None:
    estimates, correct = drawn(2, 400)
    assert 0.25 < np.mean(correct) < 0.75
    confidences = [fitted.confidence(e) for e in estimates]
    assert expected_calibration_error(confidences, correct) < 0.08
    assert expected_calibration_error([1 - c for c in confidences], correct) > 0.3
    assert fitted.log1p_t_stat > 0 and fitted.margin >= 0


def test_the_default_is_sane() -> None:
    values = [UNCALIBRATED.confidence(estimate(t)) for t in (-3.0, 0.0, 1.0, 3.0, 8.0)]
    assert values == sorted(values)
    assert values[0] == values[1] < 0.1 < 0.5 < values[3] and values[4] > 0.95
    for seconds, least in ((3, 0.5), (60, 0.9)):
        assert UNCALIBRATED.confidence(estimate_offset(constant(3, seconds, height=3))) > least
        noise = estimate_offset(constant(np.nan, seconds))
        assert UNCALIBRATED.confidence(noise) < 0.3


def test_a_peak_at_the_edge_is_never_sure(fitted: Calibration) -> None:
    for calibration in (UNCALIBRATED, fitted):
        assert calibration.confidence(estimate(50.0)) > 0.9
        assert calibration.confidence(estimate(50.0, at_edge=True)) == EDGE_CONFIDENCE
        low = calibration.confidence(estimate(0.0))
        assert calibration.confidence(estimate(0.0, at_edge=True)) == min(low, EDGE_CONFIDENCE)


def test_arrays_give_the_same_as_single_figures() -> None:
    t_stat, frames = np.array([0.0, 2.0, np.nan]), np.array([10.0, 60.0, 60.0])
    values = UNCALIBRATED.probability(t_stat, np.ones(3), frames, np.zeros(3, dtype=bool))
    assert values[1] == pytest.approx(UNCALIBRATED.confidence(estimate(2.0, 60)), rel=1e-12)
    assert np.isnan(values[2])


def test_the_height_of_the_peak_counts_and_older_calibrations_do_without() -> None:
    curve = np.zeros(31, np.float32)
    curve[16] = 2.0
    high = replace(estimate(3.0), curve=curve)
    old = {"intercept": -3.0, "log1p_t_stat": 1.0, "margin": 0.5, "log_frames": 0.1}
    read = Calibration.from_dict(old)
    assert read.height == 0 and read.confidence(high) == read.confidence(estimate(3.0))
    counting = Calibration.from_dict({**old, "height": 0.5})
    assert counting.confidence(high) > counting.confidence(estimate(3.0))
    assert counting.confidence(estimate(3.0)) == pytest.approx(read.confidence(high))
    assert Calibration.from_dict(counting.to_dict()) == counting


def with_foreign(seed: int, count: int) -> tuple[list[OffsetEstimate], list[bool], list[bool]]:
    """As ``drawn`` with a peak in all of them, and as many without any peak."""
    random = np.random.default_rng(seed)
    estimates, correct, foreign = [], [], []
    for number in range(count):
        offset = np.nan if number % 2 else random.uniform(-10, 10)
        height, seconds = random.choice([0.4, 0.8, 2.0]), random.uniform(0.6, 16)
        volume = constant(offset, seconds, height=height, seed=1000 * seed + number)
        estimates.append(estimate_offset(volume))
        correct.append(abs(estimates[-1].offset_frames - offset) <= 1)
        foreign.append(bool(np.isnan(offset)))
    return estimates, correct, foreign


@pytest.fixture(scope="module")
def asked_apart() -> Calibration:
    estimates, correct, foreign = with_foreign(5, 1200)
    return fit_calibration(estimates, correct, foreign=foreign)


def test_whether_audio_belongs_is_asked_apart(asked_apart: Calibration) -> None:
    estimates, correct, foreign = with_foreign(6, 1200)
    pairs = list(zip(estimates, foreign, strict=True))
    own = [e for e, other in pairs if not other]
    right = [c for c, other in zip(correct, foreign, strict=True) if not other]
    others = [e for e, other in pairs if other][: round(len(own) * FOREIGN_PRIOR)]
    sure = [asked_apart.confidence(e) for e in (*own, *others)]
    assert expected_calibration_error(sure, [*right, *[False] * len(others)]) < 0.08
    belongs = [np.mean([asked_apart.certainty(e).belongs for e in some]) for some in (own, others)]
    assert belongs[0] > 0.95 > 0.75 > belongs[1]
    for e in own[:20]:
        certainty = asked_apart.certainty(e)
        assert certainty.confidence == asked_apart.confidence(e) <= certainty.belongs


@pytest.mark.parametrize("seconds", [(0.6, 1.5), (1.5, 5), (5, 16)])
def test_few_of_anothers_pass_at_any_length(asked_apart: Calibration, seconds) -> None:
    estimates, _, foreign = with_foreign(7, 1600)
    low, high = (25 * s for s in seconds)
    passed = [
        asked_apart.certainty(e).is_match
        for e, other in zip(estimates, foreign, strict=True)
        if other and low <= e.frames < high
    ]
    assert len(passed) > 30 and np.mean(passed) < 3 * FALSE_MATCHES
    own = [asked_apart.certainty(e).is_match for e, o in zip(estimates, foreign) if not o]
    assert np.mean(own) > 0.5


def still_faces(seed: int, count: int) -> list[OffsetEstimate]:
    """All offsets show one course of scores, each at another time."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        frames = int(random.uniform(15, 400))
        course = uniform_filter1d(random.standard_normal(frames + 30), 5)
        volume = np.stack([course[row : row + frames] for row in range(31)]) + 5.0
        made.append(estimate_offset(volume.astype(np.float32)))
    return made


def test_a_still_face_is_no_answer_however_long_it_is(tmp_path: Path) -> None:
    estimates, correct, foreign = with_foreign(5, 800)
    before = fit_calibration(estimates, correct, foreign=foreign)
    made = fit_calibration(estimates, correct, foreign=foreign, still=still_faces(1, 200))
    assert replace(made, distinct=None) == before
    long = [e for e in still_faces(2, 200) if e.frames > 150 and not e.at_edge]
    assert (
        np.mean([made.confidence(e) for e in long])
        < 0.05
        < 0.7
        < np.mean([before.confidence(e) for e in long])
    )
    right = [e for e, c in zip(estimates, correct) if c and e.height > 1.5]
    lost = [before.confidence(e) - made.confidence(e) for e in right]
    assert 0 <= min(lost) and np.mean(lost) < 0.02
    made.save(tmp_path / "c.json")
    assert Calibration.load(tmp_path / "c.json") == made
    wrong = {**made.to_dict(), "distinct": {**made.to_dict()["distinct"], "log_height": 1e300}}
    with pytest.raises(WeightsError):
        Calibration.from_dict(wrong)


def test_without_that_question_all_audio_belongs() -> None:
    certainty = UNCALIBRATED.certainty(estimate(2.0))
    assert certainty.belongs == 1 and certainty.is_match
    assert "belonging" not in UNCALIBRATED.to_dict()


def test_both_questions_survive_a_file(asked_apart: Calibration, tmp_path: Path) -> None:
    asked_apart.save(tmp_path / "c.json")
    assert Calibration.load(tmp_path / "c.json") == asked_apart
    wrong = {**asked_apart.to_dict(), "belonging": {"intercept": 1.0}}
    with pytest.raises(WeightsError):
        Calibration.from_dict(wrong)
    wrong["belonging"] = {**asked_apart.to_dict()["belonging"], "height": 1e300}
    with pytest.raises(WeightsError):
        Calibration.from_dict(wrong)


def test_a_flat_line_for_matches_is_the_share_of_another_s_that_pass() -> None:
    own = Belonging(0.0, 1.0, 0.0, 0.0, 0.0, least=2.0, least_log_frames=-0.5)
    assert own.least_log_odds(1.0) == 2.0
    assert own.least_log_odds(np.e**2) == pytest.approx(1.0)
    assert own.least_log_odds(1e9) == own.least_log_odds(75)


def test_more_than_a_minute_adds_nothing() -> None:
    assert UNCALIBRATED.confidence(estimate(2.0, 10**6)) == UNCALIBRATED.confidence(
        estimate(2.0, 1500)
    )


def test_only_right_estimates_still_give_a_finite_fit() -> None:
    made = fit_calibration([estimate(t) for t in (1.0, 4.0, 9.0)], [True] * 3)
    assert 0.5 < made.confidence(estimate(4.0)) < 1


def test_a_calibration_survives_its_file(tmp_path: Path, fitted: Calibration) -> None:
    fitted.save(tmp_path / "c.json")
    assert Calibration.load(tmp_path / "c.json") == fitted


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "[1, 2]",
        '{"intercept": 1}',
        '{"intercept": 1, "log1p_t_stat": "x", "margin": 0, "log_frames": 0}',
        '{"intercept": NaN, "log1p_t_stat": 1, "margin": 0, "log_frames": 0}',
        '{"intercept": 1, "log1p_t_stat": 1, "margin": 0, "log_frames": 0, "temperature": 0}',
        '{"intercept": 1, "log1p_t_stat": 1, "margin": 0, "log_frames": 0, "surprise": 0}',
    ],
)
def test_a_file_that_is_no_calibration(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(WeightsError):
        Calibration.load(tmp_path / "c.json")


def test_no_file_at_all(tmp_path: Path) -> None:
    with pytest.raises(MissingError) as caught:
        Calibration.load(tmp_path / "c.json")
    assert isinstance(caught.value, SyncToolError)


def test_calibration_error_by_hand() -> None:
    confidences, correct = [0.15, 0.15, 0.95, 0.95, 1.0], [True, False, True, True, False]
    table = reliability_table(confidences, correct)
    assert [(row.low, row.count) for row in table] == [(0.1, 2), (0.9, 3)]
    assert table[1].accuracy == pytest.approx(2 / 3)
    expected = (2 * abs(0.5 - 0.15) + 3 * abs(2 / 3 - 2.9 / 3)) / 5
    assert expected_calibration_error(confidences, correct) == pytest.approx(expected)


def test_what_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="no predictions"):
        expected_calibration_error([], [])
    with pytest.raises(ValueError, match="truths"):
        reliability_table([0.5], [])
    with pytest.raises(ValueError, match="truths"):
        fit_calibration([estimate()], [])
    with pytest.raises(ValueError, match="no estimate"):
        fit_calibration([estimate(at_edge=True)], [True])
