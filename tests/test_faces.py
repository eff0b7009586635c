"""Faces are found at any size, followed through a shot, and cut out where they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import cv2
import numpy as np
import pytest

from synctool.faces import crops, tracking
from synctool.faces.centerface import CenterFaceDetector
from synctool.faces.crops import (
    MOUTH_PX_PER_EYE_DISTANCE,
    SYNCNET_CROP_SCALE,
    face_crop,
    mouth_crop,
    similarity,
)
from synctool.faces.detector import Face, overlap, points_from_box
from synctool.faces.haar import HaarDetector
from synctool.faces.shots import ShotCuts
from synctool.faces.tracking import (
    BRIDGED_FRAMES,
    DETECT_EVERY_FRAMES,
    SEARCH_EVERY_FRAMES,
    FaceTracker,
    TrackedFrame,
)
from synctool.faces.whole import WholeImage
from synctool.media.frame_reader import TimelineFrame
from synctool.media.video_file import VideoFile
from videos import PlacedFace, face_image, face_video


def gray(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float(overlap(np.asarray(a)[None], np.asarray(b)[None])[0, 0])


# --------------------------------------------------------------------------- detectors


@pytest.fixture(scope="module")
def centerface() -> CenterFaceDetector:
    return CenterFaceDetector(threads=1)


SIZE = (640, 360)


@pytest.mark.parametrize(
    "face",
    [
        PlacedFace(320, 180, 130),
        PlacedFace(320, 180, 300),
        PlacedFace(100, 250, 40),
        PlacedFace(560, 80, 40, mirrored=True),
        PlacedFace(320, 180, 130, mirrored=True),
        PlacedFace(320, 180, 130, turn_deg=20),
        PlacedFace(320, 180, 130, turn_deg=-20),
        PlacedFace(60, 60, 110),
    ],
    ids=["plain", "large", "40 px", "40 px mirrored", "mirrored", "left", "right", "at the edge"],
)
@pytest.mark.parametrize("background", [90, 235])
def test_centerface_finds_the_face_and_its_points(centerface, face, background):
    found = centerface.detect(gray(face_image(SIZE, face, background=background)))
    assert len(found) == 1
    assert found[0].box.dtype == found[0].points.dtype == np.float32
    assert 0.5 < found[0].score <= 1.0
    if not face.turn_deg:
        assert iou(found[0].box, face.box) > 0.7
    apart = np.linalg.norm(found[0].points - face.points, axis=1)
    assert apart.max() < 0.1 * face.height_px + 1.0, apart


def test_a_quick_look_finds_the_followed_face_at_the_same_place(centerface):
    face = PlacedFace(640, 360, 260)
    image = gray(face_image((1280, 720), face))
    thorough, quick = (
        centerface.detect(image, smallest_face_px=px)[0] for px in (None, face.height_px)
    )
    assert iou(thorough.box, quick.box) > 0.8
    assert np.abs(thorough.points - quick.points).max() < 0.05 * face.height_px


def test_several_faces_best_score_first_and_none_twice(centerface):
    faces = [PlacedFace(150, 180, 150), PlacedFace(480, 200, 90, mirrored=True)]
    found = centerface.detect(gray(face_image(SIZE, *faces)))
    assert len(found) == 2
    assert found[0].score >= found[1].score
    for face in faces:
        assert max(iou(f.box, face.box) for f in found) > 0.7


def test_no_face_gives_no_face(centerface):
    random = np.random.default_rng(0)
    noise = cv2.GaussianBlur(random.integers(0, 255, (180, 320), np.uint8), (0, 0), 3)
    for detector in (centerface, HaarDetector()):
        for image in (np.full((180, 320), 128, np.uint8), noise, np.zeros((5, 9), np.uint8)):
            assert detector.detect(image) == []


@pytest.mark.parametrize("height_px", [90, 200])
def test_haar_finds_the_face(height_px):
    face = PlacedFace(320, 180, height_px)
    found = HaarDetector().detect(gray(face_image(SIZE, face)))
    assert len(found) == 1
    assert iou(found[0].box, face.box) > 0.5
    assert np.abs(found[0].points - face.points).max() < 0.2 * height_px
    assert 0 < found[0].score <= 1


def test_whole_is_one_face_that_fills_the_frame():
    face = WholeImage().detect(np.zeros((200, 100), np.uint8))[0]
    assert face.box.tolist() == [0, 0, 100, 200]
    inside = (face.points > 0).all() and (face.points < [100, 200]).all()
    assert (
        inside and face.points[0, 0] < face.points[1, 0] and face.points[3, 1] > face.points[2, 1]
    )
    image = np.random.default_rng(1).integers(0, 255, (224, 224), np.uint8)
    box = WholeImage().detect(image)[0].box
    assert np.array_equal(face_crop(image, box, 224), image)


def test_overlap_and_typical_points():
    a = np.array([[0, 0, 10, 10]], np.float32)
    b = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30], [3, 3, 3, 3]], np.float32)
    assert overlap(a, b)[0] == pytest.approx([1, 1 / 3, 0, 0])
    assert points_from_box(np.array([100, 0, 200, 100]))[2] == pytest.approx([150, 60])


# --------------------------------------------------------------------------- following


def plain(index: int, brightness: int = 90) -> TimelineFrame:
    return TimelineFrame(index, np.full((90, 160), brightness, np.uint8))


def face_at(x: float, y: float = 45.0, width: float = 20.0, height: float = 26.0) -> Face:
    box = np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2], np.float32)
    return Face(box, points_from_box(box), 0.9)


class Script:
    """A detector that gives what the test says for the tick that the tracker is at."""

    def __init__(self, faces: Callable[[int], Iterable[Face]]) -> None:
        self.faces = faces
        self.index = 0
        self.looks: list[int] = []
        self.thorough: list[int] = []

    def detect(self, gray: np.ndarray, *, smallest_face_px: float | None = None) -> list[Face]:
        self.looks.append(self.index)
        if smallest_face_px is None:
            self.thorough.append(self.index)
        return list(self.faces(self.index))


def follow(
    script: Script, images: Iterable[TimelineFrame], **options: int
) -> tuple[list[TrackedFrame], int]:
    """All tracked frames, and how many were ever held."""
    tracker = FaceTracker(detector=script, **options)
    out: list[TrackedFrame] = []
    most = 0
    for count, image in enumerate(images):
        script.index = image.index
        out.extend(tracker.push(image))
        most = max(most, count + 1 - len(out))
    out.extend(tracker.flush())
    return out, most


def frames_by_id(tracked: Sequence[TrackedFrame]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for item in tracked:
        for number in item.poses:
            found.setdefault(number, []).append(item.frame.index)
    return found


def test_every_frame_leaves_once_and_in_order_and_few_are_held():
    random = np.random.default_rng(5)
    there = random.random(400) < 0.5

    def faces(index: int) -> list[Face]:
        return [face_at(40)] * int(there[index]) + [face_at(110)] * int(index % 60 < 25)

    images = [
        TimelineFrame(i, None) if 200 <= i < 207 else plain(i, 20 if (i // 90) % 2 else 200)
        for i in range(400)
    ]
    tracked, most = follow(Script(faces), images)
    assert [item.frame for item in tracked] == images
    assert most <= 40
    assert all(not item.poses for item in tracked[200:207])
    for indices in frames_by_id(tracked).values():
        assert np.diff(indices).tolist() == [1] * (len(indices) - 1), "a face must have no holes"


def test_a_moving_face_keeps_its_number_and_is_where_it_is():
    script = Script(lambda index: [face_at(20 + 1.2 * index, 30 + 0.2 * index)])
    tracked, _ = follow(script, (plain(i) for i in range(100)))
    assert frames_by_id(tracked) == {0: list(range(100))}
    for item in tracked[:96]:
        truth = face_at(20 + 1.2 * item.frame.index, 30 + 0.2 * item.frame.index)
        assert item.poses[0].box == pytest.approx(truth.box, abs=0.01)
        assert item.poses[0].points == pytest.approx(truth.points, abs=0.01)


def test_a_fast_small_face_keeps_its_number():
    # Three quarters of its width from one look to the next.
    script = Script(lambda index: [face_at(20 + 3.0 * index)])
    tracked, _ = follow(script, (plain(i) for i in range(40)))
    assert set(frames_by_id(tracked)) == {0}


def test_jitter_of_the_detector_is_smoothed():
    random = np.random.default_rng(2)
    tracked, _ = follow(Script(lambda _: [face_at(80 + random.normal())]), map(plain, range(300)))
    middles = np.array([(item.poses[0].box[0] + item.poses[0].box[2]) / 2 for item in tracked])
    assert np.abs(np.diff(middles)).max() < 0.8
    assert middles.std() < 0.8, "the detector's own is 1"
    assert middles.mean() == pytest.approx(80, abs=0.4)


@pytest.mark.parametrize(("gap", "numbers"), [(BRIDGED_FRAMES - 5, 1), (BRIDGED_FRAMES + 10, 2)])
def test_a_short_loss_is_bridged_and_a_long_one_is_not(gap, numbers):
    def faces(index: int) -> list[Face]:
        return [] if 50 < index <= 50 + gap else [face_at(50 + 0.2 * index)]

    script = Script(faces)
    tracked, most = follow(script, map(plain, range(150)))
    found = frames_by_id(tracked)
    assert len(found) == numbers
    assert most <= 40
    if numbers == 1:
        assert found[0] == list(range(150))
        for item in tracked[:146]:
            truth = face_at(50 + 0.2 * item.frame.index).box
            assert item.poses[0].box == pytest.approx(truth, abs=0.01)
    assert 60 in script.thorough, "a face that is lost must be looked for closely"


def test_two_faces_are_two_tracks_even_when_the_detector_swaps_their_order():
    def faces(index: int) -> list[Face]:
        both = [face_at(40), face_at(100, width=24, height=30)]
        return both if index % 10 else both[::-1]

    tracked, _ = follow(Script(faces), map(plain, range(60)))
    assert frames_by_id(tracked) == {0: list(range(60)), 1: list(range(60))}
    for item in tracked:
        middles = sorted((p.box[0] + p.box[2]) / 2 for p in item.poses.values())
        assert middles == pytest.approx([40, 100], abs=0.01)
        assert item.poses[0].box == pytest.approx(tracked[0].poses[0].box)


def test_the_largest_faces_are_followed_first():
    faces = [face_at(20, width=10, height=12), face_at(60, width=30, height=40), face_at(110)]
    tracked, _ = follow(Script(lambda _: faces), map(plain, range(20)), max_faces=2)
    assert all(len(item.poses) == 2 for item in tracked)
    middles = {round(float(p.box[0] + p.box[2]) / 2) for p in tracked[5].poses.values()}
    assert middles == {60, 110}


def test_a_cut_ends_all_tracks_and_nothing_reaches_across():
    images = [plain(i, 200 if i < 43 else 20) for i in range(90)]
    script = Script(lambda index: [face_at(50 if index < 43 else 54)])
    tracked, _ = follow(script, images)
    assert frames_by_id(tracked) == {0: list(range(43)), 1: list(range(43, 90))}
    assert tracked[42].poses[0].box == pytest.approx(face_at(50).box, abs=0.01)
    assert tracked[43].poses[1].box == pytest.approx(face_at(54).box, abs=0.01)
    assert 43 in script.thorough


def test_a_face_that_appears_is_not_drawn_back_beyond_the_last_look_or_the_shot():
    script = Script(lambda index: [face_at(50)] if index >= 30 else [])
    tracked, _ = follow(script, map(plain, range(60)))
    found = frames_by_id(tracked)[0]
    assert found[0] == 30 - DETECT_EVERY_FRAMES + 1
    # Black before the first frame: a shot of its own.
    images = [TimelineFrame(i, None) for i in range(3)] + [plain(i) for i in range(3, 30)]
    tracked, _ = follow(Script(lambda _: [face_at(50)]), images)
    assert frames_by_id(tracked) == {0: list(range(3, 30))}


def test_a_face_that_leaves_is_not_held_for_long():
    tracked, _ = follow(
        Script(lambda index: [face_at(50)] if index <= 40 else []), map(plain, range(100))
    )
    assert frames_by_id(tracked) == {0: list(range(40 + DETECT_EVERY_FRAMES))}


def test_thorough_looks_are_rare_while_nothing_happens():
    still = Script(lambda _: [face_at(50)])
    follow(still, map(plain, range(1500)))
    assert len(still.looks) == 1500 / DETECT_EVERY_FRAMES
    assert len(still.thorough) <= 10
    empty = Script(lambda _: [])
    follow(empty, map(plain, range(1500)))
    assert len(empty.thorough) <= 1500 / 50 + 4
    assert np.diff(empty.thorough).min() >= SEARCH_EVERY_FRAMES
    gone = Script(lambda index: [face_at(50)] if index < 500 else [])
    follow(gone, map(plain, range(600)))
    searched = [index for index in gone.thorough if index > 525]
    assert searched and searched[0] <= 500 + BRIDGED_FRAMES + 3 * SEARCH_EVERY_FRAMES


def test_frames_of_a_minute_do_not_pile_up_in_the_tracker():
    tracker = FaceTracker(detector=Script(lambda _: [face_at(50)]))
    for i in range(1500):
        for _ in tracker.push(plain(i)):
            pass
    assert len(tracker._pending) < 15
    assert all(len(track.indices) <= 60 for track in tracker._tracks)


def test_cuts_are_seen_and_movement_is_not():
    cuts = ShotCuts()
    random = np.random.default_rng(1)
    scenes = [
        cv2.GaussianBlur(random.integers(0, 255, (180, 400), np.uint8), (0, 0), 9) for _ in (0, 1)
    ]
    scenes = [cv2.normalize(scene, None, 0, 255, cv2.NORM_MINMAX) for scene in scenes]
    found = []
    for i in range(60):
        scene = scenes[i // 30][:, 2 * (i % 30) :][:, :320]  # a slow pan, then another scene
        if cuts.starts_with(i, scene):
            found.append(i)
    assert found == [30]


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ([0] * 6 + [27], [6]),
        ([0] * 6 + [26], []),
        ([0] * 4 + [200], []),  # the shot before it would last four frames
        ([0] * 5 + [200], [5]),
        ([0] * 9 + [200, 0, 0, 0, 90, 180], [9, 14]),
        ([0, 200] * 9, [5, 10, 15]),
    ],
)
def test_a_cut_takes_a_change_of_27_levels_and_a_shot_of_five_frames(levels, expected):
    cuts = ShotCuts()
    frames = [np.full((90, 160), level, np.uint8) for level in levels]
    assert [i for i, luma in enumerate(frames) if cuts.starts_with(i, luma)] == expected


def test_cuts_do_not_look_into_a_reused_buffer():
    cuts, buffer = ShotCuts(), np.zeros((90, 160), np.uint8)
    assert not any(cuts.starts_with(i, buffer) for i in range(6))
    buffer[:] = 200
    assert cuts.starts_with(6, buffer)


# --------------------------------------------------------------------------- from a video to crops


def test_a_video_with_faces_from_end_to_end(tmp_path, centerface):
    still = PlacedFace(200, 190, 120)

    def walking(i: int) -> list[PlacedFace]:
        return [PlacedFace(480 - 2.5 * i, 150 + i, 60, mirrored=True)]

    scenes = [(30, lambda i: [still]), (20, lambda i: []), (30, walking)]
    path = face_video(tmp_path / "a.mp4", [*scenes, (15, lambda i: [still, *walking(i)])])
    tracker = FaceTracker(detector=centerface)
    with VideoFile(path) as video:
        tracked = [item for image in video for item in tracker.push(image)]
    tracked.extend(tracker.flush())
    assert [item.frame.index for item in tracked] == list(range(95))
    found = frames_by_id(tracked)
    assert [(indices[0], indices[-1]) for indices in found.values()] == [
        (0, 29),
        (50, 79),
        (80, 94),
        (80, 94),
    ]
    for item in tracked:
        index = item.frame.index
        placed = walking(index - 50)[0] if 50 <= index < 76 else still if index < 30 else None
        if placed is not None:
            (pose,) = item.poses.values()
            assert (
                np.linalg.norm(pose.points - placed.points, axis=1).max() < 0.12 * placed.height_px
            )


def test_a_face_of_forty_pixels_gives_a_steady_mouth(tmp_path, centerface):
    path = face_video(tmp_path / "a.mp4", [(20, lambda i: [PlacedFace(150 + i, 200, 42)])])
    tracker = FaceTracker(detector=centerface)
    with VideoFile(path) as video:
        tracked = [item for image in video for item in tracker.push(image)]
    tracked.extend(tracker.flush())
    mouths = [mouth_crop(t.frame.luma, t.poses[0].points, 72).astype(float) for t in tracked[:16]]
    middle = np.median(mouths, 0)
    assert middle.std() > 10
    assert all(np.corrcoef(m.ravel(), middle.ravel())[0, 1] > 0.9 for m in mouths)


# --------------------------------------------------------------------------- crops

REFERENCE = np.array([[-0.5, 0.0], [0.5, 0.0], [0.0, 0.55], [-0.42, 1.05], [0.42, 1.05]])


def placed_points(eyes_px: float, turn_deg: float, at: tuple[float, float]) -> np.ndarray:
    angle = np.deg2rad(turn_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return eyes_px * REFERENCE @ turn.T + at


def dotted(points: np.ndarray, sigma: float, size: tuple[int, int] = (900, 700)) -> np.ndarray:
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    image = np.zeros((size[1], size[0]))
    for px, py in points:
        image += 230 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2))
    return np.clip(image, 0, 255).astype(np.uint8)


def dot_near(image: np.ndarray, at: np.ndarray, reach: int) -> np.ndarray:
    """Centre of brightness near a place: x, y."""
    column, row = np.round(at).astype(int)
    top, left = max(0, row - reach), max(0, column - reach)
    part = image[top : row + reach + 1, left : column + reach + 1].astype(float)
    rows, columns = np.mgrid[: part.shape[0], : part.shape[1]]
    return np.array([(columns * part).sum(), (rows * part).sum()]) / part.sum() + [left, top]


def shift_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """How far the content of one frame lies from that of another: x, y."""
    window = cv2.createHanningWindow(a.shape[::-1], cv2.CV_64F)
    return np.array(cv2.phaseCorrelate(a.copy(), b.copy(), window)[0])  # it writes on its input


POSES = [(40, 0), (40, 30), (20, -25), (61.7, 10), (120, 0), (170, 45)]


@pytest.mark.parametrize(("eyes_px", "turn_deg"), POSES)
def test_known_points_land_on_known_pixels_of_the_mouth_crop(eyes_px, turn_deg):
    points = placed_points(eyes_px, turn_deg, (451.3, 222.6))
    image = dotted(points, eyes_px * 0.05)
    size = 112
    crop = mouth_crop(image, points, size)
    assert crop.shape == (size, size) and crop.dtype == np.uint8
    expected = size / 2 + MOUTH_PX_PER_EYE_DISTANCE * (REFERENCE - [0.0, 1.10])
    for want in expected[2:]:  # the eyes lie near the edge or above it
        assert dot_near(crop, want, 6) == pytest.approx(want, abs=0.12)


def test_the_same_face_gives_the_same_crop_at_any_scale_and_turn():
    def crop_of(face: PlacedFace) -> np.ndarray:
        image = face_image((1100, 900), face)
        return mouth_crop(gray(image), face.points, 72).astype(float)

    first = crop_of(PlacedFace(500, 450, 200))
    for face in (
        PlacedFace(400.5, 430.2, 120),
        PlacedFace(520, 460, 420, turn_deg=25),
        PlacedFace(500, 450, 200, turn_deg=-40),
    ):
        other = crop_of(face)
        assert np.hypot(*shift_between(first, other)) < 0.3, face
        assert np.corrcoef(first.ravel(), other.ravel())[0, 1] > 0.99


def test_similarity_is_exact_for_a_moved_face_and_never_mirrors():
    points = placed_points(33.0, 17.0, (12.0, -4.0))
    transform = similarity(points)
    assert points @ transform[:, :2].T + transform[:, 2] == pytest.approx(REFERENCE, abs=1e-9)
    mirrored = REFERENCE * [-1, 1]
    assert np.linalg.det(similarity(mirrored)[:, :2]) > 0


def published_face_crop(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The crop of SyncNet's published ``run_pipeline.py``, word for word but for the names."""
    scale = 0.40
    size = max(box[3] - box[1], box[2] - box[0]) / 2
    padding = int(size * (1 + 2 * scale))
    frame = np.pad(image, ((padding, padding), (padding, padding)), constant_values=110)
    y = (box[1] + box[3]) / 2 + padding
    x = (box[0] + box[2]) / 2 + padding
    face = frame[
        int(y - size) : int(y + size * (1 + 2 * scale)),
        int(x - size * (1 + scale)) : int(x + size * (1 + scale)),
    ]
    return cv2.resize(face, (224, 224))


@pytest.mark.parametrize(
    "box",
    [
        [300, 200, 400, 340],
        [310.4, 205.7, 389.9, 301.2],
        [200, 100, 560, 520],
        [-30, -20, 130, 170],
        [700, 520, 880, 690],
    ],
    ids=["plain", "fractions", "large", "over the edge", "the other edge"],
)
def test_the_face_crop_is_the_published_one(box):
    assert SYNCNET_CROP_SCALE == 0.40
    box = np.array(box, float)
    random = np.random.default_rng(4)
    image = cv2.GaussianBlur(random.integers(0, 255, (700, 900)).astype(np.float32), (0, 0), 10)
    image = cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    ours, theirs = (
        face_crop(image, box, 224).astype(float),
        published_face_crop(image, box).astype(float),
    )
    px = 224 / (1.4 * max(box[2] - box[0], box[3] - box[1]))  # crop pixels per frame pixel
    slack = 1.5 * max(px, 1.0)  # theirs cuts off fractions of pixels
    assert np.abs(shift_between(ours, theirs)).max() < slack
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.985
    outside = published_face_crop(np.zeros_like(image), box) == 110
    assert np.mean((face_crop(np.zeros_like(image), box, 224) == 110) == outside) > 0.97


@pytest.mark.parametrize("eyes_px", [67.0, 90.0, 150.0])
def test_reducing_first_only_guards_against_aliasing(monkeypatch, eyes_px):
    points = placed_points(eyes_px, 13.0, (441.3, 232.6))
    image = dotted(points, eyes_px * 0.06)
    reduced = mouth_crop(image, points, 112)
    monkeypatch.setattr(crops, "_COARSE", 0.0)
    direct = mouth_crop(image, points, 112)
    assert not np.array_equal(reduced, direct), "the video is too small for the guard to work"
    for want in 56 + MOUTH_PX_PER_EYE_DISTANCE * (REFERENCE[2:] - [0.0, 1.10]):
        assert dot_near(reduced, want, 7) == pytest.approx(dot_near(direct, want, 7), abs=0.15)
    monkeypatch.undo()
    # A fine pattern must turn grey, not into another pattern.
    stripes = np.tile(np.array([0, 255], np.uint8), (700, 450))
    steady = mouth_crop(stripes, placed_points(170.0, 0.0, (441.0, 232.0)), 112).astype(float)
    assert steady.std() < 12


def test_crops_beyond_the_frame():
    image = np.full((60, 80), 77, np.uint8)
    far = placed_points(200.0, 0.0, (-900.0, 700.0))
    assert (mouth_crop(image, far, 72) == 77).all()
    assert (face_crop(image, np.array([500.0, 500, 600, 600]), 64) == 110).all()
    assert mouth_crop(np.zeros((1, 1), np.uint8), far, 72).shape == (72, 72)
    colour = np.dstack([image, image // 2, image * 2])
    assert (
        mouth_crop(colour, far, 72).shape
        == face_crop(colour, np.array([1, 1, 9, 9.0]), 72).shape
        == (72, 72, 3)
    )


def test_the_constants_that_trained_weights_depend_on():
    assert MOUTH_PX_PER_EYE_DISTANCE == 40.0
    assert crops._REFERENCE == pytest.approx(REFERENCE)
    assert (tracking.DETECT_EVERY_FRAMES, tracking.SMOOTHING_FRAMES, tracking.BRIDGED_FRAMES) == (
        5,
        4,
        20,
    )
