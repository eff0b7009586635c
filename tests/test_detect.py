"""The main job, end to end: on videos right by construction, and on real ones with a known answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import flicker
import synctool
from flicker import flicker_video
from synctool.comparison.trials import trials
from synctool.errors import MediaError, MissingError, UsageError
from synctool.measure import audio_encoder, face_encoder
from synctool.measure.detect import Detector
from synctool.measure.encode import encode
from synctool.media.audio_track import AudioTrack
from synctool.media.video_file import VideoFile
from synctool.networks.load import load_model
from synctool.repairing.run import repair
from synctool.report.json_out import to_json
from synctool.scoring.verdict import sentence
from synctool.types import SAMPLES_PER_FRAME, Condition, DetectResult, Label
from videos import (
    Audio,
    PlacedFace,
    Video,
    clicks,
    face_image,
    face_video,
    make_video,
    with_moved_audio,
    with_spoiled_packets,
)

pytestmark = pytest.mark.integration

Answer = Callable[..., DetectResult]
FINE = 0.15
"""Frames: how exactly the flicker network reads videos that are made for it."""


@pytest.fixture(autouse=True, scope="module")
def fake_network() -> Iterator[None]:
    with flicker.installed():
        yield


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory):
    path = flicker.save_weights(tmp_path_factory.mktemp("weights") / "flicker.safetensors")
    return load_model("flicker", weights=path, device="cpu")


@pytest.fixture(scope="module")
def measure(model) -> Detector:
    """Takes the whole frame for the face."""
    return Detector(model=model, detector="whole")


@pytest.fixture(scope="module")
def look(model) -> Detector:
    """Looks for faces."""
    return Detector(model=model)


# -------------------------------------------------------------------------------------- the answer


@pytest.mark.parametrize("frames", [0, 3, -7, 1.5, -2.25])
def test_the_offset_and_its_sign(measure: Detector, tmp_path: Path, frames: float) -> None:
    """Audio that comes earlier than the frame is ahead: the offset is positive."""
    result = measure.detect(flicker_video(tmp_path / "a.mp4", ahead_frames=frames))
    assert result.offset_frames == pytest.approx(frames, abs=FINE)
    assert result.offset_ms == round(40 * result.offset_frames)
    assert result.audio_is == ("level" if frames == 0 else "ahead" if frames > 0 else "behind")
    assert result.confidence > 0.8
    assert result.coverage == 1.0
    assert result.reason is None
    (track,) = result.tracks
    assert track.speaking
    assert track.offset_frames == pytest.approx(frames, abs=FINE)
    (segment,) = result.segments
    assert (segment.start_s, segment.end_s) == (0.0, 4.0)


def test_every_frame_has_its_place(measure: Detector, tmp_path: Path) -> None:
    result = measure.detect(flicker_video(tmp_path / "a.mp4", ahead_frames=2))
    series = result.frames
    assert len(series.t_s) == len(series.offset_frames) == len(series.confidence) == 100
    np.testing.assert_allclose(series.t_s, np.arange(100) / 25)
    middle = [x for x in series.offset_frames[25:75] if x is not None]
    assert np.median(middle) == pytest.approx(2, abs=FINE)


def test_what_the_result_says_of_its_making(measure: Detector, tmp_path: Path) -> None:
    path = flicker_video(tmp_path / "a.mp4", seconds=2)
    result = measure.detect(path)
    assert result.input == str(path)
    assert result.backbone == "flicker"
    assert result.weights.startswith("flicker sha256:")
    assert result.synctool == synctool.__version__
    assert result.max_offset == 15
    assert (result.source.width_px, result.source.height_px) == (64, 64)
    assert result.source.audio_hz == 16_000
    assert result.source.duration_s == pytest.approx(2.0, abs=0.1)
    parts = {"decode", "faces", "video", "audio", "scoring"}
    assert result.timing_s.keys() == parts | {"total"}
    total = sum(result.timing_s[part] for part in parts)
    assert result.timing_s["total"] == pytest.approx(total)
    assert result.syncnet_confidence > 0.1 and result.min_distance > 0


@pytest.mark.parametrize("span_s", [(4.0, 9.0), (2.0, 6.0)], ids=["to the end", "in between"])
def test_half_a_video_that_cannot_be_decoded_is_not_covered(
    measure: Detector, tmp_path: Path, span_s: tuple[float, float]
) -> None:
    whole = flicker_video(tmp_path / "a.mkv", seconds=8)
    path = with_spoiled_packets(whole, tmp_path / "b.mkv", ["video"], [span_s])
    assert measure.detect(whole).coverage == 1.0
    result = measure.detect(path)
    assert result.coverage == pytest.approx(0.5, abs=0.05)
    assert result.verdict_coverage <= result.coverage + 0.01


@pytest.mark.parametrize("fps", [Fraction(60000, 1001), Fraction(30000, 1001), 50, 24, 12], ids=str)
@pytest.mark.parametrize("frames", [0, 3])
def test_any_frame_rate(measure: Detector, tmp_path: Path, fps, frames: int) -> None:
    # At 12 frames a second half of the steps of light is never seen.
    result = measure.detect(flicker_video(tmp_path / "a.mp4", fps=fps, ahead_frames=frames))
    assert result.offset_frames == pytest.approx(frames, abs=0.5 if fps == 12 else FINE)
    assert result.source.video_fps == pytest.approx(float(fps), abs=0.01)


@pytest.mark.parametrize("beside_ms", [10, 16, 24, 32])
def test_frames_between_the_moments_of_the_timeline(
    measure: Detector, tmp_path: Path, beside_ms: int
) -> None:
    """All frames but the first keep to moments of their own, where they show the nearest step of light."""
    times = [0.0, *((40 * i + beside_ms) / 1000 for i in range(1, 100))]
    path = flicker_video(tmp_path / "a.mkv", ahead_frames=2.0, times_s=times)
    result = measure.detect(path)
    late_ms = (beside_ms + 20) % 40 - 20
    assert result.offset_frames == pytest.approx(2 + late_ms / 40, abs=0.03)
    shown = [result.segments[0].offset_frames, result.tracks[0].offset_frames]
    shown.append(np.median([x for x in result.frames.offset_frames if x is not None]))
    assert shown == pytest.approx([result.offset_frames] * 3, abs=0.1)
    encoded = encode(path, [measure._model], detector="whole", keep_samples=True)
    trial = next(trials(encoded, [measure._model], [Condition()], Label(), film="a"))
    assert trial.offset_frames == result.offset_frames


def test_variable_frame_rate(measure: Detector, tmp_path: Path) -> None:
    gaps = np.random.default_rng(3).uniform(0.02, 0.06, 200)
    times = [round(float(t), 4) for t in np.cumsum(gaps) - gaps[0] if t < 4]
    path = flicker_video(tmp_path / "a.mkv", times_s=times, ahead_frames=-4)
    assert measure.detect(path).offset_frames == pytest.approx(-4, abs=0.3)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_streams_that_start_half_a_second_apart(
    measure: Detector, tmp_path: Path, suffix: str
) -> None:
    path = flicker_video(tmp_path / f"a{suffix}", audio_start_s=0.5, ahead_frames=2)
    result = measure.detect(path)
    assert result.offset_frames == pytest.approx(2, abs=FINE)
    assert result.source.audio_start_s == pytest.approx(0.5, abs=0.07)  # AAC begins earlier
    assert result.source.video_start_s == 0.0
    assert any("later" in warning for warning in result.source.warnings)
    late = tmp_path / f"late{suffix}"
    with_moved_audio(path, late, ahead_ms=1000)  # now the frame is the late one
    result = measure.detect(late)
    assert result.source.video_start_s == pytest.approx(0.5, abs=0.07)
    assert measure.detect(late).offset_frames is None, "27 frames are beyond the searched range"


def test_a_wider_search(model, tmp_path: Path) -> None:
    path = flicker_video(tmp_path / "a.mp4", seconds=6, ahead_frames=-40)
    wide = Detector(model=model, detector="whole", max_offset=60).detect(path)
    assert wide.offset_frames == pytest.approx(-40, abs=FINE)
    assert wide.max_offset == 60


@pytest.mark.parametrize("frames", [15, -15])
def test_the_edge_of_the_range_is_no_answer(measure: Detector, tmp_path: Path, frames: int) -> None:
    result = measure.detect(flicker_video(tmp_path / "a.mp4", ahead_frames=frames))
    assert result.verdict == "inconclusive"
    assert result.offset_frames is result.offset_ms is result.audio_is is None
    assert "--max-offset" in result.reason


@pytest.mark.parametrize(("frames", "words"), [(30, "ahead"), (-41, "behind")])
def test_a_clear_match_beyond_the_range_is_named(
    measure: Detector, tmp_path: Path, frames: int, words: str
) -> None:
    result = measure.detect(flicker_video(tmp_path / "a.mp4", seconds=8, ahead_frames=frames))
    assert result.verdict == "inconclusive"
    assert result.offset_frames is None
    said = re.search(rf"the audio (\d+) ms {words}: .* --max-offset (\d+)", result.reason)
    assert int(said[1]) == pytest.approx(40 * abs(frames), abs=20)
    again = Detector(model=measure._model, detector="whole", max_offset=int(said[2]))
    assert again.detect(tmp_path / "a.mp4").offset_frames == pytest.approx(frames, abs=FINE)


def test_audio_that_starts_late_and_is_late_is_told_by_both(
    measure: Detector, tmp_path: Path
) -> None:
    path = flicker_video(tmp_path / "a.mkv", seconds=8, ahead_frames=-40, audio_start_s=1.6)
    result = measure.detect(path)
    assert result.verdict == "inconclusive"
    assert "the audio starts 1.60 s later than the video by the file's own times" in result.reason
    assert "search wider with --max-offset 50" in result.reason


def speech(clips: Path, seconds: float) -> np.ndarray:
    """Real speech: float32 ``[N]``, 16 kHz."""
    with VideoFile(clips / "example.avi") as video:
        for _ in video:
            pass
        return video.audio.pop(round(16_000 * seconds)).astype(np.float32) / 32768


def test_streams_that_start_far_apart_are_worth_a_wider_search(
    measure: Detector, tmp_path: Path, clips: Path
) -> None:
    """Nothing matches anywhere, but somebody speaks, and the file says where a match may lie."""
    audio = Audio(rate=16_000, layout="mono", samples=speech(clips, 6), start_s=1.6)
    path = make_video(tmp_path / "a.mkv", seconds=6, video=flickering(6), audio=[audio])
    result = measure.detect(path)
    assert result.verdict == "inconclusive"
    assert "the audio starts 1.60 s later" in result.reason
    assert "--max-offset 50" in result.reason


def test_weak_evidence_is_no_reason_to_search_wider(
    measure: Detector, tmp_path: Path, clips: Path
) -> None:
    audio = Audio(rate=16_000, layout="mono", samples=speech(clips, 6))
    result = measure.detect(
        make_video(tmp_path / "a.mp4", seconds=6, video=flickering(6), audio=[audio])
    )
    assert result.verdict == "inconclusive"
    assert "--max-offset" not in result.reason
    assert "elsewhere" in result.reason


def flickering(seconds: float, *, still_s: float = 0.0) -> Video:
    """A frame that is still, and then flickers as ``flicker.pattern`` says."""
    at = flicker.pattern()
    levels = [
        125 if i < 25 * still_s else 140 if at(i / 25 + 0.02) else 110
        for i in range(round(25 * seconds))
    ]
    images = [np.full((64, 64), level, np.uint8) for level in levels]
    return Video(size=(64, 64), images=images, options={"preset": "ultrafast"})


def test_a_still_face_that_then_talks_has_an_answer(measure: Detector, tmp_path: Path) -> None:
    at, still_s, seconds = flicker.pattern(), 30.0, 36.0
    samples = flicker.flicker_audio(lambda t: at(t + 3 / 25), seconds)
    samples[: round(16_000 * still_s)] = 0.0
    audio = Audio(rate=16_000, layout="mono", samples=samples)
    video = flickering(seconds, still_s=still_s)
    path = make_video(tmp_path / "a.mp4", seconds=seconds, video=video, audio=[audio])
    result = measure.detect(path)
    assert result.offset_frames == pytest.approx(3, abs=FINE)
    assert result.verdict == "unacceptable"
    assert result.confidence > 0.8
    assert result.coverage == 1.0
    assert result.verdict_coverage == pytest.approx(1 / 6, abs=0.04)
    assert re.search(
        r"the verdict rests on 1\d % of the video \((29|30)\.\d to 3[56]\.\d s\)", sentence(result)
    )


def test_steady_noise_is_no_speech(measure: Detector, tmp_path: Path) -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(16_000 * 5)
    audio = Audio(rate=16_000, layout="mono", samples=noise)
    path = make_video(tmp_path / "a.mp4", seconds=5, video=flickering(5), audio=[audio])
    result = measure.detect(path)
    assert result.verdict == "inconclusive"
    assert result.reason.startswith("no speech was found in the audio")


def test_a_video_cut_from_two_parts_gives_two_segments(measure: Detector, tmp_path: Path) -> None:
    path = flicker_video(
        tmp_path / "a.mp4", seconds=10, ahead_frames=lambda t: 3.0 if t < 5 else -4.0
    )
    result = measure.detect(path)
    first, second = result.segments
    assert first.offset_frames == pytest.approx(3, abs=FINE)
    assert second.offset_frames == pytest.approx(-4, abs=FINE)
    assert first.end_s == pytest.approx(5, abs=0.5)
    assert second.start_s == pytest.approx(5, abs=0.5)
    assert result.verdict == "unacceptable", "the worst part decides"
    assert "2 segments differ" in sentence(result)


def test_drift_is_measured(measure: Detector, tmp_path: Path) -> None:
    """The audio runs away by 4 frames in 40 s: 240 ms a minute."""
    path = flicker_video(tmp_path / "a.mkv", seconds=40, ahead_frames=lambda t: t / 10)
    result = measure.detect(path)
    assert result.drift_ms_per_min == pytest.approx(240, rel=0.2)
    assert "drifts ahead" in sentence(result)


def test_the_constant_of_a_network_moves_the_answer_by_exactly_that(model, tmp_path: Path) -> None:
    path = flicker_video(tmp_path / "a.mp4", ahead_frames=4)
    plain = Detector(model=model, detector="whole").detect(path)
    for zero in (2.0, -1.0):
        moved = Detector(model=replace(model, zero_frames=zero), detector="whole").detect(path)
        assert moved.offset_frames == pytest.approx(plain.offset_frames - zero, abs=0.02)
    half = Detector(model=replace(model, zero_frames=0.5), detector="whole").detect(path)
    assert half.offset_frames == pytest.approx(plain.offset_frames - 0.5, abs=FINE)


def test_a_second_audio_track(model, tmp_path: Path) -> None:
    at, early = flicker.pattern(), 5 / 25
    audio = [
        Audio(rate=16_000, layout="mono", samples=flicker.flicker_audio(how, 4.0))
        for how in (at, lambda t: at(t + early))
    ]
    images = [np.full((64, 64), 140 if at(i / 25 + 0.02) else 110, np.uint8) for i in range(100)]
    video = Video(size=(64, 64), images=images, options={"preset": "ultrafast"})
    path = make_video(tmp_path / "a.mkv", seconds=4, video=video, audio=audio)
    for track, frames in ((0, 0), (1, 5)):
        result = Detector(model=model, detector="whole", audio_track=track).detect(path)
        assert result.offset_frames == pytest.approx(frames, abs=FINE)
    with pytest.raises(UsageError, match="audio track 2"):
        Detector(model=model, detector="whole", audio_track=2).detect(path)


# ----------------------------------------------------------------------------------------- faces


def beside(*x: float, height_px: float = 90.0) -> Callable[[float], list[PlacedFace]]:
    return lambda _: [PlacedFace(middle, 90, height_px) for middle in x]


def test_a_real_face_is_found_and_measured(look: Detector, tmp_path: Path) -> None:
    face = PlacedFace(160, 90, 90)
    path = flicker_video(
        tmp_path / "a.mp4", seconds=3, faces=lambda _: [face], size=(320, 180), ahead_frames=-3
    )
    result = look.detect(path)
    assert result.offset_frames == pytest.approx(-3, abs=FINE)
    (track,) = result.tracks
    left, top, width, height = track.box_px
    np.testing.assert_allclose([left, top, left + width, top + height], face.box, atol=12)


def test_a_face_for_part_of_the_video(look: Detector, tmp_path: Path) -> None:
    path = flicker_video(
        tmp_path / "a.mp4",
        seconds=5,
        faces=lambda t: [PlacedFace(160, 90, 90)] if t < 3 else [],
        size=(320, 180),
        ahead_frames=2,
    )
    result = look.detect(path)
    assert result.coverage == pytest.approx(0.6, abs=0.03)
    assert result.offset_frames == pytest.approx(2, abs=FINE)
    (track,) = result.tracks
    assert track.end_s == pytest.approx(3, abs=0.21)
    assert all(x is None for x in result.frames.offset_frames[90:])


def test_a_small_face_is_found(look: Detector, tmp_path: Path) -> None:
    path = flicker_video(
        tmp_path / "a.mp4",
        seconds=1.2,
        faces=lambda _: [PlacedFace(200, 120, 40)],
        size=(640, 360),
        ahead_frames=1,
    )
    result = look.detect(path)
    (track,) = result.tracks
    assert track.box_px[3] == pytest.approx(40, abs=10)
    assert result.coverage > 0.9
    assert result.offset_frames == pytest.approx(1, abs=FINE)


def test_two_faces_have_a_track_each(look: Detector, model, tmp_path: Path) -> None:
    path = flicker_video(
        tmp_path / "a.mp4", seconds=2, faces=beside(90, 230), size=(320, 180), ahead_frames=2
    )
    result = look.detect(path)
    assert sorted(round(t.box_px[0] + t.box_px[2] / 2, -1) for t in result.tracks) == [90, 230]
    assert [t.id for t in result.tracks] == [0, 1]
    assert result.offset_frames == pytest.approx(2, abs=FINE)
    assert result.coverage == 1.0
    one = Detector(model=model, max_faces=1).detect(path)
    assert len(one.tracks) == 1


def test_of_two_faces_the_one_that_moves_with_the_audio_speaks(
    look: Detector, tmp_path: Path
) -> None:
    at = flicker.pattern()
    images = []
    for i in range(75):
        image = face_image((320, 180), *beside(90, 230)(0), background=90)
        image[:, 160:] = image[:, 160:] * (1.0 if at(i / 25 + 0.02) else 0.78)
        images.append(image)
    video = Video(size=(320, 180), images=images, options={"preset": "ultrafast", "crf": "12"})
    audio = Audio(rate=16_000, layout="mono", samples=flicker.flicker_audio(at, 3.0))
    path = make_video(tmp_path / "a.mkv", seconds=3, video=video, audio=[audio])
    result = look.detect(path)
    left, right = sorted(result.tracks, key=lambda t: t.box_px[0])
    assert right.confidence > left.confidence
    assert right.offset_frames == pytest.approx(0, abs=FINE)
    assert not left.speaking
    assert left.offset_frames is None
    assert result.offset_frames == pytest.approx(0, abs=FINE)


def lying(path: Path, quarters: int, *, seconds: float = 4.0, empty_s: float = 0.0) -> Path:
    """A face that flickers with the audio, the frames turned clockwise by so many quarters."""
    at = flicker.pattern()
    face = face_image((320, 180), PlacedFace(110, 90, 90), background=90).astype(float)
    images = []
    for i in range(round(25 * seconds)):
        light = (140 if at(i / 25 + 0.02) else 110) / 140
        image = face * light if i >= 25 * empty_s else np.full_like(face, 60)
        images.append(np.rot90(image.astype(np.uint8), -quarters))
    size = (320, 180) if quarters % 2 == 0 else (180, 320)
    options = {"preset": "ultrafast", "crf": "12"}
    video = Video(size=size, images=images, options=options)
    samples = flicker.flicker_audio(lambda t: at(t + 2 / 25), seconds)
    audio = Audio(rate=16_000, layout="mono", samples=samples)
    return make_video(path, seconds=seconds, video=video, audio=[audio])


@pytest.mark.parametrize(
    ("quarters", "turned_deg", "words"),
    [
        (1, 270, "turned by 90° counter-clockwise"),
        (2, 180, "turned upside down"),
        (3, 90, "turned by 90° clockwise"),
    ],
)
def test_faces_that_lie_on_their_side_are_measured_upright(
    look: Detector, tmp_path: Path, quarters: int, turned_deg: int, words: str
) -> None:
    result = look.detect(lying(tmp_path / "a.mkv", quarters))
    assert result.offset_frames == pytest.approx(2, abs=FINE)
    assert result.source.turned_deg == turned_deg
    assert any(words in warning for warning in result.source.warnings)
    assert result.coverage == 1.0, "the frames that were held are measured as well"
    (track,) = result.tracks
    assert track.id == 0
    left, top, width, height = track.box_px
    middle = (left + width / 2, top + height / 2)
    where = {1: (90, 110), 2: (210, 90), 3: (90, 210)}[quarters]
    np.testing.assert_allclose(middle, where, atol=12)


def test_a_face_that_lies_on_its_side_after_a_while(look: Detector, tmp_path: Path) -> None:
    result = look.detect(lying(tmp_path / "a.mkv", 1, seconds=9, empty_s=3))
    assert result.source.turned_deg == 270
    assert result.offset_frames == pytest.approx(2, abs=FINE)
    assert result.coverage > 0.5


def test_an_upright_video_is_not_turned(look: Detector, tmp_path: Path) -> None:
    result = look.detect(lying(tmp_path / "a.mkv", 0))
    assert result.source.turned_deg == 0
    assert result.source.warnings == ()
    assert result.offset_frames == pytest.approx(2, abs=FINE)


def test_no_face(look: Detector, tmp_path: Path) -> None:
    result = look.detect(flicker_video(tmp_path / "a.mp4", seconds=2))
    assert result.verdict == "inconclusive"
    assert result.reason == "no face was found"
    assert (result.coverage, result.tracks, result.segments) == (0.0, (), ())
    assert result.syncnet_confidence is result.min_distance is None
    assert result.confidence == 0.0


def test_no_face_in_one_of_two_video_tracks(look: Detector, tmp_path: Path) -> None:
    path = flicker_video(tmp_path / "a.mkv", seconds=2)
    two = tmp_path / "two.mkv"
    with av.open(str(path)) as old, av.open(str(two), "w") as new:
        copies = {s.index: [new.add_stream_from_template(s)] for s in old.streams}
        copies[old.streams.video[0].index].append(
            new.add_stream_from_template(old.streams.video[0])
        )
        for packet in old.demux():
            for stream in copies[packet.stream.index] if packet.dts is not None else ():
                again = av.Packet(bytes(packet))
                again.pts, again.dts, again.time_base = packet.pts, packet.dts, packet.time_base
                again.is_keyframe, again.stream = packet.is_keyframe, stream
                new.mux(again)
    result = look.detect(two)
    assert result.reason == "no face was found in this video track: try --video-track 1"
    assert result.coverage == 0.0


def test_a_cut_ends_a_track(look: Detector, tmp_path: Path) -> None:
    still = lambda _: [PlacedFace(160, 90, 90)]  # noqa: E731
    video_file = face_video(tmp_path / "a.mp4", [(30, still), (30, still)], size=(320, 180))
    result = look.detect(video_file)
    assert [(t.start_s, t.end_s) for t in result.tracks] == [(0.0, 1.2), (1.2, 2.4)]
    assert result.coverage == 1.0


# ------------------------------------------------------------------------------- too little to go on


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.4, "too short: 0.40 s"), (0.12, "no frame could be compared")]
)
def test_a_video_that_is_too_short(
    measure: Detector, tmp_path: Path, seconds: float, told: str
) -> None:
    result = measure.detect(flicker_video(tmp_path / "a.mp4", seconds=seconds))
    assert result.verdict == "inconclusive"
    assert "no face" not in result.reason, "there is one, only not for long"
    assert told in result.reason


def grey(seconds: float) -> Video:
    return Video(size=(64, 64), images=[np.full((64, 64), 120, np.uint8)] * round(25 * seconds))


def test_silence(measure: Detector, tmp_path: Path) -> None:
    audio = Audio(samples=np.zeros(96_000))
    path = make_video(tmp_path / "a.mp4", seconds=2, video=grey(2), audio=[audio])
    result = measure.detect(path)
    assert (result.verdict, result.reason) == ("inconclusive", "the audio is silent")
    assert result.coverage == 1.0
    assert result.confidence == 0.0
    assert result.segments == ()
    (track,) = result.tracks
    assert not track.speaking, "nobody speaks in silence"
    assert track.offset_frames is None
    assert track.confidence == 0.0


def test_a_single_click_in_silence_is_no_evidence(measure: Detector, tmp_path: Path) -> None:
    audio = Audio(samples=clicks(3, 48_000, [1.0]))
    result = measure.detect(make_video(tmp_path / "a.mp4", video=grey(3), audio=[audio]))
    assert result.verdict == "inconclusive"


def test_audio_that_ends_early(measure: Detector, tmp_path: Path) -> None:
    path = flicker_video(tmp_path / "a.mp4", seconds=6, audio_s=3, ahead_frames=2)
    result = measure.detect(path)
    assert result.offset_frames == pytest.approx(2, abs=FINE)
    assert all(x is None for x in result.frames.offset_frames[130:])


def test_half_a_video(measure: Detector, tmp_path: Path) -> None:
    """Matroska can be read as far as it goes; what is missing is said."""
    whole = flicker_video(tmp_path / "a.mkv", seconds=12, ahead_frames=3).read_bytes()
    (tmp_path / "b.mkv").write_bytes(whole[: len(whole) // 2])
    result = measure.detect(tmp_path / "b.mkv")
    assert result.offset_frames == pytest.approx(3, abs=FINE)
    assert 2 < result.source.duration_s < 9
    assert result.source.warnings


def test_videos_that_cannot_be_measured(measure: Detector, tmp_path: Path) -> None:
    whole = flicker_video(tmp_path / "a.mp4").read_bytes()
    (tmp_path / "half.mp4").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.mp4").touch()
    for name, kind in (
        ("none.mp4", MissingError),
        ("half.mp4", MediaError),
        ("empty.mp4", MediaError),
    ):
        with pytest.raises(kind) as caught:
            measure.detect(tmp_path / name)
        assert name in caught.value.cause
        assert caught.value.remedy
    assert measure.detect(tmp_path / "a.mp4").verdict == "in sync", "it can go on with the next"


# ------------------------------------------------------------------------------------ the engine


def test_progress_is_told_every_second(measure: Detector, tmp_path: Path) -> None:
    told = []
    measure.detect(flicker_video(tmp_path / "a.mp4"), on_progress=told.append)
    assert [p.frames_done for p in told] == [0, 25, 50, 75]
    assert {p.frames_total for p in told} <= {100, 101, 102}  # the audio may end a little later


def test_an_error_in_the_caller_ends_the_work(measure: Detector, tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def stop(progress: object) -> None:
        raise Enough

    with pytest.raises(Enough):
        measure.detect(flicker_video(tmp_path / "a.mp4"), on_progress=stop)


def test_only_embeddings_are_kept(measure: Detector, tmp_path: Path, monkeypatch) -> None:
    """Crops and samples are given back while the video runs."""
    most = {"crops": 0, "samples": 0}
    encode, place = face_encoder.FaceEncoder.encode, AudioTrack.place

    def count_crops(self, **more: bool) -> None:
        most["crops"] = max(most["crops"], len(self._crops))
        encode(self, **more)

    def count_samples(self, *given: object) -> None:
        place(self, *given)
        most["samples"] = max(most["samples"], self.available)

    monkeypatch.setattr(face_encoder.FaceEncoder, "encode", count_crops)
    monkeypatch.setattr(AudioTrack, "place", count_samples)
    monkeypatch.setattr(face_encoder, "_CHUNK_PIXELS", 64 * 16 * 16)
    monkeypatch.setattr(audio_encoder, "_CHUNK_FRAMES", 64)
    result = measure.detect(flicker_video(tmp_path / "a.mp4", seconds=20))
    assert result.offset_frames == pytest.approx(0, abs=FINE)
    assert 64 <= most["crops"] < 120
    assert most["samples"] < 300 * SAMPLES_PER_FRAME, "of 500"


def test_a_face_that_has_gone_is_finished_at_once(look: Detector, tmp_path, monkeypatch) -> None:
    """In a video of many faces the crops of all of them would fill the memory."""
    told: list[str] = []
    encode = face_encoder.FaceEncoder.encode

    def note(self, *, last: bool = False, **more: Any) -> None:
        told.append("face finished" if last else "face")
        encode(self, last=last, **more)

    monkeypatch.setattr(face_encoder.FaceEncoder, "encode", note)
    path = flicker_video(
        tmp_path / "a.mp4",
        faces=lambda t: [PlacedFace(160, 90, 90)] if t < 1 else [],
        size=(320, 180),
    )
    look.detect(path, on_progress=lambda p: told.append(f"tick {p.frames_done}"))
    assert told.index("face finished") < told.index("tick 75")


def test_two_runs_give_the_same(measure: Detector, tmp_path: Path) -> None:
    path = flicker_video(tmp_path / "a.mp4", ahead_frames=1)
    first, second = (replace(measure.detect(path), timing_s={}) for _ in range(2))
    assert to_json(first) == to_json(second)


def test_the_public_function(tmp_path: Path) -> None:
    weights = flicker.save_weights(tmp_path / "w.safetensors")
    path = flicker_video(tmp_path / "a.mp4", seconds=2, ahead_frames=3)
    result = synctool.detect(path, backbone="flicker", weights=weights, detector="whole")
    assert result.audio_is == "ahead"
    with pytest.raises(UsageError, match="no backbone 'flickr'"):
        synctool.detect(path, backbone="flickr")
    with pytest.raises(UsageError, match="no face detector"):
        synctool.detect(path, backbone="flicker", weights=weights, detector="none")
    with pytest.raises(UsageError, match="max_offset"):
        synctool.detect(path, backbone="flicker", weights=weights, max_offset=0)


# ------------------------------------------------------------------------------------ real videos


@pytest.fixture(scope="module")
def real(clips: Path) -> Answer:
    """Answers on real videos with the network of the package, each video measured once."""
    model = load_model("fcn-cls", device="cpu")
    looking = {name: Detector(model=model, detector=name) for name in ("centerface", "whole")}

    @cache
    def answer(path: Path, detector: str = "centerface") -> DetectResult:
        return looking[detector].detect(path)

    return answer


def read_video(path: Path) -> tuple[list[np.ndarray], np.ndarray]:
    """All grey images of a 25 fps video, and its audio."""
    with VideoFile(path) as video_file:
        images = [image.luma for image in video_file if image.luma is not None]
        return images, video_file.audio.pop(video_file.audio.end)


def write_video(path: Path, images: list[np.ndarray], audio: np.ndarray) -> Path:
    """Grey frames at 25 fps with audio at 16 kHz, hardly compressed."""
    height, width = (n // 2 * 2 for n in images[0].shape)
    video = Video(
        size=(width, height),
        images=(image[:height, :width] for image in images),
        options={"crf": "12", "preset": "ultrafast"},
    )
    heard = Audio(codec="pcm_s16le", rate=16_000, layout="mono", samples=audio / 32767)
    return make_video(path, seconds=len(images) / 25, video=video, audio=[heard])


@pytest.fixture(scope="module")
def presenter(clips: Path) -> tuple[list[np.ndarray], np.ndarray]:
    return read_video(clips / "example.avi")


def test_the_published_example_is_three_frames_ahead(real: Answer, clips: Path) -> None:
    result = real(clips / "example.avi")
    assert result.offset_frames == pytest.approx(3, abs=1)
    assert result.audio_is == "ahead"
    assert result.confidence > 0.8
    assert result.coverage > 0.95
    assert result.verdict in ("detectable", "unacceptable")
    assert "delay the audio" in sentence(result)


@pytest.mark.parametrize(
    ("name", "frames"), [("test_offset_5.avi", -5), ("test_offset_12.avi", -12)]
)
def test_delayed_copies_differ_by_their_delay(
    real: Answer, clips: Path, name: str, frames: int
) -> None:
    moved = [
        real(clips / video_file, "whole").offset_frames for video_file in (name, "example.avi")
    ]
    assert moved[0] - moved[1] == pytest.approx(frames, abs=0.5)


def cut(source: Path, target: Path, *, seconds: float) -> Path:
    """The beginning of a video, its streams copied."""
    with av.open(str(source)) as video_file, av.open(str(target), "w") as part:
        copies = {s.index: part.add_stream_from_template(s) for s in video_file.streams}
        for packet in video_file.demux():
            if packet.dts is not None and packet.dts * packet.time_base <= seconds:
                packet.stream = copies[packet.stream.index]
                part.mux(packet)
    return target


@pytest.fixture(scope="module")
def held_out(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Part of a video that nobody has published an offset of."""
    folder = tmp_path_factory.mktemp("held-out")
    return cut(clips / "demo1_video.mp4", folder / "short.mkv", seconds=3)


@pytest.mark.parametrize("frames", [4, -3])
def test_a_held_out_speakers_video_with_its_audio_moved(
    real: Answer, held_out: Path, tmp_path: Path, frames: int
) -> None:
    repair(held_out, tmp_path / "moved.mkv", -40 * frames)
    moved = real(tmp_path / "moved.mkv").offset_frames - real(held_out).offset_frames
    assert moved == pytest.approx(frames, abs=0.5)


def test_a_real_video_with_audio_that_jumps(real: Answer, presenter, tmp_path: Path) -> None:
    """First half as it is, second half with the audio six frames later."""
    images, audio = presenter[0][:250], presenter[1]
    half, late = len(images) // 2, 6
    end = (len(images) - late) * SAMPLES_PER_FRAME
    jumping = np.concatenate(
        [audio[: half * SAMPLES_PER_FRAME], audio[(half - late) * SAMPLES_PER_FRAME : end]]
    )
    result = real(write_video(tmp_path / "a.mkv", images, jumping))
    first, second = result.segments
    assert first.offset_frames - second.offset_frames == pytest.approx(late, abs=0.5)
    assert first.end_s == pytest.approx(half / 25, abs=0.6)
    assert result.verdict == "unacceptable"


def test_foreign_audio_carries_no_answer(
    real: Answer, clips: Path, presenter, tmp_path: Path
) -> None:
    images = presenter[0][:250]
    foreign = audio_of(clips / "demo2_video.mp4")[: len(images) * SAMPLES_PER_FRAME]
    result = real(write_video(tmp_path / "a.mkv", images, foreign))
    assert result.verdict == "inconclusive" or result.confidence < 0.6, result.confidence


def audio_of(path: Path) -> np.ndarray:
    with VideoFile(path, need_video=False) as video_file:
        for _ in video_file:
            pass
        return video_file.audio.pop(video_file.audio.end)


def test_a_real_video_measured_twice_gives_the_same(clips: Path, real: Answer) -> None:
    path = clips / "example.avi"
    again = Detector(model=load_model("fcn-cls", device="cpu"), detector="whole").detect(path)
    first, second = (json.loads(to_json(result)) for result in (real(path, "whole"), again))
    assert first.pop("timing_s").keys() == second.pop("timing_s").keys()
    assert first == second
