"""Whether lips and voice belong together: the measures, the scores, the verdicts, the command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

import synctool
from fake_volumes import constant, foreign
from synctool.authenticity.closures import closure_frames
from synctool.authenticity.evidence import FaceSeries, evidence_of, repeated_looks, still_frames
from synctool.authenticity.judge import Face, judge_video, verdict_of
from synctool.authenticity.scores import Regression, bundled_scores
from synctool.authenticity.signs import find_signs
from synctool.cli.app import main
from synctool.errors import EXIT_INCONCLUSIVE, EXIT_MISSING, EXIT_OK, EXIT_OUT_OF_TOLERANCE
from synctool.features.loudness import LOWEST_DB, Loudness
from synctool.features.mouth_motion import MouthSeries, mouth_series
from synctool.media.video_file import VideoFile
from synctool.report.html.verify import verify_page
from synctool.scoring.confidence import UNCALIBRATED
from synctool.types import DetectResult, ScoreInterval
from videos import Audio, Video, make_video

# ---------------------------------------------------------------------------------------- measures


def mouth(opening: float, *, shade: float = 1.0, at: int = 0) -> np.ndarray:
    """A grey face part of 72 px with a dark gap, ``opening`` of its height."""
    image = np.full((72, 72), 150, np.uint8)
    image[60:] = 130
    cv2.ellipse(image, (36 + at, 36), (11, max(1, round(12 * opening))), 0, 0, 360, 30, -1)
    return (image * shade).astype(np.uint8)


def test_an_open_mouth_is_more_open_than_a_closed_one_whatever_the_light() -> None:
    openings = [mouth_series(np.stack([mouth(x)])).opening[0] for x in (0.1, 0.5, 1.0)]
    assert openings == sorted(openings) and openings[2] - openings[0] > 0.2
    dim = mouth_series(np.stack([mouth(0.5, shade=0.4)])).opening[0]
    assert dim == pytest.approx(openings[1], abs=0.02)


def test_lips_that_move_move_more_than_what_is_around_them() -> None:
    found = mouth_series(np.stack([mouth(0.2 + 0.6 * (t % 2)) for t in range(20)]))
    assert found.lips[0] == found.around[0] == 0
    assert (found.lips[1:] > 5 * found.around[1:]).all()
    part = found.part(5, 12)
    assert (part.first_frame, part.frames, len(part.looks)) == (5, 7, 7)


def test_levels_are_those_of_ten_milliseconds_and_end_in_silence() -> None:
    loudness = Loudness()
    for part in np.split(np.full(16_000, 0.1, np.float32), [100, 7001]):
        loudness.add(part)
    found = loudness.levels(30)
    assert found.shape == (120,)
    assert found[:100] == pytest.approx(-20, abs=0.01) and (found[100:] == LOWEST_DB).all()


def test_short_stops_inside_speech_are_found_and_pauses_are_not() -> None:
    levels = np.full(400, -20.0)
    levels[100:107] = -50  # 70 ms
    levels[200:240] = -50  # a pause
    levels[300:301] = -50  # a crackle
    found = closure_frames(levels, np.ones(100))
    assert np.flatnonzero(found).tolist() == [25, 26]
    assert not closure_frames(levels, np.zeros(100)).any()


def test_a_loop_of_lips_repeats_and_speech_does_not() -> None:
    rng = np.random.default_rng(0)
    walk = np.cumsum(rng.standard_normal((120, 96)), 0) * 0.1 + 1
    assert repeated_looks(walk).mean() < 0.05
    assert repeated_looks(walk[np.arange(120) % 20]).mean() > 0.9
    assert not repeated_looks(np.ones((120, 96)) + 0.01 * rng.standard_normal((120, 96))).any()


# ------------------------------------------------------------------------------------------- faces


def series(volume: np.ndarray, *, lips: float = 0.06, seed: int = 0) -> FaceSeries:
    """A face with speech but for its first second; lips and chin move alike unless they are still."""
    frames = volume.shape[1]
    rng = np.random.default_rng(seed)
    around = 0.03 * (1 + 0.5 * np.abs(rng.standard_normal(frames)))
    moved = around * lips / 0.03 if lips > 0.01 else lips * rng.random(frames)
    speech = np.r_[np.zeros(25), np.ones(frames - 25)]
    levels = np.repeat(np.where(speech > 0, -20.0, -70.0) + rng.standard_normal(frames), 4)
    looks = np.cumsum(rng.standard_normal((frames, 96)), 0) * 0.1
    own = MouthSeries(0, rng.random(frames), moved, around, looks)
    return FaceSeries(volume, own, speech, levels)


def test_evidence_of_a_match_is_steady_and_that_of_foreign_audio_is_not() -> None:
    match = evidence_of(series(constant(3, 6.0)), UNCALIBRATED)
    other = evidence_of(series(foreign(6.0, seed=1)), UNCALIBRATED)
    assert match.steady > 0.9 and match.jitter < 0.5
    assert other.steady < 0.6 and other.jitter > 1.5
    assert match.height > 2 * other.height
    assert match.speech_s == pytest.approx(5.0, abs=0.2)


def test_still_lips_are_seen() -> None:
    still = series(constant(0, 6.0), lips=0.003)
    assert still_frames(still.mouth).all()
    assert evidence_of(still, UNCALIBRATED).still == 1
    kinds = {sign.kind for sign in find_signs(4, still, UNCALIBRATED)}
    assert "still" in kinds
    assert all(s.track == 4 for s in find_signs(4, still, UNCALIBRATED))


def test_speech_of_another_in_view_does_not_count() -> None:
    face = series(constant(3, 6.0))
    counted = np.zeros(face.frames, bool)
    assert evidence_of(replace(face, counted=counted), UNCALIBRATED).speech_s == 0


def test_scores_fill_in_what_is_not_known() -> None:
    regression = Regression(("steady", "closed"), (0.5, 0.0), (0.1, 1.0), ((0.0, -1.0, 5.0),))
    evidence = evidence_of(series(constant(3, 6.0)), UNCALIBRATED)
    unknown = replace(evidence, closed=np.nan)
    known = replace(evidence, closed=0.0)
    assert regression.probabilities([unknown]) == regression.probabilities([known])


def test_the_bundled_scores_prefer_own_audio_and_own_lips() -> None:
    scores = bundled_scores()
    weights = dict(zip(scores.dub.features, scores.dub.weights[0][1:]))
    assert weights["height"] < 0 < weights["jitter"]
    lips = dict(zip(scores.reanimation.features, scores.reanimation.weights[0][1:]))
    assert lips["together"] < 0 < lips["still"] and lips["again"] > 0
    assert len(scores.dub.weights) > 20 and scores.people > 20


@pytest.mark.parametrize(
    ("dub", "lips", "offset_ms", "verdict"),
    [
        ((0.1, 0.05, 0.2), (0.1, 0.0, 0.2), 10, "natural"),
        ((0.1, 0.05, 0.2), (0.1, 0.0, 0.2), 300, "offset"),
        ((0.1, 0.05, 0.2), (0.1, 0.0, 0.2), -200, "offset"),
        ((0.9, 0.8, 0.95), (0.1, 0.0, 0.2), 10, "dubbed"),
        ((0.9, 0.4, 0.95), (0.1, 0.0, 0.2), 10, "cannot tell"),
        ((0.9, 0.8, 0.95), (0.9, 0.8, 0.95), 10, "reanimated"),
        ((0.1, 0.05, 0.2), (0.9, 0.8, 0.95), 10, "cannot tell"),
        ((0.5, 0.2, 0.8), (0.1, 0.0, 0.2), 10, "cannot tell"),
        ((0.2, 0.05, 0.6), (0.1, 0.0, 0.2), 10, "cannot tell"),
    ],
)
def test_verdicts(dub, lips, offset_ms: float, verdict: str) -> None:
    assert verdict_of(ScoreInterval(*dub), ScoreInterval(*lips), offset_ms) == verdict


def judged(volume: np.ndarray, **more) -> synctool.types.Authenticity:
    scores = bundled_scores()
    return judge_video([Face(2, series(volume, **more))], UNCALIBRATED, scores)


def test_spans_of_one_verdict_are_told_as_one() -> None:
    found = judged(foreign(20.0, seed=1))
    assert found.verdict == "dubbed"
    assert [(s.track, s.start_s, s.end_s) for s in found.spans] == [(2, 0.0, 20.0)]
    assert found.dub is not None and found.dub.low <= found.dub.value <= found.dub.high
    assert "No one offset suits these lips" in " ".join(found.reasons)


def test_an_offset_is_told_with_the_range_that_it_leaves() -> None:
    found = judged(constant(8, 20.0))
    assert found.verdict == "offset"
    assert found.reasons[-1].endswith("viewers hardly notice only what lies within -125 to +45 ms.")


def test_lips_that_are_still_in_speech_are_suspected() -> None:
    found = judged(foreign(6.0, seed=1), lips=0.003)
    assert found.verdict == "reanimated"
    assert found.reanimation is not None and found.reanimation.value > 0.8
    assert any(sign.kind == "still" for sign in found.signs)
    assert "still in 100 % of the speech" in " ".join(found.reasons)


def test_a_video_without_speech_tells_nothing() -> None:
    face = series(constant(0, 6.0))
    quiet = replace(face, speech=np.zeros(face.frames))
    found = judge_video([Face(0, quiet)], UNCALIBRATED, bundled_scores())
    assert found.verdict == "cannot tell" and found.dub is None
    assert "0.0 s of speech" in found.reasons[0]
    why = judge_video([], UNCALIBRATED, bundled_scores(), cannot_because="no face was found")
    assert why.reasons == ("No face was found.",)
    assert judge_video([], UNCALIBRATED, bundled_scores()).verdict == "cannot tell"


# ----------------------------------------------------------------------------------------- command


@pytest.fixture(scope="module")
def detector() -> synctool.Detector:
    return synctool.Detector()


@pytest.fixture(scope="module")
def presenter(clips: Path) -> tuple[np.ndarray, np.ndarray]:
    """Six seconds of SyncNet's example: frames and samples."""
    with VideoFile(clips / "example.avi") as video:
        images = np.stack([image.luma for image in video if image.luma is not None])
        samples = video.audio.pop(video.audio.end)
    return images, samples.astype(np.float32) / 32768


def talk(path: Path, images: np.ndarray, samples: np.ndarray) -> Path:
    video = Video(size=(224, 224), images=list(images), options={"preset": "ultrafast"})
    audio = Audio(rate=16_000, layout="mono", samples=samples)
    return make_video(path, seconds=len(images) / 25, video=video, audio=[audio])


def test_own_audio_and_another_moments_audio(presenter, detector, tmp_path: Path) -> None:
    images, samples = presenter
    own = talk(tmp_path / "own.mkv", images[:100], samples[: 4 * 16_000])
    found = synctool.verify(own, detector=detector)
    assert found.authenticity.verdict == "offset" and found.exit_code == EXIT_OK
    assert found.authenticity.dub.value < 0.1
    assert set(found.mouths) == {0} and found.mouths[0].frames == 100
    told = json.loads(json.dumps(found.result.to_dict()))
    assert DetectResult.from_dict(told).to_dict() == found.result.to_dict()
    other = talk(tmp_path / "other.mkv", images[:100], samples[6 * 16_000 : 10 * 16_000])
    assert synctool.verify(other, detector=detector).authenticity.verdict == "dubbed"


def test_the_command_writes_what_is_asked_for(presenter, tmp_path: Path, capsys) -> None:
    pytest.importorskip("matplotlib")
    images, samples = presenter
    path = talk(tmp_path / "a <b>.mkv", images[:75], samples[: 3 * 16_000])
    outputs = {name: tmp_path / f"out.{name}" for name in ("json", "html", "plot.svg")}
    words = ["--json", outputs["json"], "--html", outputs["html"], "--plot", outputs["plot.svg"]]
    assert main(["verify", str(path), *map(str, words)]) == EXIT_OK
    assert "no proof" in capsys.readouterr().out
    data = json.loads(outputs["json"].read_text("utf-8"))
    assert data["schema"] == "synctool.verify/1"
    assert data["verdict"] == "offset" and data["offset_ms"] > 90
    assert len(data["mouths"][0]["opening"]) == 75
    page = outputs["html"].read_text("utf-8")
    assert "a &lt;b&gt;.mkv" in page and "<b>.mkv" not in page and "Dub score" in page
    assert outputs["plot.svg"].stat().st_size > 5000
    assert main(["verify", str(path), "--fail", "-q"]) == EXIT_OUT_OF_TOLERANCE


def test_a_video_without_a_face_and_one_that_is_missing(tmp_path: Path, capsys) -> None:
    path = make_video(tmp_path / "plain.mp4", seconds=2.0)
    assert main(["verify", str(path)]) == EXIT_INCONCLUSIVE
    assert "cannot tell" in capsys.readouterr().out
    code = main(["verify", str(path), str(tmp_path / "none.mp4"), "--json", "-"])
    assert code == EXIT_MISSING
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["schema"] for line in lines] == ["synctool.verify/1", "synctool.failure/1"]


def test_a_page_of_several_has_a_row_for_each(presenter, detector, tmp_path: Path) -> None:
    images, samples = presenter
    path = talk(tmp_path / "one.mkv", images[:50], samples[: 2 * 16_000])
    found = [synctool.verify(path, detector=detector, thumbnails=True)] * 2
    page = verify_page(found, command="synctool verify one.mkv one.mkv")
    assert page.count('class="video"') == 2 and "one.mkv" in page
    for number in (1, 2):
        assert f'<a href="#video-{number}">' in page and f'id="video-{number}"' in page
