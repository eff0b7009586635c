"""The offset along a video: per frame, in segments, and its drift."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fake_volumes import constant, volume_of
from synctool.scoring import drift as drifting
from synctool.scoring import rows, segments
from synctool.scoring.confidence import UNCALIBRATED
from synctool.scoring.drift import fit_drift, straightened
from synctool.scoring.path import OffsetPath, follow_offset


def pieces(*parts: tuple[float, float]) -> np.ndarray:
    """True offsets from (offset, seconds)."""
    return np.concatenate([np.full(round(25 * s), float(offset)) for offset, s in parts])


def outline(path: OffsetPath) -> list[tuple[float, float, int]]:
    return [(s.start_s, s.end_s, round(s.offset_frames)) for s in path.segments]


@pytest.mark.parametrize("offset", [-7.3, 0.0, 4.5])
def test_one_offset_is_one_segment(offset: float) -> None:
    path = follow_offset(constant(offset, 60, height=3))
    (segment,) = path.segments
    assert (segment.start_s, segment.end_s) == pytest.approx((0, 60), abs=1)
    assert segment.offset_frames == pytest.approx(offset, abs=0.12)
    assert segment.confidence > 0.9
    assert np.nanmedian(path.confidence) > 0.7
    assert np.nanmean(np.abs(path.offset_frames - offset) <= 1) > 0.95
    assert path.drift_ms_per_min == 0


@pytest.mark.parametrize("seed", range(4))
def test_a_cut_is_found_where_it_is(seed: int) -> None:
    path = follow_offset(volume_of(pieces((3, 28), (-5, 32)), seed=seed))
    assert [s.offset_frames for s in path.segments] == pytest.approx([3, -5], abs=0.15)
    assert path.segments[0].end_s == pytest.approx(28, abs=0.5)
    assert path.segments[1].start_s == pytest.approx(28, abs=0.5)
    assert path.drift.low < 5
    assert path.drift.high > -5


def test_a_cut_of_two_frames_is_found_too() -> None:
    path = follow_offset(volume_of(pieces((3, 60), (5, 60)), height=3))
    assert [round(s.offset_frames) for s in path.segments] == [3, 5]
    assert path.segments[0].end_s == path.segments[1].start_s == pytest.approx(60, abs=0.2)
    assert path.drift_ms_per_min == 0


def test_a_step_of_one_frame_is_no_drift() -> None:
    assert follow_offset(volume_of(pieces((3, 60), (4, 60)), height=4)).drift_ms_per_min == 0


def test_a_short_insert_is_a_segment() -> None:
    path = follow_offset(volume_of(pieces((3, 40), (-6, 4), (3, 40)), height=3))
    assert [round(s.offset_frames) for s in path.segments] == [3, -6, 3]
    assert path.segments[1].start_s == pytest.approx(40, abs=0.5)
    assert path.segments[1].end_s == pytest.approx(44, abs=0.5)


@pytest.mark.parametrize("pause_s", [0.6, 1.2, 1.8])
def test_segments_touch_where_the_offset_changes_within_a_short_pause(pause_s: float) -> None:
    truth = pieces((3, 20), (np.nan, pause_s), (-6, 20))
    before, after = follow_offset(volume_of(truth, height=4)).segments
    assert before.end_s == after.start_s
    assert 19.9 <= before.end_s <= 20.1 + pause_s


@pytest.mark.parametrize("missing", ["silence", "no face"])
def test_a_segment_without_evidence_is_in_no_segment(missing: str) -> None:
    truth = pieces((3, 40), (np.nan, 40), (3, 40))
    volume = volume_of(truth)
    if missing == "no face":
        volume[:, 1000:2000] = np.nan
    path = follow_offset(volume)
    assert [s[2] for s in outline(path)] == [3, 3]
    assert path.segments[0].end_s == pytest.approx(40, abs=1.2)
    assert path.segments[1].start_s == pytest.approx(80, abs=1.2)
    between = slice(1050, 1950)
    if missing == "no face":
        assert np.isnan(path.offset_frames[1000:2000]).all()
        assert np.isnan(path.confidence[1000:2000]).all()
    else:
        assert np.mean(path.confidence[between]) < 0.2 < 0.5 < np.mean(path.confidence[:900])


def test_a_segment_begins_and_ends_with_a_face() -> None:
    volume = constant(3, 20, height=4)
    volume[:, :53] = volume[:, 441:] = np.nan
    assert outline(follow_offset(volume)) == [(53 / 25, 441 / 25, 3)]


def test_touching_segments_of_one_offset_are_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    volume = constant(4.5, 60)
    monkeypatch.setattr(segments, "_SAME_RUN_ROWS", 0.4)  # cut between rows 4 and 5
    (segment,) = follow_offset(volume).segments
    assert segment.offset_frames == pytest.approx(4.5, abs=0.15)


def test_a_segment_without_confidence_is_no_segment() -> None:
    volume = constant(3, 30)
    assert follow_offset(volume).segments
    never = replace(UNCALIBRATED, intercept=-30.0)
    assert follow_offset(volume, calibration=never).segments == ()


def test_pauses_do_not_cut_a_video() -> None:
    truth = pieces(*[(2, 3), (np.nan, 1.5)] * 12)
    (segment,) = follow_offset(volume_of(truth, height=4)).segments
    assert segment.offset_frames == pytest.approx(2, abs=0.1)


def test_missing_frames_do_no_harm() -> None:
    volume = constant(-4, 60)
    lost = np.random.default_rng(0).random(volume.shape[1]) < 0.3
    volume[:, lost] = np.nan
    path = follow_offset(volume)
    assert [s[2] for s in outline(path)] == [-4]
    np.testing.assert_array_equal(np.isnan(path.offset_frames), lost)


@pytest.mark.parametrize("seed", range(4))
def test_noise_gives_no_segment_and_no_confidence(seed: int) -> None:
    path = follow_offset(constant(np.nan, 120, seed=seed))
    assert path.segments == ()
    assert path.drift is None
    assert np.nanmean(path.confidence) < 0.15


@pytest.mark.parametrize("slope", [-30.0, 4.0, 60.0])
def test_drift_is_measured(slope: float) -> None:
    minutes = np.arange(25 * 240) / 1500
    path = follow_offset(volume_of(slope * minutes / 40 - 2, height=3))
    assert path.drift_ms_per_min == pytest.approx(slope, abs=1)
    assert path.drift.low <= slope <= path.drift.high
    assert path.drift.high - path.drift.low < 2.5
    for segment in path.segments:
        middle = (segment.start_s + segment.end_s) / 120
        assert segment.offset_frames == pytest.approx(slope * middle / 40 - 2, abs=0.8)


@pytest.mark.parametrize(
    ("seconds", "slope"), [(12, 600.0), (12, -600.0), (30, 400.0), (120, 60.0)]
)
def test_drift_is_one_segment_with_the_offset_of_its_middle(seconds: int, slope: float) -> None:
    minutes = np.arange(25 * seconds) / 1500
    path = follow_offset(volume_of(slope * (minutes - seconds / 120) / 40 + 2, height=3))
    (segment,) = path.segments
    assert segment.offset_frames == pytest.approx(2, abs=0.15)
    assert segment.confidence > 0.9
    assert path.overall.offset_frames == pytest.approx(2, abs=0.15)
    assert path.drift_ms_per_min == pytest.approx(slope, rel=0.12)


def test_a_step_within_a_few_seconds_is_no_drift() -> None:
    path = follow_offset(volume_of(pieces((3, 6), (0, 6)), height=3))
    assert [round(s.offset_frames) for s in path.segments] == [3, 0]
    assert path.segments[0].end_s == path.segments[1].start_s == pytest.approx(6, abs=0.2)
    assert path.drift_ms_per_min in (None, 0)


def test_drift_in_two_parts_is_not_the_jump_between_them() -> None:
    minutes = np.arange(25 * 120) / 1500
    truth = 60 * minutes / 40 + np.where(minutes < 1, 0, -8)
    path = follow_offset(volume_of(truth, height=4))
    assert path.drift_ms_per_min == pytest.approx(60, abs=4)
    assert [s.end_s for s in path.segments] == pytest.approx([60, 120], abs=0.5)
    assert [s.offset_frames for s in path.segments] == pytest.approx([0.75, -5.75], abs=0.2)


def test_only_the_parts_that_are_named_drift() -> None:
    volume = volume_of(pieces((3, 30), (np.nan, 30)) + np.arange(1500) / 500)
    drift = fit_drift(volume, [(0, 750)])
    assert drift.low <= 120 <= drift.high
    assert drift.ms_per_min == pytest.approx(120, abs=15)
    assert fit_drift(volume, []) is None


def test_a_short_video_says_nothing_about_drift() -> None:
    assert follow_offset(constant(1, 7, height=4)).drift is None
    drift = follow_offset(constant(1, 10, height=4)).drift
    assert drift.ms_per_min == 0
    assert drift.low < -20 < 20 < drift.high


def test_the_interval_of_the_drift_holds_the_truth_as_often_as_it_says() -> None:
    volumes = [constant(1, 30, height=1.5, seed=seed) for seed in range(40)]
    inside = [d.low <= 0 <= d.high for v in volumes if (d := fit_drift(v, [(0, 750)]))]
    assert len(inside) == 40
    assert sum(inside) >= 36


def test_what_is_moved_out_of_the_range_has_no_score() -> None:
    volume = np.arange(15, dtype=np.float32).reshape(3, 5)
    nan = np.nan
    np.testing.assert_array_equal(
        straightened(volume, 1.0),
        [[nan, nan, 2, 8, 14], [nan, 1, 7, 13, nan], [0, 6, 12, nan, nan]],
    )


def test_the_scale_and_level_of_the_scores_do_not_matter() -> None:
    volume = volume_of(pieces((3, 30), (-5, 30)))
    level = 10 * np.sin(np.arange(volume.shape[1]) / 300)
    other = follow_offset((0.2 * volume - 12 + level).astype(np.float32))
    path = follow_offset(volume)
    assert outline(other) == outline(path)
    np.testing.assert_allclose(other.confidence, path.confidence, atol=0.02)


def test_blocks_leave_no_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    volume = volume_of(pieces((3, 20), (-5, 20)))
    whole = follow_offset(volume)
    from synctool.scoring import smoothing

    def small(length: int, _size: int = 0) -> object:
        return rows.blocks(length, 35)

    monkeypatch.setattr(smoothing, "blocks", small)
    monkeypatch.setattr(segments, "blocks", small)
    parts = follow_offset(volume)
    np.testing.assert_allclose(parts.offset_frames, whole.offset_frames, atol=1e-3)
    np.testing.assert_allclose(parts.confidence, whole.confidence, atol=1e-3)
    assert outline(parts) == outline(whole)


@pytest.mark.parametrize("shape", [(31, 0), (31, 1), (31, 7), (3, 40), (1, 40), (251, 60)])
def test_tiny_volumes_do_no_harm(shape: tuple[int, int]) -> None:
    for volume in (np.full(shape, np.nan), np.zeros(shape), np.random.default_rng(0).random(shape)):
        path = follow_offset(volume.astype(np.float32))
        assert path.offset_frames.shape == (shape[1],)
        assert path.segments == ()


def test_the_series_has_none_and_never_nan() -> None:
    volume = constant(2, 10, height=4)
    volume[:, 100:200] = np.nan
    frames = follow_offset(volume).series()
    assert frames.t_s[:3] == (0.0, 0.04, 0.08)
    assert frames.offset_frames[150] is frames.confidence[150] is None
    assert frames.offset_frames[50] == pytest.approx(2, abs=0.5)
    assert len(frames.t_s) == len(frames.offset_frames) == len(frames.confidence) == 250


def test_the_offset_of_a_video_of_two_parts_is_that_of_the_longer() -> None:
    path = follow_offset(volume_of(pieces((3, 25), (-5, 35))))
    assert path.overall.offset_frames == pytest.approx(-5, abs=0.2)
    assert path.overall.confidence > 0.9


def test_the_offset_of_an_even_video_is_that_of_all_of_it() -> None:
    path = follow_offset(constant(3.3, 20))
    assert path.overall.offset_frames == path.estimate.offset_frames
    assert path.overall.confidence == UNCALIBRATED.confidence(path.estimate)


def test_a_part_without_a_place_of_its_own_has_no_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where its scores are flat under the line, nothing says where it lies (met in foreign audio)."""
    frames = 40 * 25
    peak = 6 * np.exp(-0.5 * ((np.arange(31) - 15) / 1.2) ** 2)
    volume = peak[:, None] + np.random.default_rng(0).normal(0, 0.3, (31, frames))
    found = drifting._blocks(volume, [(0, frames // 2), (frames // 2, frames)])
    assert found is not None
    spline = drifting._Spline(found.curves)
    line = drifting._fitted(found, spline)
    assert line is not None
    assert drifting._with_interval(found, spline, line) is not None
    values, gradient, bend = spline.along(line.rows(found))
    flat = np.where(found.part == 1, 0.0, bend)
    monkeypatch.setattr(spline, "along", lambda rows: (values, gradient, flat))
    assert drifting._with_interval(found, spline, line) is None
