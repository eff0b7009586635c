"""Turning videos whose faces lie on their side, and what that costs where there is nothing to turn."""

from __future__ import annotations

import numpy as np
import pytest

from synctool.faces.centerface import CenterFaceDetector
from synctool.faces.detector import Face, points_from_box
from synctool.faces.tracking import FaceTracker
from synctool.faces.turning import box_before_turning
from synctool.faces.upright import (
    HELD_FRAMES,
    UprightFaces,
    is_upright,
    turned,
)
from synctool.media.frame_reader import TimelineFrame
from videos import PlacedFace, face_image

pytestmark = pytest.mark.integration

SIZE = (320, 180)
FACE = face_image(SIZE, PlacedFace(110, 90, 90))[..., 1]
EMPTY = np.full((180, 320), 90, np.uint8)


class Counting:
    """CenterFace, counting how often it is asked for whole frames."""

    def __init__(self) -> None:
        self._own = CenterFaceDetector()
        self.asked = 0

    def detect(self, gray: np.ndarray, *, smallest_face_px: float | None = None) -> list[Face]:
        self.asked += 1
        return self._own.detect(gray, smallest_face_px=smallest_face_px)

    def refind(self, gray: np.ndarray, boxes: list[np.ndarray]) -> list[Face]:
        return self._own.refind(gray, boxes)


def run(lumas: list[np.ndarray]) -> tuple[list, list[int], int, int]:
    """Results, turns that were told, how often the detector was asked, and the most frames held."""
    detector, turns, results, most = Counting(), [], [], 0
    faces = UprightFaces(
        detector=detector,
        new_tracker=lambda first: FaceTracker(detector=detector, first_number=first),
        on_turn=turns.append,
    )
    for index, luma in enumerate(lumas):
        results += faces.push(TimelineFrame(index, luma))
        most = max(most, index + 1 - len(results))
    results += faces.flush()
    return results, turns, detector.asked, most


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_every_frame_comes_once_in_order_and_turned(quarters: int) -> None:
    lying = np.ascontiguousarray(np.rot90(FACE, -quarters))
    results, turns, _, _ = run([lying] * 80)
    assert turns == [(4 - quarters) % 4]
    assert [r.frame.index for r in results] == list(range(80))
    assert all(set(r.poses) == {0} for r in results)
    assert all(is_upright(r.poses[0].points) for r in results)
    np.testing.assert_array_equal(results[40].frame.luma, FACE)


def test_a_short_video_is_turned_as_well() -> None:
    results, turns, _, _ = run([np.ascontiguousarray(np.rot90(FACE))] * 12)
    assert turns == [1]
    assert all(r.poses for r in results)


def test_an_upright_face_costs_nothing_more() -> None:
    detector = Counting()
    tracker = FaceTracker(detector=detector)
    alone = [t for i in range(120) for t in tracker.push(TimelineFrame(i, FACE))]
    alone += tracker.flush()
    results, turns, asked, most = run([FACE] * 120)
    assert asked == detector.asked
    assert turns == []
    assert most < 40, "frames are held for a moment only"
    for ours, theirs in zip(results, alone, strict=True):
        np.testing.assert_array_equal(ours.poses[0].box, theirs.poses[0].box)


def test_a_video_without_faces_is_searched_ever_more_seldom() -> None:
    detector = Counting()
    tracker = FaceTracker(detector=detector)
    for i in range(1500):
        list(tracker.push(TimelineFrame(i, EMPTY)))
    results, turns, asked, most = run([EMPTY] * 1500)
    assert [r.frame.index for r in results] == list(range(1500))
    assert turns == []
    assert asked - detector.asked <= 4 * 6, "four directions, six times in a minute"
    assert most <= HELD_FRAMES + 30


def test_a_title_before_a_face_that_lies() -> None:
    lying = np.ascontiguousarray(np.rot90(FACE))
    results, turns, _, _ = run([EMPTY.T] * 60 + [lying] * 120)
    assert turns == [1]
    assert [r.frame.index for r in results] == list(range(180))
    assert sum(bool(r.poses) for r in results) > 60


def test_an_upright_face_after_a_title_is_not_turned() -> None:
    results, turns, _, _ = run([EMPTY] * 130 + [FACE] * 60)
    assert turns == []
    assert sum(bool(r.poses) for r in results) > 50


@pytest.mark.parametrize("quarters", range(4))
def test_a_box_is_found_again_in_the_frame_before_turning(quarters: int) -> None:
    luma = np.zeros((180, 320), np.uint8)
    luma[20:50, 100:160] = 1
    shown = turned(TimelineFrame(0, luma), quarters).luma
    rows, columns = np.nonzero(shown)
    box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    before = box_before_turning(box, quarters, width_px=320, height_px=180)
    np.testing.assert_array_equal(before, [100, 20, 160, 50])


def test_which_points_are_upright() -> None:
    points = points_from_box(np.array([0.0, 0.0, 100.0, 120.0]))
    middle = points.mean(axis=0)
    for degrees, upright in (
        (0, True),
        (40, True),
        (-40, True),
        (60, False),
        (90, False),
        (180, False),
    ):
        angle = np.deg2rad(degrees)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        assert is_upright((points - middle) @ turn.T + middle) is upright
