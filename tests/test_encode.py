"""A video that is read once for several networks gives each what it would have got alone."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import flicker_models as fakes
from flicker import flicker_video
from synctool.comparison.trials import trials
from synctool.errors import MediaError, MissingError, UsageError
from synctool.faces.tracking import Pose, TrackedFrame
from synctool.measure import encode as encode_module
from synctool.measure import face_encoder
from synctool.measure.detect import Detector, DetectProgress
from synctool.measure.embeddings import EncodedVideo, FaceEmbeddings
from synctool.measure.encode import encode
from synctool.measure.thumbnails import LARGEST_PX, Thumbnail, ThumbnailKeeper
from synctool.media.frame_reader import TimelineFrame
from synctool.media.video_file import VideoFile
from synctool.networks.load import load_model
from synctool.networks.loaded import LoadedModel
from synctool.types import Condition, DetectResult, Label, StreamSelection, Trial
from videos import PlacedFace

encoded_by = partial(encode, keep_samples=True, isolated=True)


def plain(encoded: EncodedVideo, models: list[LoadedModel]) -> list[Trial]:
    return list(trials(encoded, models, [Condition()], Label(), film="a"))


def assert_equal(trial: Trial, result: DetectResult) -> None:
    """To the last digit."""
    assert trial.error is None
    assert (trial.backbone, trial.weights) == (result.backbone, result.weights)
    assert (trial.offset_frames if trial.answered else None) == result.offset_frames
    assert (trial.confidence, trial.verdict) == (result.confidence, result.verdict)
    assert (trial.reason, trial.coverage) == (result.reason, result.coverage)
    assert (trial.lse_c, trial.lse_d) == (result.syncnet_confidence, result.min_distance)
    assert (trial.segments, trial.frames) == (result.segments, result.frames)
    assert trial.duration_s == result.source.duration_s


def test_each_network_says_what_it_says_alone(tmp_path: Path) -> None:
    """Two that share their crops, and one that wants crops of its own."""
    video = flicker_video(tmp_path / "a.mp4", ahead_frames=2.25, seconds=5)
    models = [fakes.grey(), fakes.grey("twin"), fakes.coloured("rgb")]
    encoded = encoded_by(video, models, detector="whole")
    for model, trial in zip(models, plain(encoded, models)):
        alone = Detector(model=model, detector="whole").detect(video)
        assert alone.offset_frames == pytest.approx(2.25, abs=0.15)
        assert_equal(trial, alone)
        assert encoded.source == alone.source
    assert encoded.frames == 125


def test_with_real_faces_and_the_default_network(tmp_path: Path) -> None:
    video = flicker_video(
        tmp_path / "a.mp4",
        seconds=2,
        faces=lambda t: [PlacedFace(90, 90, 90), *([PlacedFace(230, 90, 90)] if t < 1 else [])],
        size=(320, 180),
        ahead_frames=2,
    )
    models = [load_model("fcn-cls", device="cpu"), fakes.grey()]
    encoded = encoded_by(video, models)
    first, second = (len(made.faces) for made in encoded.models)
    assert first == second >= 2
    for model, trial in zip(models, plain(encoded, models)):
        assert_equal(trial, Detector(model=model).detect(video))


def test_the_constant_of_a_network_is_taken_out_as_detect_does_it(tmp_path: Path) -> None:
    video = flicker_video(tmp_path / "a.mp4", seconds=3)
    models = [
        replace(fakes.grey(f"zero{i}"), zero_frames=zero)
        for i, zero in enumerate((0.4, 2.3, -0.4, -2.3))
    ]
    encoded = encoded_by(video, models, detector="whole")
    for model, trial in zip(models, plain(encoded, models)):
        assert trial.offset_frames == pytest.approx(-model.zero_frames, abs=0.2)
        assert_equal(trial, Detector(model=model, detector="whole").detect(video))


def test_the_audio_is_kept_whole(tmp_path: Path) -> None:
    path = flicker_video(tmp_path / "a.mp4", seconds=3, audio_start_s=0.5)
    encoded = encoded_by(path, [], detector="whole")
    with VideoFile(path) as video:
        assert sum(1 for _ in video) == encoded.frames
        np.testing.assert_array_equal(encoded.samples, video.audio.pop(video.audio.end))
    assert encoded.samples.dtype == np.int16
    assert not encoded.samples[:4000].any() and encoded.samples_at == 0


# ---------------------------------------------------------------------------------------- colours


def test_red_and_blue_are_not_confused(tmp_path: Path) -> None:
    """Blue follows red by four frames: the audio is ahead of it by so much."""
    video = fakes.coloured_video(tmp_path / "a.mkv", late_blue_frames=4)
    models = [fakes.coloured("rgb"), fakes.coloured("bgr"), fakes.grey()]
    encoded = encoded_by(video, models, detector="whole", thumbnails=1)
    found = plain(encoded, models)
    assert [t.offset_frames for t in found[:2]] == pytest.approx([0, 4], abs=0.2)
    for model, trial in zip(models, found):
        assert_equal(trial, Detector(model=model, detector="whole").detect(video))
    red, _, blue = encoded.thumbnails[0].image.reshape(-1, 3).mean(0)
    shown = encoded.thumbnails[0].frame_index
    for only in ("rgb", "bgr"):
        alone = encoded_by(video, [fakes.coloured(only)], detector="whole", thumbnails=1)
        assert alone.thumbnails[0].frame_index == shown
        again = alone.thumbnails[0].image.reshape(-1, 3).mean(0)
        np.testing.assert_allclose(again[[0, 2]], [red, blue])


@pytest.mark.parametrize(
    ("wanted", "decoded"),
    [
        (("gray",), None),
        (("gray", "bgr"), "bgr"),
        (("rgb",), "rgb"),
        (("bgr", "rgb", "gray"), "rgb"),
    ],
)
def test_colours_are_decoded_where_they_are_wanted_only(
    tmp_path: Path, monkeypatch, wanted: tuple[str, ...], decoded: str | None
) -> None:
    asked = []

    def opened(path: Path, **how: object) -> VideoFile:
        asked.append(how["colour"])
        return VideoFile(path, **how)

    monkeypatch.setattr(encode_module, "VideoFile", opened)
    video = fakes.coloured_video(tmp_path / "a.mkv", seconds=0.4)
    models = [fakes.grey() if c == "gray" else fakes.coloured(c) for c in wanted]
    encoded_by(video, models, detector="whole")
    assert asked == [decoded], "the video is opened once"


def test_a_crop_that_two_want_is_cut_once(tmp_path: Path, monkeypatch) -> None:
    cut, made = face_encoder.crop_for, []

    def counted(wanted, image, pose):
        made.append((wanted.colour, wanted.size_px))
        return cut(wanted, image, pose)

    monkeypatch.setattr(face_encoder, "crop_for", counted)
    video = fakes.coloured_video(tmp_path / "a.mkv", seconds=1)
    models = [
        *(fakes.grey(), fakes.grey("twin")),
        *(fakes.coloured("rgb"), fakes.coloured("bgr")),
        replace(
            fakes.coloured("rgb", size_px=32),
            weights="other",
        ),
    ]
    encoded_by(video, models, detector="whole")
    assert {kind: made.count(kind) for kind in set(made)} == {
        ("gray", 16): 25,
        ("rgb", 24): 25,
        ("rgb", 32): 25,
    }


# --------------------------------------------------------------------------------------- failures


@pytest.mark.parametrize("dies_at", [1, 2])
def test_a_network_that_fails_fails_alone(tmp_path: Path, monkeypatch, dies_at: int) -> None:
    monkeypatch.setattr("synctool.measure.face_encoder._CHUNK_PIXELS", 16 * 16 * 16)
    video = flicker_video(tmp_path / "a.mp4", ahead_frames=3, seconds=5)
    failing = fakes.loaded(fakes.Failing(dies_at=dies_at), "failing")
    models = [failing, fakes.grey()]
    encoded = encoded_by(video, models, detector="whole")
    assert encoded.models[0].error == "RuntimeError: out of ideas"
    assert encoded.models[0].faces == ()
    assert failing.network.calls < 8, "it is not asked again and again"
    conditions = [Condition(), Condition("shift", 2.0)]
    found = list(trials(encoded, models, conditions, Label(1.0), film="a"))
    assert [t.error for t in found] == ["RuntimeError: out of ideas", None] * 2
    assert [t.truth_frames for t in found] == [1.0, 1.0, 3.0, 3.0]
    assert found[0].backbone == "failing" and found[0].offset_frames is None
    assert_equal(found[1], Detector(model=models[1], detector="whole").detect(video))


def test_a_network_that_fails_with_the_audio(tmp_path: Path) -> None:
    video = flicker_video(tmp_path / "a.mp4", seconds=2)
    models = [fakes.loaded(fakes.Failing(deaf=True), "deaf"), fakes.grey()]
    found = plain(encoded_by(video, models, detector="whole"), models)
    assert [t.error for t in found] == ["ValueError: what was that?", None]


def test_what_is_wrong_with_the_video_is_raised(tmp_path: Path) -> None:
    video = flicker_video(tmp_path / "a.mp4", seconds=1)
    models = [fakes.grey()]
    with pytest.raises(MissingError, match=r"none\.mp4"):
        encoded_by(tmp_path / "none.mp4", models, detector="whole")
    (tmp_path / "broken.mp4").write_bytes(video.read_bytes()[:2000])
    with pytest.raises(MediaError, match=r"broken\.mp4"):
        encoded_by(tmp_path / "broken.mp4", models, detector="whole")
    with pytest.raises(UsageError, match="audio track 1"):
        encoded_by(video, models, detector="whole", streams=StreamSelection(audio_track=1))
    with pytest.raises(UsageError, match="no face detector"):
        encoded_by(video, models, detector="none")
    with pytest.raises(UsageError, match="given twice"):
        encoded_by(video, [*models, fakes.grey()], detector="whole")
    with pytest.raises(KeyError, match="not encoded with twin"):
        plain(encoded_by(video, models, detector="whole"), [fakes.grey("twin")])


def test_an_error_in_the_caller_ends_the_work(tmp_path: Path) -> None:
    def stop(progress: DetectProgress) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        encoded_by(flicker_video(tmp_path / "a.mp4"), [fakes.grey()], on_progress=stop)


# ------------------------------------------------------------------------------- time, thumbnails


def test_every_network_has_its_own_time(tmp_path: Path) -> None:
    told: list[DetectProgress] = []
    models = [fakes.grey(), fakes.coloured("rgb")]
    video = flicker_video(tmp_path / "a.mp4", seconds=3)
    encoded = encoded_by(video, models, detector="whole", on_progress=told.append)
    assert encoded.stage_s.keys() == {"decode", "faces", "video", "audio"}
    assert encoded.shared_s == encoded.stage_s["decode"] + encoded.stage_s["faces"] > 0
    assert all(made.seconds > 0 for made in encoded.models)
    assert [p.frames_done for p in told] == [0, 25, 50]


def test_thumbnails_show_the_faces(tmp_path: Path) -> None:
    video = flicker_video(
        tmp_path / "a.mp4",
        seconds=2,
        faces=lambda _: [PlacedFace(320, 180, 180)],
        size=(640, 360),
    )
    encoded = encoded_by(video, [fakes.grey()], thumbnails=4)
    assert 3 <= len(encoded.thumbnails) <= 4
    assert set(np.diff([t.frame_index for t in encoded.thumbnails])) == {13}
    for thumbnail in encoded.thumbnails:
        assert thumbnail.image.shape == (180, LARGEST_PX)
        assert thumbnail.image.dtype == np.uint8
        (box,) = thumbnail.boxes
        assert thumbnail.numbers == (0,)
        assert (box[0] + box[2] / 2, box[1] + box[3] / 2) == pytest.approx((160, 90), abs=12)
        assert box[3] == pytest.approx(90, abs=14)
    assert encoded_by(video, [fakes.grey()]).thumbnails == ()


def test_detect_gives_thumbnails_and_the_same_result(tmp_path: Path) -> None:
    video = flicker_video(tmp_path / "a.mp4", seconds=3)
    shown: list[tuple[Thumbnail, ...]] = []
    measuring = Detector(model=fakes.grey(), detector="whole")
    with_them = measuring.detect(video, on_thumbnails=shown.append)
    assert replace(with_them, timing_s={}) == replace(measuring.detect(video), timing_s={})
    assert len(shown) == 1 and 4 <= len(shown[0]) <= 8


def seen_frames(keeper: ThumbnailKeeper, indices: range) -> list[int]:
    """The ticks of the thumbnails, after these frames; never too many are kept meanwhile."""
    pose = Pose(np.array([0.0, 0, 8, 8]), np.zeros((5, 2)))
    image = np.full((8, 8), 16, np.uint8)
    for frame_index in indices:
        keeper.see(TrackedFrame(TimelineFrame(frame_index, image), {0: pose}))
        assert len(keeper.thumbnails()) <= 5
    assert all(t.image.max() == 0 for t in keeper.thumbnails()), "black is black"
    return [t.frame_index for t in keeper.thumbnails()]


@pytest.mark.parametrize("expected", [None, 40, 1000, 10_000])
@pytest.mark.parametrize("indices", [range(1, 7), range(1000), range(700, 1000), range(3001)])
def test_thumbnails_are_evenly_spaced_however_long_the_video_is(
    expected: int | None, indices: range
) -> None:
    kept = seen_frames(ThumbnailKeeper(5, expected_frames=expected, colour=None), indices)
    assert len(set(np.diff(kept))) <= 1
    if expected is None or expected <= len(indices):
        assert len(kept) >= 2
    if expected == 1000 and indices == range(1000):
        assert kept == [100, 300, 500, 700, 900]


@pytest.mark.parametrize("most", [0, 1])
def test_few_thumbnails(most: int) -> None:
    keeper = ThumbnailKeeper(most, expected_frames=None, colour=None)
    assert len(seen_frames(keeper, range(200))) == most


# ------------------------------------------------------------------------------------------ pieces


def test_a_part_of_a_face() -> None:
    boxes = tuple(np.full(4, i) for i in range(4))
    face = FaceEmbeddings(3, 10, np.arange(200).reshape(2, 100).astype(np.float16), boxes)
    part = face.part(20, 60)
    assert (part.number, part.first_frame, part.frames) == (3, 0, 40)
    np.testing.assert_array_equal(part.rows, face.rows[:, 10:50])
    assert [b[0] for b in part.boxes] == [0, 1]
    early = face.part(0, 12)
    assert (early.first_frame, early.frames, len(early.boxes)) == (10, 2, 1)
    late = face.part(100, 150)
    assert (late.first_frame, late.frames, late.boxes[0][0]) == (0, 10, 3)
    assert face.part(0, 10) is None and face.part(110, 120) is None
