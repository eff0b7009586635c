"""Sets of offsets: how often they hold the truth, how large they are, how they travel with weights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import flicker_models
import synctool
from fake_volumes import constant
from flicker import flicker_video
from synctool.errors import WeightsError
from synctool.measure.detect import Detector
from synctool.networks.loaded import of_header
from synctool.scoring.confidence import Calibration
from synctool.scoring.offset import OffsetEstimate, estimate_offset
from synctool.scoring.offset_sets import (
    Density,
    SetCalibration,
    fit_density,
    fit_sets,
    hierarchical_quantiles,
    masses,
    moved,
)
from synctool.scoring.path import follow_offset
from synctool.types import DetectResult, OffsetSet
from synctool.weights.artefact import read_artefact, write_manifest

K = 15
SURE = Calibration(intercept=-3.5, log1p_t_stat=3.2, log_frames=0.1)


def estimates(
    count: int, seed: int, *, noise: float | None = None
) -> tuple[list[OffsetEstimate], list]:
    """Estimates on made-up score volumes of one to four seconds, and their true offsets in frames; the
    noise varies unless it is given."""
    rng = np.random.default_rng(seed)
    found, truths = [], []
    for _ in range(count):
        truth, frames = rng.uniform(-10, 10), int(rng.integers(25, 100))
        peak = 0.5 * np.exp(-0.5 * ((np.arange(-K, K + 1) - truth) / 0.8) ** 2)
        spread = np.exp(rng.uniform(np.log(0.3), np.log(3.0))) if noise is None else noise
        volume = peak[:, None] + spread * rng.normal(size=(2 * K + 1, frames))
        found.append(estimate_offset(volume.astype(np.float32)))
        truths.append(truth)
    return found, truths


@pytest.fixture(scope="module")
def sets() -> SetCalibration:
    found, truths = estimates(200, 1)
    people = [f"person {i % 100}" for i in range(200)]
    return fit_sets(fit_density(found[::4], truths[::4]), found, truths, people)


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.95])
def test_sets_of_new_segments_hold_the_truth_as_often_as_promised(
    sets: SetCalibration, coverage: float
) -> None:
    found, truths = estimates(400, 2)
    held = [
        sets.at(coverage).offset_set(e).holds(40 * t) for e, t in zip(found, truths, strict=True)
    ]
    assert coverage - 0.06 < np.mean(held) < coverage + 0.09


def test_sets_are_larger_where_the_scores_say_less(sets: SetCalibration) -> None:
    clear, dim = (estimates(40, 3, noise=noise)[0] for noise in (0.3, 3.0))
    widths = [np.mean([sets.offset_set(e).width_ms for e in found]) for found in (clear, dim)]
    assert widths[0] < 0.5 * widths[1]


def test_two_places_that_fit_alike_are_two_spans() -> None:
    curve = np.full(2 * K + 1, -0.1, np.float32)
    curve[[5, 25]] = 1.0, 0.99
    estimate = OffsetEstimate(-10.0, 5, 0.01, 0.1, 50, False, curve)
    sets = SetCalibration(Density(0.2, 1.0, 0.0, 0.3, 0.01), (0.9,), (0.95,), 30)
    spans = sets.offset_set(estimate).spans_ms
    assert len(spans) == 2
    assert spans[0][0] < -400 < spans[0][1] < spans[1][0] < 400 < spans[1][1]


def test_a_density_sums_to_one_and_leaves_out_what_is_not_searched() -> None:
    curve = np.linspace(0, 1, 2 * K + 1).astype(np.float32)
    curve[:4] = np.nan
    estimate = OffsetEstimate(15.0, 30, 0.1, 1.0, 20, True, curve)
    found = Density(0.1, 1.0, 0.0, 0.3, 0.05).probabilities(estimate)
    assert found.sum() == pytest.approx(1.0)
    assert not found[: 4 * 8].any() and (found[4 * 8 :] > 0).all()


def test_the_mass_of_an_offset_counts_all_that_are_as_likely() -> None:
    assert masses(np.array([0.1, 0.6, 0.3, 0.0])).tolist() == pytest.approx([1.0, 0.6, 0.9, np.inf])


def test_every_person_counts_once_and_the_new_one_for_the_worst() -> None:
    scores = np.array([0.1] * 98 + [0.5, 0.9])
    people = ["many"] * 98 + ["b", "c"]
    # Each of three people weighs a quarter, the new one the last quarter, at everything.
    assert hierarchical_quantiles(scores, people, [0.25, 0.5, 0.75, 0.8]) == (0.1, 0.5, 0.9, 1.0)


def test_a_coverage_between_two_levels_takes_the_higher_threshold() -> None:
    sets = SetCalibration(Density(1.0, 1.0, 0.0, 0.3, 0.01), (0.8, 0.9), (0.7, 0.85), 30)
    assert [sets.at(c).threshold for c in (0.8, 0.81, 0.9, 0.95)] == [0.7, 0.85, 0.85, 1.0]


def test_the_calibration_survives_its_way_through_json(sets: SetCalibration) -> None:
    assert SetCalibration.from_dict(sets.to_dict()) == sets


@pytest.mark.parametrize(
    "change",
    [
        {"levels": [0.9, 0.8]},
        {"thresholds": [1.5]},
        {
            "density": {
                "sharpness": 0.0,
                "growth": 1.0,
                "noise": 0.0,
                "blur_frames": 0.3,
                "floor": 0.1,
            }
        },
        {"density": None},
    ],
)
def test_a_calibration_that_cannot_be_is_refused(sets: SetCalibration, change: dict) -> None:
    with pytest.raises(WeightsError):
        SetCalibration.from_dict({**sets.to_dict(), **change})


def test_a_set_moves_with_its_offset() -> None:
    found = OffsetSet(0.9, ((-40.0, 40.0),))
    assert moved(found, 2.0) == replace(found, spans_ms=((40.0, 120.0),))
    assert moved(None, 2.0) is None


# --------------------------------------------------------------------- on the way to a result


def test_segments_that_are_answers_have_sets(sets: SetCalibration) -> None:
    volume = np.concatenate([constant(4, 6.0), constant(-7, 6.0, seed=1)], axis=1)
    path = follow_offset(volume, calibration=replace(SURE, sets=sets))
    assert [round(s.offset_frames) for s in path.segments] == [4, -7]
    for segment in path.segments:
        assert segment.offset_set is not None
        assert segment.offset_set.holds(40 * segment.offset_frames)
        assert segment.to_dict()["offset_set"]["coverage"] == 0.9


def test_a_result_has_a_set_of_the_asked_coverage(sets: SetCalibration, tmp_path: Path) -> None:
    model = flicker_models.grey()
    model = replace(model, calibration=replace(model.calibration, sets=sets))
    video = flicker_video(tmp_path / "v.mkv", ahead_frames=5.0)
    result = Detector(model=model, detector="whole", set_coverage=0.8).detect(video)
    assert result.offset_set is not None and result.offset_set.coverage == 0.8
    assert result.offset_set.holds(200)
    again = DetectResult.from_dict(json.loads(json.dumps(result.to_dict())))
    assert again.offset_set is not None
    assert again.offset_set.spans_ms == result.offset_set.spans_ms


def test_an_inconclusive_result_has_none(sets: SetCalibration, tmp_path: Path) -> None:
    model = flicker_models.grey()
    model = replace(model, calibration=replace(model.calibration, sets=sets))
    video = flicker_video(tmp_path / "v.mkv", seconds=0.4)
    result = Detector(model=model, detector="whole").detect(video)
    assert result.verdict == "inconclusive" and result.offset_set is None


def test_the_header_of_weights_brings_the_sets(sets: SetCalibration) -> None:
    header = {
        "calibration": json.dumps(SURE.to_dict()),
        "offset_sets": json.dumps(sets.to_dict()),
    }
    calibration, _ = of_header(header, Path("x.safetensors"))
    assert calibration.sets == sets
    assert "sets" not in calibration.to_dict()


def test_an_exported_model_keeps_the_sets(sets: SetCalibration, tmp_path: Path) -> None:
    bundled = Path(synctool.__file__).parent / "weights" / "bundled"
    artefact = replace(read_artefact(next(bundled.glob("*.onnx"))), offset_sets=sets.to_dict())
    write_manifest(artefact, tmp_path)
    kept = read_artefact(tmp_path).offset_sets
    assert kept is not None and SetCalibration.from_dict(kept) == sets
