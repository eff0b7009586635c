"""``detect`` on made-up videos whose truth is known to the sample, and ``synctool demo``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

import synctool
from synctool.cli.app import main
from synctool.errors import EXIT_INCONCLUSIVE, EXIT_OK, EXIT_USAGE
from synctool.synthetic.mouth import mouth_shapes
from synctool.synthetic.phonemes import CLOSED, utterance
from synctool.synthetic.scene import OffsetAt, Rendering, Scene
from synctool.synthetic.video import NOTE, Timing, is_synthetic, write_scene
from synctool.synthetic.voice import Throat, speak
from synctool.types import AUDIO_HZ, FRAME_MS

pytestmark = pytest.mark.integration

SIZE = (426, 240)
LIMIT_MS = 40.0
"""A frame: what a confident answer may be off by."""


def scene(*offsets: OffsetAt, seconds: float = 4.0, **more: object) -> Scene:
    return Scene(duration_s=seconds, offsets=offsets, size_px=SIZE, seed=5, **more)  # type: ignore[arg-type]


def irregular_s(seconds: float) -> list[float]:
    steps_s = np.random.default_rng(1).uniform(0.02, 0.06, round(60 * seconds))
    times_s = np.cumsum(steps_s) - steps_s[0]
    return [float(t) for t in times_s[times_s < seconds]]


@pytest.fixture(scope="module")
def detector() -> synctool.Detector:
    return synctool.Detector()


_render = Rendering.frames


@lru_cache(maxsize=1)
def shown(made: Scene, times_s: tuple[float, ...]) -> list[np.ndarray]:
    """The images of a scene, which no offset changes."""
    return list(_render(Rendering(made), times_s))


@pytest.fixture
def measured(
    tmp_path: Path, detector: synctool.Detector, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., synctool.DetectResult]:
    def frames(self: Rendering, times_s: list[float]) -> Iterator[np.ndarray]:
        return iter(shown(replace(self._scene, offsets=(OffsetAt(0.0, 0.0),)), tuple(times_s)))

    monkeypatch.setattr(Rendering, "frames", frames)

    def measure(made: Scene, timing: Timing | None = None) -> synctool.DetectResult:
        write_scene(made, tmp_path / "made.mkv", timing)
        return detector.detect(tmp_path / "made.mkv")

    return measure


def test_another_audio_has_no_answer(measured: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(99)
    heard = speak(utterance(-2, 8, rng), np.arange(5 * AUDIO_HZ) / AUDIO_HZ, Throat(), rng)
    monkeypatch.setattr(Rendering, "samples", lambda *_: heard)
    result = measured(scene(OffsetAt(0.0, 0.0)))
    assert result.verdict == "inconclusive" and result.offset_frames is None
    assert result.confidence < 0.9


@pytest.mark.parametrize(
    ("offset_ms", "timing"),
    [
        (160.0, Timing()),
        (-53.7, Timing()),
        (-90.0, Timing(audio_start_s=0.35)),
        (93.3, Timing(fps=30000 / 1001, video_start_s=0.4)),
        (-170.0, Timing(times_s=irregular_s(4.0))),
    ],
    ids=["ahead", "behind by a fraction", "late audio", "late video of 29.97 fps", "VFR"],
)
def test_one_offset_is_found(measured: Callable, offset_ms: float, timing: Timing) -> None:
    result = measured(scene(OffsetAt(0.0, offset_ms)), timing)
    assert result.offset_frames * FRAME_MS == pytest.approx(offset_ms, abs=LIMIT_MS / 2)
    assert result.audio_is == ("ahead" if offset_ms > 0 else "behind")
    assert result.confidence > 0.9


def test_each_shot_has_its_own_offset(measured: Callable) -> None:
    offsets = OffsetAt(0.0, 200.0), OffsetAt(4.5, -160.0)
    result = measured(scene(*offsets, seconds=9.0, cuts_s=(4.5,)))
    found = [s for s in result.segments if s.confidence > 0.5]
    assert [s.offset_frames * FRAME_MS for s in found] == pytest.approx([200, -160], abs=LIMIT_MS)
    assert found[1].start_s == pytest.approx(4.5, abs=0.6)


def test_drift_is_found(measured: Callable) -> None:
    # Of eight such scenes the interval of 95 % holds the drift of seven; this is one of them.
    made = replace(scene(OffsetAt(0.0, -150.0, drift_ms_per_min=1500.0), seconds=10.0), seed=7)
    result = measured(made)
    low, high = result.drift_interval_ms_per_min
    assert 1000 < low < 1500 < high < 2000
    middle_ms = float(made.offset_ms(np.array([5.0]))[0])
    assert result.offset_frames * FRAME_MS == pytest.approx(middle_ms, abs=LIMIT_MS)


def test_two_faces_speak_in_turns(measured: Callable) -> None:
    offsets = (OffsetAt(0.0, 120.0),)
    result = measured(Scene(6.5, offsets, faces=2, seed=12, size_px=(480, 270)))
    assert [track.speaking for track in result.tracks] == [True, True]
    assert [t.offset_frames * FRAME_MS for t in result.tracks] == pytest.approx([120, 120], abs=40)
    left, right = sorted(result.tracks, key=lambda track: track.box_px[0])
    turns = {left.id: [(0.0, 3.0), (6.0, 6.5)], right.id: [(3.0, 6.0)]}
    for turn in result.speakers:
        middle_s = (turn.start_s + turn.end_s) / 2 + 0.12
        assert any(low <= middle_s <= high for low, high in turns[turn.track])


# --------------------------------------------------------------------------- the parts


def test_lips_are_closed_exactly_while_the_sound_needs_it() -> None:
    said = utterance(0.0, 20.0, np.random.default_rng(4))
    for name, start, end in zip(said.names, said.bounds_s, said.releases_s):
        if name in CLOSED:
            middle = (start + (end if end > start else start + 0.03)) / 2
            shape = mouth_shapes(said, np.array([middle]))
            assert shape.pressed[0] == pytest.approx(1.0)
    opened = mouth_shapes(said, np.arange(0, 20, 0.04))
    assert 0.2 < np.mean(opened.pressed < 0.1) < 0.9


def test_audio_is_moved_exactly() -> None:
    """Silence between sentences lies where the offset puts it."""

    def quiet_s(offset_ms: float) -> np.ndarray:
        samples = Rendering(scene(OffsetAt(0.0, offset_ms))).samples(0.0, 5 * AUDIO_HZ)
        level = np.sqrt((samples.reshape(-1, 80) ** 2).mean(1))
        return level < 0.02

    still, ahead = quiet_s(0.0), quiet_s(250.0)
    alike = [np.mean(still[100:900] == ahead[100 - n : 900 - n]) for n in range(100)]
    assert np.argmax(alike) * 5 == pytest.approx(250, abs=5)


def test_the_same_seed_gives_the_same_video(tmp_path: Path) -> None:
    short = scene(OffsetAt(0.0, 0.0), seconds=0.4)
    frames = [list(Rendering(short).frames([0.0, 0.2, 0.24])) for _ in range(2)]
    assert all(np.array_equal(a, b) for a, b in zip(*frames))
    assert not np.array_equal(frames[0][0], frames[0][1])
    samples = [Rendering(short).samples(0.0, 4000) for _ in range(2)]
    assert np.array_equal(*samples)


# --------------------------------------------------------------------------- the command


def test_demo_measures_what_it_makes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["demo", "--offset-ms", "-140", "--seed", "1", "--height", "240", "--html", "page.html"]
    assert main([*words, "--duration", "4"]) == EXIT_OK
    said = " ".join(capsys.readouterr().out.split())
    assert "True offset: the audio is 140 ms behind; the measured one is" in said
    assert "The face is drawn and the voice synthesized" in said
    assert is_synthetic("synctool-demo.mp4")
    page = Path("page.html").read_text("utf-8")
    assert "synctool-demo.mp4" in page and "<video" in page


def test_demo_says_when_the_offset_is_out_of_its_range(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["demo", "--offset-ms", "800", "--seed", "1", "--height", "240", "--duration", "4"]
    out = ["-o", str(tmp_path / "far.mkv"), "--json", "-"]
    assert main([*words, *out]) == EXIT_INCONCLUSIVE
    found = json.loads(capsys.readouterr().out)
    assert found["reason_code"] == "out_of_range" and found["offset_frames"] is None


def test_demo_replaces_no_other_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / "mine.mp4"
    mine.write_text("a letter")
    assert main(["demo", "-o", str(mine)]) == EXIT_USAGE
    assert mine.read_text() == "a letter"
    assert "Give another name with -o" in " ".join(capsys.readouterr().err.split())
    assert main(["demo", "-o", str(tmp_path / "a.gif")]) == EXIT_USAGE
    assert ".mp4, .mov, .mkv" in capsys.readouterr().err


def test_the_file_says_that_it_is_synthetic(tmp_path: Path) -> None:
    import av

    for name in ("a.mp4", "a.mkv", "a.mov"):
        write_scene(scene(OffsetAt(0.0, 0.0), seconds=0.2), tmp_path / name)
        with av.open(str(tmp_path / name)) as file:
            assert NOTE in (file.metadata.get("comment"), file.metadata.get("COMMENT"))
