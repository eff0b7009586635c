"""Who speaks when, from score volumes whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from fake_volumes import volume_of
from synctool.scoring.speaking import Activity, FaceVolume, find_turns

OFFSET = 3.0


def face(number: int, *spoken: tuple[int, int], frames: int = 500, start: int = 0) -> FaceVolume:
    """A face that matches in some spans of frames, counted from its first."""
    truth = np.full(frames, np.nan)
    for low, high in spoken:
        truth[low:high] = OFFSET
    return FaceVolume(number, start, volume_of(truth, height=6.0, seed=number))


def heard(*spans: tuple[int, int], frames: int = 500) -> np.ndarray:
    """Speech in some spans of the video; its audio is ahead, so it was heard before."""
    flags = np.zeros(frames, bool)
    for low, high in spans:
        flags[max(low - round(OFFSET), 0) : high - round(OFFSET)] = True
    return flags


def found(faces: list[FaceVolume], speech: np.ndarray) -> Activity:
    return find_turns(faces, np.full(len(speech), OFFSET), speech)


def outline(activity: Activity) -> list[tuple[int | None, int, int]]:
    return [(turn.number, turn.start, turn.stop) for turn in activity.turns]


def near(expected: list[tuple[int | None, int, int]], activity: Activity, frames: int = 8) -> bool:
    """Whether the turns are those, within so many frames."""
    turns = outline(activity)
    return [n for n, _, _ in turns] == [n for n, _, _ in expected] and all(
        abs(a - c) <= frames and abs(b - d) <= frames
        for (_, a, b), (_, c, d) in zip(turns, expected)
    )


def test_one_face_speaks_as_long_as_there_is_speech() -> None:
    activity = found([face(7, (0, 500))], heard((50, 200), (260, 480)))
    assert outline(activity) == [(7, 50, 200), (7, 260, 480)]
    assert all(turn.confidence > 0.95 and not turn.overlapping for turn in activity.turns)


def test_two_faces_take_turns() -> None:
    faces = [face(0, (0, 250)), face(1, (250, 500))]
    assert near([(0, 10, 250), (1, 250, 490)], found(faces, heard((10, 490))))


def test_a_moment_of_doubt_is_no_change() -> None:
    faces = [face(0, (0, 240), (250, 500)), face(1, (241, 249))]
    assert outline(found(faces, heard((10, 490)))) == [(0, 10, 490)]


def test_speech_that_no_lips_match_is_an_off_screen_voice() -> None:
    activity = found([face(0, (0, 200), (350, 500))], heard((10, 490)))
    assert near([(0, 10, 200), (None, 200, 350), (0, 350, 490)], activity)
    assert activity.turns[1].confidence > 0.8


def test_short_speech_that_no_lips_match_is_not_told() -> None:
    activity = found([face(0, (0, 200))], heard((10, 200), (300, 320)))
    assert near([(0, 10, 200)], activity)


def test_pauses_are_part_of_a_turn_up_to_a_length() -> None:
    activity = found([face(0, (0, 500))], heard((10, 100), (108, 200), (230, 400)))
    assert outline(activity) == [(0, 10, 200), (0, 230, 400)]


def test_two_who_speak_at_once() -> None:
    faces = [face(0, (0, 500)), face(1, (200, 300))]
    activity = found(faces, heard((10, 490)))
    assert {turn.number for turn in activity.turns if not turn.overlapping} <= {0, 1}
    beside = [turn for turn in activity.turns if turn.overlapping]
    assert sum(turn.stop - turn.start for turn in beside) == pytest.approx(100, abs=25)


def test_a_face_speaks_only_while_it_is_in_view() -> None:
    faces = [face(0, (0, 200), frames=200), face(1, (0, 300), frames=300, start=200)]
    assert near([(0, 10, 200), (1, 200, 490)], found(faces, heard((10, 490))), frames=2)


def test_nobody_in_view() -> None:
    activity = find_turns([], np.zeros(500), heard((13, 203)))
    assert outline(activity) == [(None, 10, 200)]
    assert activity.turns[0].confidence == pytest.approx(1.0)


def test_silence_has_no_turns() -> None:
    assert found([face(0, (0, 500))], heard()).turns == ()


def test_an_offset_that_changes_is_followed() -> None:
    truth = np.where(np.arange(500) < 250, 3.0, -5.0)
    volume = FaceVolume(0, 0, volume_of(truth, height=6.0))
    activity = find_turns([volume], truth, np.ones(500, bool))
    assert [turn.number for turn in activity.turns] == [0]
    assert activity.turns[0].stop - activity.turns[0].start > 480


def test_scores_of_any_scale_give_the_same_turns() -> None:
    faces = [face(0, (0, 250)), face(1, (250, 500))]
    small = [FaceVolume(f.number, f.start, f.volume / 40) for f in faces]
    speech = heard((10, 490))
    assert outline(found(small, speech)) == outline(found(faces, speech))
