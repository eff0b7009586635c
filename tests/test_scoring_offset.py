"""One offset for a segment, and how far it stands out."""

from __future__ import annotations

import numpy as np
import pytest

from fake_volumes import constant
from synctool.scoring.offset import estimate_offset, parabola_vertex, t_statistic
from synctool.scoring.rows import curve_without_levels


@pytest.mark.parametrize("offset", [-12, -3.4, -0.3, 0, 0.4, 3, 11.7])
def test_the_planted_offset_is_found(offset: float) -> None:
    estimate = estimate_offset(constant(offset, 60, height=3))
    assert estimate.offset_frames == pytest.approx(offset, abs=0.12)
    assert estimate.row == round(offset) + 15
    assert estimate.margin == pytest.approx(3 * np.exp(-0.5 * (offset - round(offset)) ** 2), abs=1)
    assert estimate.t_stat > 10
    assert not estimate.at_edge


def test_a_positive_offset_is_in_the_rows_after_the_middle() -> None:
    volume = np.zeros((11, 50), dtype=np.float32)
    volume[5 + 3] = 1.0
    estimate = estimate_offset(volume)
    assert (estimate.row, estimate.offset_frames, estimate.frames) == (8, 3.0, 50)
    assert estimate.margin == 1.0
    assert np.isfinite(estimate.t_stat)
    assert estimate.curve.argmax() == 8


@pytest.mark.parametrize(("offset", "edge"), [(-15, True), (15, True), (13, False)])
def test_a_peak_at_the_edge_is_flagged(offset: int, edge: bool) -> None:
    assert estimate_offset(constant(offset, 60)).at_edge is edge


def test_the_edge_is_that_of_the_rows_with_enough_frames() -> None:
    volume = constant(5, 60, height=3)
    volume[21:] = np.nan  # offsets above +5 were never to be seen
    assert estimate_offset(volume).at_edge


def test_noise_does_not_stand_out() -> None:
    noise = [estimate_offset(constant(np.nan, 20, seed=seed)).t_stat for seed in range(10)]
    speech = [estimate_offset(constant(2, 20, seed=seed)).t_stat for seed in range(10)]
    assert max(noise) < 2 < 5 < min(speech)


def test_a_neighbour_is_no_rival() -> None:
    volume = np.zeros((31, 100), dtype=np.float32)
    volume[18], volume[17], volume[19], volume[22] = 2.0, 1.9, 1.8, 0.5
    assert estimate_offset(volume).margin == pytest.approx(1.5)


def test_a_row_of_few_frames_cannot_win() -> None:
    volume = constant(2, 10, height=1)
    volume[30] = np.nan
    volume[30, :50] = 5.0
    assert estimate_offset(volume).row == 17
    assert estimate_offset(volume, min_share=0.1).row == 30


def test_the_level_of_a_frame_does_not_favour_the_rows_that_lack_it() -> None:
    volume = constant(0, 4, height=1, max_offset=30)
    level = np.where(np.arange(100) < 30, -20.0, 0.0)  # a silent beginning scores low everywhere
    assert abs(np.nanmean(volume + level, axis=1).argmax() - 30) > 5  # what a plain mean says
    shifted = estimate_offset((volume + level).astype(np.float32))
    assert shifted.row == 30
    np.testing.assert_allclose(shifted.curve, estimate_offset(volume).curve, atol=1e-4)


def test_the_curve_is_the_plain_mean_where_nothing_is_missing() -> None:
    volume = np.random.default_rng(0).standard_normal((9, 20_000)).astype(np.float32)
    volume[:, 100:150] = np.nan
    curve, counts = curve_without_levels(volume)
    mean = np.nanmean(volume.astype(float), axis=1)
    np.testing.assert_allclose(curve, mean - mean.mean(), atol=1e-6)
    np.testing.assert_array_equal(counts, 19_950)


def test_rows_without_a_common_frame_have_no_t() -> None:
    volume = np.full((41, 60), np.nan, dtype=np.float32)
    volume[0, :30] = 1.0
    volume[20] = 0.0
    volume[40, 30:] = 0.9
    estimate = estimate_offset(volume)
    assert (estimate.row, estimate.t_stat) == (0, 0.0)


def test_nothing_gives_nothing() -> None:
    assert estimate_offset(np.full((5, 8), np.nan, dtype=np.float32)) is None
    assert estimate_offset(np.zeros((5, 0), dtype=np.float32)) is None


@pytest.mark.parametrize("top", [-0.5, -0.2, 0.0, 0.3])
def test_the_top_of_a_parabola(top: float) -> None:
    values = [4 - (x - top) ** 2 for x in (-1, 0, 1)]
    assert parabola_vertex(*values) == pytest.approx(top)


@pytest.mark.parametrize(
    ("values", "top"),
    [((0, 1, 1.9), 0.5), ((1, 1, 1), 0), ((np.nan, 1, 0), 0), ((-np.inf, 1, 0), 0)],
)
def test_a_top_stays_within_half_a_step(values: tuple[float, ...], top: float) -> None:
    assert parabola_vertex(*values) == top


def test_correlated_frames_count_for_less() -> None:
    assert t_statistic(2.0, 4.0, 500) == pytest.approx(2 / (4 / np.sqrt(100)))
    assert t_statistic(2.0, 4.0, 3) == pytest.approx(0.5)
    assert t_statistic(0.0, 0.0, 10) == 0
