"""Looking for a followed face where it was: the same face, for less."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from synctool.faces.centerface import CenterFaceDetector
from synctool.faces.detector import overlap
from synctool.faces.tracking import FaceTracker
from synctool.media.video_file import VideoFile
from videos import PlacedFace, face_image, face_video


@pytest.fixture(scope="module")
def detector() -> CenterFaceDetector:
    return CenterFaceDetector()


def gray(*faces: PlacedFace, size: tuple[int, int] = (640, 360)) -> np.ndarray:
    return cv2.cvtColor(face_image(size, *faces, background=120), cv2.COLOR_RGB2GRAY)


@pytest.mark.parametrize(
    "face",
    [PlacedFace(320, 180, 120), PlacedFace(90, 80, 60), PlacedFace(560, 300, 150, mirrored=True)],
)
def test_the_same_face_is_found_again(detector: CenterFaceDetector, face: PlacedFace) -> None:
    image = gray(face)
    whole = detector.detect(image)[0]
    again = detector.refind(image, [whole.box + 0.1 * face.height_px])
    assert len(again) == 1
    assert overlap(whole.box[None], again[0].box[None])[0, 0] > 0.7
    assert np.abs(again[0].points - whole.points).max() < 0.07 * face.height_px


def test_a_face_that_has_gone_is_not_found(detector: CenterFaceDetector) -> None:
    box = PlacedFace(320, 180, 120).box
    assert detector.refind(gray(), [box]) == []
    two = detector.refind(gray(PlacedFace(320, 180, 120)), [box, PlacedFace(90, 80, 60).box])
    assert len(two) == 1


def test_two_boxes_never_give_one_face_twice(detector: CenterFaceDetector) -> None:
    box = PlacedFace(320, 180, 120).box
    assert len(detector.refind(gray(PlacedFace(320, 180, 120)), [box, box + 15])) == 1


class Counting:
    """CenterFace that counts its looks."""

    def __init__(self) -> None:
        self._own = CenterFaceDetector()
        self.whole = self.near = 0

    def detect(self, image: np.ndarray, **more: object) -> list:
        self.whole += 1
        return self._own.detect(image, **more)

    def refind(self, image: np.ndarray, boxes: list) -> list:
        self.near += 1
        return self._own.refind(image, boxes)


def test_most_looks_are_near_and_a_newcomer_is_seen(tmp_path: Path) -> None:
    stays, comes = PlacedFace(150, 180, 110), PlacedFace(480, 180, 110)

    def faces(i: int) -> list[PlacedFace]:
        return [stays] if i < 30 else [stays, comes]

    path = face_video(tmp_path / "a.mp4", [(100, faces)])
    detector = Counting()
    seen: dict[int, list[int]] = {}
    with VideoFile(path) as video:
        tracker = FaceTracker(detector=detector)
        tracked = [t for image in video for t in tracker.push(image)]
        tracked += tracker.flush()
    for image in tracked:
        for number in image.poses:
            seen.setdefault(number, []).append(image.frame.index)
    assert detector.near > 2 * detector.whole
    assert len(seen) == 2
    assert seen[0] == list(range(100))
    assert 26 <= seen[1][0] <= 60 and seen[1][-1] == 99
