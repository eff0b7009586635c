"""Face detectors by name: chosen, listed, and held to their word, whoever wrote them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pytest

import flicker
from fake_plugins import FakePlugin, run_python
from flicker import flicker_video
from synctool.cli.app import main
from synctool.errors import (
    EXIT_MISSING,
    EXIT_UNEXPECTED,
    EXIT_USAGE,
    MissingError,
    PluginError,
    SyncToolError,
    UsageError,
)
from synctool.faces.checked import CheckedDetector
from synctool.faces.detector import Face, points_from_box
from synctool.faces.tracking import FaceTracker
from synctool.measure.tracks import build_detector
from synctool.plugins import loader as plugins
from synctool.plugins.loader import Plugins
from synctool.plugins.specs import FaceDetectorSpec, WeightsSpec

BOX = np.array([10, 20, 40, 60], np.float32)
GOOD = Face(BOX, points_from_box(BOX), 0.9)
IMAGE = np.full((90, 120), 100, np.uint8)
WEIGHTS = WeightsSpec(name="eyes", licence="MIT", catalogue="eyes", file_name="eyes.onnx")


class Steady:
    """One face, always."""

    def __init__(self, *, weights: Path | None = None) -> None:
        self.weights = weights

    def detect(self, gray: np.ndarray, *, smallest_face_px: float | None = None) -> list[Face]:
        return [GOOD]


class Fails(Steady):
    """Raises on every image."""

    def detect(self, gray, *, smallest_face_px=None):
        raise IndexError("list index\nout of range")


class Rubbish(Steady):
    """Gives what is no face."""

    def detect(self, gray, *, smallest_face_px=None):
        return [(10, 20, 40, 60)]


class Unbuilt:
    """Cannot be built."""

    def __init__(self) -> None:
        raise KeyError("cascade")


class Lacking:
    """Needs a package that nobody has."""

    def __init__(self) -> None:
        import no_such_package_at_all  # noqa: F401


class Refuses:
    """Says itself what is wrong."""

    def __init__(self) -> None:
        raise MissingError("no camera", remedy="Buy one.")


class Idle:
    """Has nothing of a detector."""


def spec(kind: type, **more: object) -> FaceDetectorSpec:
    name = kind.__name__.lower()
    return FaceDetectorSpec(
        name=name, factory=f"{__name__}:{kind.__name__}", summary="made up", **more
    )


@pytest.fixture(autouse=True)
def others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plugins]:
    """The built-in plugins, one with the detectors of this page, and an empty cache folder."""
    monkeypatch.setenv("SYNCTOOL_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    found = Plugins()
    found.load(e for e in entry_points(group="synctool") if e.dist.metadata["Name"] == "synctool")
    kinds = (Steady, Fails, Rubbish, Unbuilt, Lacking, Refuses, Idle)
    specs = [spec(kind) for kind in kinds]
    specs.append(replace(spec(Steady), name="weighty", weights=WEIGHTS))
    found.register(
        FakePlugin(synctool_face_detectors=specs, synctool_backbones=[flicker.SPEC]),
        name="eyes",
        distribution="eyes-dist",
        version="3.1",
    )
    with plugins.use(found):
        yield found


# --------------------------------------------------------------------------- building


def test_a_detector_of_a_plugin_is_built() -> None:
    (face,) = build_detector("steady").detect(IMAGE)
    np.testing.assert_array_equal(face.box, BOX)


def test_an_unknown_detector_gets_a_suggestion() -> None:
    with pytest.raises(UsageError) as caught:
        build_detector("stedy")
    assert "no face detector 'stedy'" in caught.value.cause
    assert "steady" in caught.value.remedy


@pytest.mark.parametrize(
    ("name", "told"),
    [("unbuilt", "cannot be built: KeyError: 'cascade'"), ("idle", "without the method 'detect'")],
)
def test_a_detector_that_cannot_be_built(name: str, told: str) -> None:
    with pytest.raises(PluginError) as caught:
        build_detector(name)
    assert told in caught.value.cause
    assert f"{name!r} (plugin 'eyes' of eyes-dist 3.1)" in caught.value.cause
    assert caught.value.remedy


def test_a_detector_whose_package_is_missing() -> None:
    with pytest.raises(MissingError, match="no_such_package_at_all"):
        build_detector("lacking")


def test_a_detector_s_own_words_are_kept() -> None:
    with pytest.raises(MissingError, match="no camera"):
        build_detector("refuses")


def test_weights_are_handed_to_the_detector(tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(MissingError) as caught:
        build_detector("weighty")
    assert "eyes.onnx" in caught.value.cause
    assert "synctool download eyes" in caught.value.remedy
    place = tmp_path / "cache" / "eyes" / "eyes.onnx"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"")
    given = []
    monkeypatch.setattr(Steady, "__init__", lambda self, *, weights: given.append(weights))
    build_detector("weighty")
    assert given == [place]


# --------------------------------------------------------------------------- what they give


class Gives:
    """A detector that gives one thing."""

    def __init__(self, given: object) -> None:
        self._given = given

    def detect(self, gray, *, smallest_face_px=None):
        return self._given


def checked(detector: object) -> CheckedDetector:
    return CheckedDetector(detector=detector, name="the face detector 'x' (plugin 'p')")


def changed(**more: object) -> Face:
    return replace(GOOD, **more)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (None, "NoneType in place of a list"),
        (GOOD, "Face in place of a list"),
        (np.zeros((1, 4)), "ndarray in place of a list"),
        ([BOX], "no attribute 'box'"),
        ([GOOD, None], "no attribute 'box'"),
        ([changed(box=BOX[:3])], "box [3] and points [5, 2] in place of [4] and [5, 2]"),
        ([changed(box=None)], "in place of [4]"),
        ([changed(box="left")], "could not convert"),
        ([changed(points=np.zeros(10))], "points [10]"),
        ([changed(points=[[1, 2]] * 4)], "points [4, 2]"),
        ([changed(points=[[1, 2], [3]])], "no face"),
        ([changed(points=np.full((5, 2), np.nan))], "not finite"),
        ([changed(box=BOX * np.inf)], "not finite"),
        ([changed(score=float("nan"))], "not finite"),
        ([changed(score=None)], "NoneType"),
        ([changed(box=[10, 20, 10, 60])], "its box [10.0, 20.0, 10.0, 60.0] is empty"),
        ([changed(box=[40, 20, 10, 60])], "is empty"),
        ([changed(box=[10, 60, 40, 20])], "is empty"),
    ],
)
def test_what_is_no_face_is_one_clear_error(given: object, told: str) -> None:
    with pytest.raises(PluginError) as caught:
        checked(Gives(given)).detect(IMAGE)
    assert caught.value.cause.startswith("the face detector 'x' (plugin 'p') gives ")
    assert told in caught.value.cause
    assert "--detector" in caught.value.remedy


@pytest.mark.parametrize("given", [[], (), [GOOD, GOOD], (GOOD,)])
def test_faces_pass(given: list[Face]) -> None:
    found = checked(Gives(given)).detect(IMAGE)
    assert isinstance(found, list)
    assert [face.score for face in found] == [0.9] * len(given)


def test_plain_lists_become_arrays() -> None:
    plain = Face([10, 20, 40, 60], [[1, 2]] * 5, np.float64(0.5))
    (face,) = checked(Gives([plain])).detect(IMAGE)
    assert face.box.dtype == face.points.dtype == np.float32
    assert face.height_px == 40.0


def test_an_exception_becomes_an_error_with_its_words_and_the_frame_s_size() -> None:
    with pytest.raises(PluginError) as caught:
        checked(Fails()).detect(IMAGE)
    assert "failed on an image of 120x90: IndexError: list index out of range" in (
        caught.value.cause
    )
    assert isinstance(caught.value.__cause__, IndexError)


def test_an_error_meant_for_people_passes() -> None:
    class Honest:
        def detect(self, gray, *, smallest_face_px=None):
            raise SyncToolError("too dark")

    with pytest.raises(SyncToolError, match="too dark") as caught:
        checked(Honest()).detect(IMAGE)
    assert type(caught.value) is SyncToolError


def test_the_size_of_the_smallest_face_is_handed_on() -> None:
    class Asked(Steady):
        def detect(self, gray, *, smallest_face_px=None):
            asked.append(smallest_face_px)
            return []

    asked: list[float | None] = []
    checked(Asked()).detect(IMAGE)
    checked(Asked()).detect(IMAGE, smallest_face_px=33.0)
    assert asked == [None, 33.0]


def test_refind_is_there_only_where_the_detector_has_it() -> None:
    class Near(Steady):
        def __init__(self, given: object) -> None:
            self.given = given

        def refind(self, gray, boxes):
            return self.given

    assert checked(Steady()).refind is None
    (face,) = checked(Near([GOOD])).refind(IMAGE, [BOX])
    np.testing.assert_array_equal(face.box, BOX)
    with pytest.raises(PluginError, match="NoneType in place of a list"):
        checked(Near(None)).refind(IMAGE, [BOX])


@pytest.mark.parametrize("name", ["centerface", "haar", "whole"])
def test_the_built_in_detectors_come_through_the_same_door(name: str) -> None:
    detector = build_detector(name)
    assert isinstance(detector, CheckedDetector)
    assert (detector.refind is not None) == (name == "centerface")
    assert FaceTracker(detector=detector)
    assert len(detector.detect(IMAGE)) == (name == "whole")


# --------------------------------------------------------------------------- commands


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return flicker_video(tmp_path_factory.mktemp("film") / "a.mkv", seconds=1)


@pytest.fixture
def detect(tmp_path: Path, video: Path, capsys) -> Callable[..., tuple[int, list[str]]]:
    """Runs ``synctool detect`` with a detector: the exit code and the lines on stderr."""
    weights = flicker.save_weights(tmp_path / "flicker.safetensors")

    def call(detector: str, *more: object) -> tuple[int, list[str]]:
        given = ["--backbone", "flicker", "--weights", weights, "--device", "cpu"]
        code = main(["detect", *map(str, [video, *given, "--detector", detector, *more])])
        return code, capsys.readouterr().err.splitlines()

    return call


@pytest.mark.parametrize(
    ("name", "code", "cause", "remedy"),
    [
        ("stedy", EXIT_USAGE, "no face detector 'stedy'", "Did you mean steady"),
        ("weighty", EXIT_MISSING, "the face detector weighty", "synctool download eyes"),
        ("unbuilt", EXIT_UNEXPECTED, "'unbuilt' (plugin 'eyes' of eyes-dist 3.1)", "--detector"),
        ("fails", EXIT_UNEXPECTED, "'fails' (plugin 'eyes' of eyes-dist 3.1)", "--detector"),
        ("rubbish", EXIT_UNEXPECTED, "'rubbish' (plugin 'eyes' of eyes-dist 3.1)", "--detector"),
    ],
)
def test_detect_says_what_is_wrong_with_a_detector(detect, name, code, cause, remedy) -> None:
    ended, lines = detect(name)
    assert ended == code
    assert len(lines) == 2, lines
    assert lines[0].startswith("error: ") and cause in lines[0]
    assert remedy in lines[1]


def test_a_failing_detector_costs_no_other_video(detect, video: Path, tmp_path: Path) -> None:
    second = tmp_path / "b.mkv"
    second.write_bytes(video.read_bytes())
    code, lines = detect("fails", second)
    assert code == EXIT_UNEXPECTED
    assert sum("IndexError" in line for line in lines) == 2


def test_preprocess_ends_before_the_work_where_weights_are_missing(video: Path, capsys) -> None:
    assert main(["preprocess", str(video.parent), "out", "--detector", "weighty"]) == EXIT_MISSING
    assert "synctool download eyes" in capsys.readouterr().err
    assert not Path("out").exists()


def test_preprocess_drops_videos_with_the_reason(video: Path) -> None:
    main(["preprocess", str(video.parent), "out", "--detector", "fails", "-j", "1"])
    told = Path("out", "failures.json").read_text("utf-8")
    assert "plugin 'eyes' of eyes-dist 3.1" in told


def test_the_list_of_detectors(capsys, tmp_path: Path) -> None:
    assert main(["detectors"]) == 0
    table = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert table[0] == ["NAME", "LANDMARKS", "WEIGHTS", "LICENCE", "SUMMARY"]
    rows = {row[0]: row[1:4] for row in table[1:]}
    assert list(rows) == sorted(rows)
    assert rows["centerface"] == ["yes", "none", "-"]
    assert rows["haar"] == ["no", "none", "-"]
    assert rows["weighty"] == ["yes", "download", "MIT"]
    (tmp_path / "cache" / "eyes").mkdir(parents=True)
    (tmp_path / "cache" / "eyes" / "eyes.onnx").write_bytes(b"")
    assert main(["detectors", "--json", "-"]) == 0
    listed = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert listed["steady"] == {
        "name": "steady", "landmarks": True, "ready": True, "weights": None, "summary": "made up"
    }  # fmt: skip
    assert listed["weighty"]["ready"]
    assert listed["weighty"]["weights"] == {
        "name": "eyes",
        "licence": "MIT",
        "download": "eyes",
        "path": str(tmp_path / "cache" / "eyes" / "eyes.onnx"),
    }


def test_listing_detectors_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom synctool.cli.app import main\nassert main(['detectors']) == 0\n"
        "print(*({'torch', 'cv2', 'numpy', 'onnxruntime', 'av'} & set(sys.modules)))"
    )
    done = run_python(code, env={"SYNCTOOL_PLUGINS": ""})
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].strip() == ""


def test_weights_of_a_detector_are_a_weights_spec(others: Plugins) -> None:
    wrong = FakePlugin(synctool_face_detectors=[spec(Idle, weights="eyes.onnx")])
    record = others.register(wrong, name="wrong", distribution="wrong-dist")
    others.collect("synctool_face_detectors")
    reason = next(r.reason for r in others.records() if r.name == record.name)
    assert "a WeightsSpec" in reason
