"""``synctool stats``, and what is noted of a video while it is measured."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import av
import numpy as np
import pytest

import synctool
from fake_results import made_result
from synctool.cli.app import main
from synctool.errors import EXIT_MISSING, EXIT_OK, EXIT_UNEXPECTED
from synctool.features.programme_loudness import ProgrammeLoudness
from synctool.features.voicing import Voicing
from synctool.measure.scene import SceneNotes, scene_statistics
from synctool.scoring.speaking import Activity, Turn
from synctool.types import DetectResult, SceneStatistics, Source
from videos import murmur

RATE = 16_000


def tone(hz: float, seconds: float, amplitude: float = 0.1) -> np.ndarray:
    """A sine, int16."""
    at = np.arange(round(seconds * RATE)) / RATE
    return np.round(32767 * amplitude * np.sin(2 * np.pi * hz * at)).astype(np.int16)


# ------------------------------------------------------------------------------------------- audio


def ebur128(samples: np.ndarray) -> float:
    """What FFmpeg's meter says of it, in LUFS."""
    graph = av.filter.Graph()
    source = graph.add_abuffer(sample_rate=RATE, format="s16", layout="mono", time_base=f"1/{RATE}")
    meter, sink = graph.add("ebur128", "metadata=1"), graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    frame = av.AudioFrame.from_ndarray(samples[None], "s16", "mono")
    frame.sample_rate, frame.pts = RATE, 0
    graph.push(frame)
    graph.push(None)
    found = None
    while True:
        try:
            found = graph.pull().metadata.get("lavfi.r128.I", found)
        except av.error.FFmpegError:
            return float(found)


@pytest.mark.skipif(not hasattr(av.AudioFrame, "metadata"), reason="this PyAV shows no metadata")
@pytest.mark.parametrize("hz", [60, 997, 3000, 7000, None])
def test_loudness_is_that_of_ffmpegs_meter(hz: float | None) -> None:
    quiet = np.zeros(3 * RATE, np.int16)  # is gated
    own = (murmur(6.0) * 20_000).astype(np.int16) if hz is None else tone(hz, 4.0)
    samples = np.r_[own, quiet, own // 2]
    meter = ProgrammeLoudness()
    for part in np.array_split(samples, 7):
        meter.add(part)
    assert meter.lufs() == pytest.approx(ebur128(samples), abs=0.1)


def test_silence_has_no_loudness() -> None:
    meter = ProgrammeLoudness()
    meter.add(np.zeros(RATE, np.int16))
    assert meter.lufs() is None


def voiced_frames(samples: np.ndarray, count: int) -> np.ndarray:
    """Which frames of audio that comes in one go are voiced."""
    voicing = Voicing()
    voicing.add(samples)
    return voicing.frames(count)


def test_tones_are_voiced_and_noise_is_not() -> None:
    noise = np.random.default_rng(0).normal(0, 2000, RATE).astype(np.int16)
    samples = np.r_[tone(120, 1.0), noise, tone(300, 1.0), np.zeros(RATE, np.int16)]
    found = voiced_frames(samples, 110)
    means = [found[i : i + 24].mean() for i in (0, 26, 51, 76)]
    assert means[0] == 1 and means[1] < 0.1 and means[2] == 1 and means[3] == 0
    assert not found[100:].any()


def test_voicing_does_not_depend_on_how_the_samples_come() -> None:
    samples = (murmur(3.0) * 20_000).astype(np.int16)
    voicing = Voicing()
    for part in np.array_split(samples, 11):
        voicing.add(part)
    assert (voicing.frames(75) == voiced_frames(samples, 75)).all()


def test_voicing_is_told_by_sample() -> None:
    voicing = Voicing()
    voicing.add(np.r_[tone(120, 1.0), np.zeros(RATE, np.int16)])
    at = np.array([-1, 0, 15_000, 17_000, 31_999, 40_000])
    assert voicing.at(at).tolist() == [False, True, True, False, False, False]
    assert not Voicing().at(at).any()


# ------------------------------------------------------------------------------------------- scene


def test_statistics_of_a_scene() -> None:
    notes = SceneNotes(
        cuts=(50, 75),
        faces=np.repeat([1, 2, 0], [50, 25, 25]),
        heights_px=np.full(75, 120.0),
        eyes_apart=np.array([1.0, 0.3, 0.9, 0.2]),
        voiced=np.arange(100) < 20,
        loudness_lufs=-23.0,
    )
    speech = np.where(np.arange(100) < 40, 0.9, 0.0)
    levels_db = np.repeat(np.where(speech > 0, -20.0, -40.0), 4)
    turns = (Turn(0, 0, 30, 0.9), Turn(None, 30, 40, 0.9))
    activity = Activity((0,), np.zeros((1, 100), np.float32), speech > 0, turns)
    found = scene_statistics(
        notes,
        source=Source(4.0, 25.0, 0.0, 0.0, 640, 480, 48_000),
        speech=speech,
        levels_db=levels_db,
        activity=activity,
    )
    assert found.cuts_s == (2.0, 3.0) and found.cuts_per_min == 30 and found.shot_s == 1
    assert found.faces == 1 and found.most_faces == 2
    assert found.face_px == 120 and found.face_share == 0.25 and found.turned_share == 0.5
    assert found.speech_share == 0.4 and found.visible_speech_share == 0.75
    assert found.voiced_share == 0.5
    assert found.snr_db == pytest.approx(20, abs=0.1)


def test_a_video_is_described_while_it_is_measured(clips: Path) -> None:
    found = synctool.detect(clips / "example.avi").scene
    assert found.cuts_s == () and found.faces == pytest.approx(1.0, abs=0.05)
    assert 80 < found.face_px < 224 and found.turned_share == 0
    assert found.speech_share > 0.5 and 0.6 < found.voiced_share < 0.9
    assert found.loudness_lufs == pytest.approx(-26.3, abs=0.2)


# ----------------------------------------------------------------------------------------- command

SCENE = SceneStatistics((1.0,), 30.0, 2.0, 1.25, 2, 180.0, 0.25, 0.1, 0.8, 0.9, 0.7, -23.0, 15.0)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Three results and a failure."""
    path = tmp_path / "r.jsonl"
    made = [
        made_result("a/one.mp4", scene=SCENE),
        made_result("a/two<b>.mp4", scene=SCENE.__class__(**{**vars(SCENE), "snr_db": 25.0})),
        made_result("b/three.mp4"),
    ]
    lines = [json.dumps(r.to_dict()) for r in made]
    lines.append(json.dumps({"input": "gone.mp4", "error": "no such file"}))
    path.write_text("\n".join(lines) + "\n")
    return path


def test_results_are_told_by_video_and_by_folder(results: Path, tmp_path: Path, capsys) -> None:
    places = [tmp_path / name for name in ("s.json", "s.csv", "s.png")]
    options = [w for o, p in zip(("--json", "--csv", "--plot"), places) for w in (o, str(p))]
    assert main(["stats", str(results), *options]) == EXIT_OK
    said = capsys.readouterr().out
    assert "a/one.mp4" in said and "Medians over videos" in said
    told = json.loads(places[0].read_text())
    assert told["schema"] == "synctool.stats/1" and len(told["videos"]) == 3
    folders = {row["folder"]: row for row in told["folders"]}
    assert folders["a"]["snr_db"] == 20 and folders["a"]["videos"] == 2
    assert folders["all"]["total_s"] == 12 and folders["b"]["snr_db"] is None
    rows = list(csv.DictReader(io.StringIO(places[1].read_text())))
    assert rows[0]["cuts_per_min"] == "30.0" and rows[2]["loudness_lufs"] == ""
    assert places[2].read_bytes().startswith(b"\x89PNG")


def test_one_object_over_several_lines_is_a_result_too(tmp_path: Path, capsys) -> None:
    path = tmp_path / "one.json"
    path.write_text(json.dumps(made_result(scene=SCENE).to_dict(), indent=2))
    assert main(["stats", str(path), "--json", "-"]) == EXIT_OK
    assert json.loads(capsys.readouterr().out)["videos"][0]["face_px"] == 180


def test_a_result_keeps_what_the_video_is_like() -> None:
    result = made_result(scene=SCENE)
    assert DetectResult.from_dict(json.loads(json.dumps(result.to_dict()))) == result


@pytest.mark.parametrize(
    "text",
    ["", "[1, 2", "[]", "3", '{"schema": "synctool.verify/1"}', '{"schema": "synctool.detect/1"}'],
)
def test_other_files_are_refused(tmp_path: Path, text: str, capsys) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    assert main(["stats", str(path)]) == EXIT_UNEXPECTED
    assert "synctool detect --json" in capsys.readouterr().err
    assert main(["stats", str(tmp_path / "gone.json")]) == EXIT_MISSING


def test_a_folder_is_no_file_of_results(tmp_path: Path, capsys) -> None:
    assert main(["stats", str(tmp_path)]) == EXIT_MISSING
    assert capsys.readouterr().err == (
        f"error: cannot read {tmp_path}: it is a folder\nGive the name of a file in it.\n"
    )
