"""The one answer for a video: segments that carry it, chance that must not, and what is repeated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fake_volumes import constant, foreign, volume_of
from synctool.scoring import overall
from synctool.scoring.chance import chance_of_groups, probability_not_chance
from synctool.scoring.confidence import Certainty
from synctool.scoring.offset import OffsetEstimate
from synctool.scoring.overall import OverallOffset, TrackEvidence, with_tracks
from synctool.scoring.path import OffsetPath, follow_offset
from synctool.scoring.repeats import repeated_frames
from synctool.types import Segment


def answered(path: OffsetPath) -> bool:
    return path.overall.confidence >= 0.5 and not path.overall.at_edge


def talk_after(
    silence_s: float, talk_s: float, *, offset: float = 3.0, seed: int = 0
) -> np.ndarray:
    truth = [np.full(round(25 * silence_s), np.nan), np.full(round(25 * talk_s), offset)]
    return volume_of(np.concatenate(truth), height=3, seed=seed)


# ----------------------------------------------------------------------- segments carry the verdict


@pytest.mark.parametrize("silence_s", [0, 30, 300])
@pytest.mark.parametrize("talk_s", [6, 10])
def test_a_face_that_waits_and_then_talks_has_an_answer(silence_s: float, talk_s: float) -> None:
    path = follow_offset(talk_after(silence_s, talk_s))
    assert path.overall.offset_frames == pytest.approx(3, abs=0.3)
    assert path.overall.confidence > 0.8
    (segment,) = path.segments
    assert segment.start_s == pytest.approx(silence_s, abs=1)
    assert segment.confidence > 0.8


def test_several_short_talks_of_one_offset_speak_for_each_other() -> None:
    gap, talk = np.full(25 * 40, np.nan), np.full(round(25 * 2.4), -4.0)
    one = follow_offset(volume_of(np.concatenate([gap, talk, gap]), seed=3))
    four = follow_offset(volume_of(np.concatenate([gap, talk] * 4), seed=3))
    assert four.overall.offset_frames == pytest.approx(-4, abs=0.3)
    assert four.overall.confidence > 0.9 > one.overall.confidence


def test_the_parts_of_a_video_that_was_cut_may_disagree() -> None:
    parts = [np.full(25 * 8, offset) for offset in (3.0, -4.0, 8.0, -9.0)]
    path = follow_offset(volume_of(np.concatenate(parts), height=4))
    assert [round(s.offset_frames) for s in path.segments] == [3, -4, 8, -9]
    assert min(s.confidence for s in path.segments) > 0.7
    assert path.overall.confidence > 0.7


def test_less_than_two_seconds_of_a_long_video_carry_nothing() -> None:
    assert not answered(follow_offset(talk_after(60, 1.6)))


# ------------------------------------------------------------------------- chance makes no verdict


FOREIGN = {6: 40, 60: 20, 600: 4}
"""Length in seconds, and how many seeds; the four of 600 s are those of the test after it."""


@pytest.mark.parametrize("seconds", FOREIGN)
def test_foreign_audio_has_no_answer_however_long_it_is(seconds: int) -> None:
    paths = [follow_offset(foreign(seconds, seed=seed)) for seed in range(FOREIGN[seconds])]
    assert sum(map(answered, paths)) <= 0.05 * len(paths)
    assert all(s.confidence < 0.7 for path in paths for s in path.segments)


def test_without_the_correction_length_alone_would_give_an_answer(monkeypatch) -> None:
    """The volumes of the test before are hard enough."""
    monkeypatch.setattr(overall, "probability_not_chance", lambda chance: np.ones_like(chance))
    paths = [follow_offset(foreign(600, seed=seed)) for seed in range(FOREIGN[600])]
    assert sum(map(answered, paths)) >= 2


def test_the_more_segments_disagree_the_less_the_best_is_worth() -> None:
    rng = np.random.default_rng(0)
    offsets, gains = rng.uniform(-15, 15, 300), 12 + rng.exponential(10, 300)
    offsets[0], gains[0] = 3.0, 12 + 55.0
    few = chance_of_groups(offsets[:3], gains[:3], rows=31)[0]
    many = chance_of_groups(offsets, gains, rows=31)[0]
    assert few < 0.02 < 0.3 < many
    assert probability_not_chance(few) > 0.6 > 0.1 > probability_not_chance(many)


def test_strong_chance_in_a_video_makes_its_segments_worth_less() -> None:
    """Where frame and audio share a rhythm, what disagrees is stronger than usual."""
    rng = np.random.default_rng(1)
    offsets, jumps = rng.uniform(-15, 15, 40), rng.exponential(1.0, 40)
    offsets[0], jumps[0] = 0.0, 8.0
    usual, strong = (
        chance_of_groups(offsets, np.r_[12 + 80, 12 + scale * jumps[1:]], rows=31)[0]
        for scale in (8, 24)
    )
    assert usual < 0.05 < strong


def test_the_error_rate_is_one() -> None:
    """Under its own assumptions a chance of 5 % comes up in about 5 % of all videos."""
    rng = np.random.default_rng(2)
    least = []
    for _ in range(400):
        count = rng.poisson(20) + 1
        gains = 12 + rng.exponential(10, count)
        least.append(chance_of_groups(rng.uniform(-15, 15, count), gains, rows=31).min())
    assert np.mean(np.array(least) < 0.05) < 0.1
    assert np.mean(np.array(least) < 0.5) > 0.1


def test_no_segments_no_chance() -> None:
    assert chance_of_groups([], [], rows=31).shape == (0,)


# --------------------------------------------------------------------- what is repeated counts once


def test_a_loop_of_a_chance_match_does_not_become_surer() -> None:
    once = foreign(3, seed=8, matches_per_min=40)
    confidence = [follow_offset(np.tile(once, turns)).overall.confidence for turns in (2, 20, 200)]
    assert max(confidence) <= confidence[0] + 0.05


def test_repetitions_are_found_and_nothing_else() -> None:
    once = constant(3, 8, seed=1)[:, 20:-20]
    noise = 0.1 * np.random.default_rng(0).standard_normal((31, 4 * once.shape[1]))
    repeated = repeated_frames((np.tile(once, 4) + noise).astype(np.float32))
    assert not repeated[: once.shape[1] - 25].any()
    assert repeated[once.shape[1] + 25 :].mean() > 0.95
    for seed in range(4):
        assert repeated_frames(constant(3, 60, seed=seed)).mean() < 0.02
        assert repeated_frames(foreign(60, seed=seed)).mean() < 0.02


@pytest.mark.parametrize("height", [6, 12, 25])
def test_talk_whose_peak_stands_out_clearly_repeats_nothing(height: float) -> None:
    """Then any two seconds of one offset have most of their scores in common."""
    for seed in range(4):
        talk = constant(3, 30, height=height, seed=seed)
        assert repeated_frames(talk).mean() < 0.02
        jump = np.concatenate([talk, constant(-6, 30, height=height, seed=9)], axis=1)
        assert repeated_frames(jump).mean() < 0.02
        assert repeated_frames(np.tile(talk, 3)).mean() > 0.6


@pytest.mark.parametrize("shape", [(31, 0), (31, 1), (31, 39), (31, 60), (1, 80)])
def test_tiny_volumes_repeat_nothing(shape: tuple[int, int]) -> None:
    for volume in (np.full(shape, np.nan), np.zeros(shape)):
        assert not repeated_frames(volume.astype(np.float32)).any()


@pytest.mark.filterwarnings("error")
def test_scores_of_exactly_nothing_between_repetitions_give_no_warning() -> None:
    """Running sums leave a little less than nothing behind."""
    for seed in (30, 34, 42, 44):
        chance = np.random.default_rng(seed)
        once, more = chance.standard_normal((31, 75)), chance.standard_normal((31, 100))
        volume = np.concatenate([once, np.zeros((31, 100)), once, more], axis=1)
        repeated = repeated_frames(volume.astype(np.float32))
        assert repeated[190:235].all() and not repeated[:160].any()


def test_a_loop_of_talk_is_one_answer() -> None:
    path = follow_offset(np.tile(constant(3, 10, height=3), 6))
    assert path.overall.offset_frames == pytest.approx(3, abs=0.2)
    assert path.overall.confidence > 0.9


# -------------------------------------------------------------------------------------------- faces


def estimate(offset: float = 2.0, *, at_edge: bool = False) -> OffsetEstimate:
    return OffsetEstimate(offset, 17, 3.0, 9.0, 150, at_edge, np.zeros(31, np.float32))


WEAK = OverallOffset(-6.0, 0.2, False, 3000)
SURE = TrackEvidence(500, 650, estimate(), Certainty(0.99))


def others(count: int) -> list[TrackEvidence]:
    return [TrackEvidence(i, i + 100, estimate(-9.0), Certainty(0.05)) for i in range(count)]


def test_a_face_that_is_sure_carries_the_answer() -> None:
    segments, found = with_tracks((), WEAK, [*others(3), SURE])
    assert found.offset_frames == 2.0
    assert found.confidence == pytest.approx(0.961, abs=0.001)
    assert segments == (Segment(20.0, 26.0, 2.0, found.confidence),)


def test_one_sure_face_of_hundreds_is_chance() -> None:
    assert with_tracks((), WEAK, [*others(299), SURE]) == ((), WEAK)


@pytest.mark.parametrize(
    "tracks",
    [
        [SURE],
        [TrackEvidence(500, 530, estimate(), Certainty(0.99)), *others(1)],
        [TrackEvidence(500, 650, estimate(at_edge=True), Certainty(0.99)), *others(1)],
        others(4),
        [],
    ],
)
def test_faces_that_carry_nothing(tracks: list[TrackEvidence]) -> None:
    assert with_tracks((), WEAK, tracks) == ((), WEAK)


def test_a_face_whose_own_audio_it_is_goes_before_a_surer_held_out_speakers() -> None:
    foreign = replace(WEAK, confidence=0.99, belongs=0.7, least_belongs=0.9)
    own = TrackEvidence(500, 650, estimate(), Certainty(0.95, 0.99, 0.9))
    found = with_tracks((), foreign, [own, *others(1)])[1]
    assert found.offset_frames == 2.0
    assert found.belongs == pytest.approx(0.98, abs=0.001) and found.least_belongs == 0.9
    foreigner = replace(own, certainty=Certainty(0.999, 0.8, 0.9))
    assert (
        with_tracks((), replace(foreign, belongs=0.95), [foreigner, *others(1)])[1].belongs == 0.95
    )


def test_a_surer_answer_stands() -> None:
    sure = OverallOffset(3.0, 0.99, False, 3000)
    assert with_tracks((), sure, [SURE, *others(2)])[1] is sure
