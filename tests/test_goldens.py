"""Results that must not move: videos, a comparison, a training and an export, against recorded numbers.

The records lie in ``goldens/``. Where the libraries and the processor are those that made them, every
number must be the same bit for bit; elsewhere numbers may differ by 1e-3, and a warning says so.
``SYNCTOOL_GOLDENS_EXACT=1`` asks for exactness everywhere. The videos are coded without loss, so that no
encoder moves a number. After a change that is meant to move them: ``python tests/test_goldens.py --write``.
"""

from __future__ import annotations

import csv
import json
import math
import os
import platform
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict
from fractions import Fraction
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
import pytest
import torch

import flicker
import synctool
from fake_samples import talking_sample, write_processed
from synctool.cli.app import main
from videos import Audio, PlacedFace, Video, face_image, frame_times_s, make_video

pytestmark = pytest.mark.integration

GOLDENS = Path(__file__).parent / "goldens"
EXACT, WRITE = "SYNCTOOL_GOLDENS_EXACT", "SYNCTOOL_GOLDENS_WRITE"
TOLERANCE = 5e-3
"""On other processors and libraries: kernels with and without AVX-512 differ by 1e-3 in weak windows."""
LIBRARIES = (
    *("numpy", "scipy", "onnxruntime", "onnx", "av", "opencv-python-headless"),
    *("torch", "onnxscript", "scikit-image"),
)
BUNDLED = Path(synctool.__file__).parent / "weights/bundled/fcn-cls.v7.safetensors"
UNTOLD = {
    *("input", "synctool", "timing_s", "seconds", "memory_mb"),
    *(
        "authenticity",
        "audio_channels",
        "audio_direction",
        "scene",
        "offset_set",
        "ensemble",
        "voiced_share",
    ),
}
"""Keys of results that differ from run to run, or place to place. Those of the second line are in
``test_authenticity.py``, ``test_channels.py`` and ``test_offset_sets.py``."""
RATE = 16_000


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Sums of PyTorch depend on how many threads share them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# --------------------------------------------------------------------------------------- records


def agree(name: str, values: Any) -> None:
    """Compare values with a record, or write it."""
    path, made_with = GOLDENS / f"{name}.json", surroundings()
    values = json.loads(json.dumps(plain(values)))
    if os.environ.get(WRITE) == "1":
        lines = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in values.items()]
        head = json.dumps(made_with, indent=1)
        body = ",\n".join(lines)
        path.write_text(f'{{"made_with": {head},\n"values": {{\n{body}\n}}}}\n', encoding="utf-8")
    golden = json.loads(path.read_text(encoding="utf-8"))
    exact = golden["made_with"] == made_with or os.environ.get(EXACT) == "1"
    if not exact:
        changed = sorted(k for k, v in golden["made_with"].items() if made_with.get(k) != v)
        warnings.warn(f"{name}: compared within {TOLERANCE}; other {changed}", stacklevel=2)
    found = list(differences(golden["values"], values, 0.0 if exact else TOLERANCE))
    assert not found, f"{len(found)} differ from {path.name}: {found[:10]}"


def surroundings() -> dict[str, str]:
    """What numbers depend on beside the code."""
    return {
        **{name: version(name) for name in LIBRARIES},
        "python": ".".join(platform.python_version_tuple()[:2]),
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
    }


def processor() -> str:
    """Name of the processor, as Linux tells it, or what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    told = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model")]
    # Model and name of the first core: several processors of different abilities have one name.
    return " ".join(reversed(told[:2])) or platform.processor()


def plain(value: Any) -> Any:
    """Data for JSON, without ``UNTOLD``."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items() if k not in UNTOLD}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value.item() if isinstance(value, np.generic) else value


def differences(golden: Any, value: Any, tolerance: float, place: str = "") -> Iterator[str]:
    """Where two values differ."""
    if isinstance(golden, dict) and isinstance(value, dict) and golden.keys() == value.keys():
        for key in golden:
            yield from differences(golden[key], value[key], tolerance, f"{place}.{key}")
    elif isinstance(golden, list) and isinstance(value, list) and len(golden) == len(value):
        for i, (one, two) in enumerate(zip(golden, value)):
            yield from differences(one, two, tolerance, f"{place}[{i}]")
    elif isinstance(golden, float) and isinstance(value, float):
        if not math.isclose(golden, value, rel_tol=tolerance / 5, abs_tol=tolerance):
            yield f"{place}: {golden!r}, now {value!r}"
    elif type(golden) is not type(value) or golden != value:
        yield f"{place}: {golden!r}, now {value!r}"


# ---------------------------------------------------------------------------------------- videos


def lossless(
    path: Path, images: list[np.ndarray], samples: np.ndarray, *, fps: float = 25, **more: Any
) -> Path:
    """A video that every encoder codes alike."""
    height, width = images[0].shape[:2]
    h264 = path.suffix == ".mp4"
    video = Video(
        codec="libx264" if h264 else "ffv1",
        fps=fps,
        size=(width, height),
        images=images,
        options={"qp": "0", "preset": "ultrafast", "threads": "1"} if h264 else {"threads": "1"},
    )
    audio = Audio(codec="flac", rate=RATE, layout="mono", samples=samples, **more)
    seconds = float(len(images) / Fraction(fps))
    return make_video(path, seconds=seconds, video=video, audio=[audio])


def opening(seed: int) -> Callable[[Any], Any]:
    """How far a mouth is open, 0..1, by time in seconds."""
    steps = np.random.default_rng(seed).random(200)
    return lambda time_s: np.interp(np.asarray(time_s) * 8 + 20, np.arange(200), steps) ** 2


def voice(seed: int, seconds: float, *, ahead_frames: float = 0.0) -> np.ndarray:
    """Noise as loud as the mouth is open: float32 ``[N]``."""
    time_s = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(seed + 1).standard_normal(len(time_s))
    loud = opening(seed)(time_s + ahead_frames / 25)
    return (0.15 * noise * (loud + 0.02)).astype(np.float32)


def talking(seed: int, time_s: float, *faces: PlacedFace) -> np.ndarray:
    """A frame in which the first face opens its mouth: uint8 ``[224, 224, 3]``."""
    image = face_image((224, 224), *faces, background=90 + 60 * (seed % 2))
    left, right = faces[0].points[3:]
    middle, width = (left + right) / 2, np.linalg.norm(right - left)
    axes = (round(0.5 * width), round(1 + 0.5 * width * float(opening(seed)(time_s))))
    cv2.ellipse(image, np.round(middle).astype(int).tolist(), axes, 0, 0, 360, (60, 20, 25), -1)
    return image


def one_face(path: Path) -> Path:
    """A face in the middle, the audio 5 frames ahead."""
    face = PlacedFace(112, 112, 110)
    images = [talking(1, t, face) for t in frame_times_s(25, 3)]
    return lossless(path.with_suffix(".mkv"), images, voice(1, 3, ahead_frames=5))


def thirty(path: Path) -> Path:
    """30 frames a second of a face that moves and turns, in H.264."""
    times = frame_times_s(30, 3)
    faces = [PlacedFace(100 + 8 * t, 112, 90 + 4 * t, turn_deg=4 * t) for t in times]
    images = [talking(2, t, face) for t, face in zip(times, faces)]
    return lossless(path.with_suffix(".mp4"), images, voice(2, 3, ahead_frames=-3), fps=30)


def two_shots(path: Path) -> Path:
    """A cut from one face to two."""
    alone = [PlacedFace(112, 112, 110)]
    both = [PlacedFace(60, 110, 75), PlacedFace(165, 110, 75, mirrored=True)]
    images = [
        talking(3 + (t >= 1.6), t, *(alone if t < 1.6 else both)) for t in frame_times_s(25, 3.2)
    ]
    return lossless(path.with_suffix(".mkv"), images, voice(3, 3.2))


def late_audio(path: Path) -> Path:
    """The audio track begins after half a second."""
    face = PlacedFace(112, 112, 110)
    images = [talking(5, t, face) for t in frame_times_s(25, 3)]
    return lossless(path.with_suffix(".mkv"), images, voice(5, 2.5), start_s=0.5)


def no_face(path: Path) -> Path:
    """Nobody in view."""
    images = [face_image((224, 224))] * 50
    return lossless(path.with_suffix(".mkv"), images, voice(6, 2))


FACES = {f.__name__: f for f in (one_face, thirty, two_shots, late_audio, no_face)}


def flickering(path: Path, *, ahead: Callable[[float], float], seconds: float, fps: float) -> Path:
    """Light and audio that flicker together, which one network of the tests can read."""
    at, times = flicker.pattern(), frame_times_s(fps, seconds)
    levels = [140 if at(t + 0.5 / fps) else 110 for t in times]
    images = [np.full((64, 64), level, np.uint8) for level in levels]
    samples = flicker.flicker_audio(lambda t: at(t + ahead(t) / 25), seconds)
    return lossless(path.with_suffix(".mkv"), images, samples, fps=fps)


FLICKERS = {
    "ahead": partial(flickering, ahead=lambda _: 2.4, seconds=4, fps=30),
    "edge": partial(flickering, ahead=lambda t: 3.0 if t < 6 else -5.0, seconds=12, fps=25),
    "drift": partial(flickering, ahead=lambda t: 0.25 * t, seconds=12, fps=25),
}


# ----------------------------------------------------------------------------------------- tests


def measured(path: Path, **settings: Any) -> dict[str, Any]:
    """All that ``detect`` says: as its JSON has it, and the numbers in full."""
    result = synctool.detect(path, device="cpu", **settings)
    return {**result.to_dict(), **asdict(result)}


@pytest.mark.parametrize("name", FACES)
def test_videos_with_the_bundled_model(tmp_path: Path, name: str) -> None:
    agree(f"detect-{name}", measured(FACES[name](tmp_path / name)))


def test_a_real_video_with_the_bundled_model(clips: Path) -> None:
    agree("detect-example", measured(clips / "example.avi"))


@pytest.mark.parametrize("name", FLICKERS)
def test_videos_with_a_definite_answer(tmp_path: Path, name: str) -> None:
    path = FLICKERS[name](tmp_path / name)
    weights = flicker.save_weights(tmp_path / "flicker.safetensors")
    with flicker.installed():
        values = measured(path, backbone="flicker", weights=weights, detector="whole")
    agree(f"detect-flicker-{name}", values)


def test_a_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    one_face(tmp_path / "one")
    thirty(tmp_path / "two")
    Path("truth.csv").write_text("path,offset_frames\none.mkv,5\ntwo.mp4,-3\n")
    Path("torch.safetensors").symlink_to(BUNDLED)
    words = [
        *("compare", "one.mkv", "two.mp4", "--backbones", "fcn-cls,fcn-cls=torch.safetensors"),
        *("--shift", "4", "--perturb", "noise:3", "--labels", "truth.csv", "--device", "cpu"),
        *("--json", "compared.json", "--quiet"),
    ]
    assert main(words) == 0
    told = json.loads(Path("compared.json").read_text(encoding="utf-8"))
    metrics = {
        f"{m['backbone']} {m['group']} {m['name']}": [m[k] for k in ("value", "low", "high")]
        for m in told["metrics"]
        if not any(word in m["name"] for word in ("seconds", "memory", "speed", "time"))
    }
    agree(
        "compare",
        {
            **{k: told[k] for k in ("models", "films", "agreement", "reliability")},
            "metrics": metrics,
            **{f"trial {i}": trial for i, trial in enumerate(told["trials"])},
        },
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three steps of a small network, each an epoch of its own."""
    place = tmp_path_factory.mktemp("training")
    processed, out = place / "processed", place / "run"
    processed.mkdir()
    made = [talking_sample(f"k{i}", seed=i, frames=48, speaker=f"s{i % 5}") for i in range(10)]
    write_processed(processed, made)
    split = ["pairs", str(processed), "--val-fraction", "0.2", "--test-fraction", "0"]
    assert main([*split, "--other-speaker", "1", "--quiet"]) == 0
    words = [
        *("train", "--data", str(processed), "--out", str(out), "--device", "cpu"),
        *("--option", "width=8", "--option", "embedding=32", "--window-frames", "16"),
        *("--epochs", "3", "--steps-per-epoch", "1", "--batch-size", "4", "--workers", "0"),
        *("--precision", "float32"),  # bfloat16 depends on what the processor has for it
    ]
    assert main([*words, "--quiet"]) == 0
    return out


def test_a_training(run: Path) -> None:
    with (run / "log.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    kept = [{k: float(v) for k, v in row.items() if v and not k.endswith("_s")} for row in rows]
    agree("train", {f"step {i + 1}": row for i, row in enumerate(kept)})


def test_an_export(run: Path, tmp_path: Path) -> None:
    """The audio encoder and the head, through ONNX Runtime on fixed numbers."""
    report = synctool.export(
        synctool.ExportSettings(
            out=tmp_path / "exported",
            weights=run / "best.safetensors",
            parts=("audio", "head"),
            windows=1,
        )
    )
    assert report.passed
    lengths = {"batch": 1, "frames": 12, "4*frames": 48, "sounds": 60}
    chance, values = np.random.default_rng(0), {}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    for path in sorted((tmp_path / "exported").glob("*.onnx")):
        graph = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        inputs = {}
        for given in graph.get_inputs():
            shape = [lengths.get(n, n) for n in given.shape]
            inputs[given.name] = chance.random(shape, np.float32)
        inputs |= {"inside": np.ones_like(inputs["inside"])} if "inside" in inputs else {}
        for node, output in zip(graph.get_outputs(), graph.run(None, inputs)):
            values[f"{path.stem} {node.name}"] = output.tolist()
    assert len(values) == 2
    agree("export", values)


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        os.environ[WRITE] = "1"
        raise SystemExit(pytest.main([__file__, "-q", "-p", "no:cacheprovider"]))
    raise SystemExit("usage: test_goldens.py --write")
