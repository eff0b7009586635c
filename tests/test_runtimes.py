"""What runs a network: PyTorch and exported graphs give the same; the right one is chosen."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import flicker
from fake_plugins import run_python
from synctool.doctor.self_test import scores as made_up_scores
from synctool.errors import MissingError, UsageError, WeightsError
from synctool.exporting.formats.parts import graph_parts, head_margin, head_reach
from synctool.networks import load as models
from synctool.networks.build import build
from synctool.networks.load import load_model
from synctool.plugins import registry
from synctool.plugins.specs import ExporterSpec
from synctool.runtimes.graphs import GraphRuntime, audio_window
from synctool.runtimes.torch import TorchRuntime
from synctool.weights.artefact import Artefact, ArtefactPart, digest, write_manifest

CPU = torch.device("cpu")


class Traced:
    """A graph that is still in PyTorch: what it leaves to the runtime is what is tested."""

    def __init__(self, module: torch.nn.Module) -> None:
        self.module = module

    def __call__(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        with torch.inference_mode():
            return [self.module(*map(torch.from_numpy, inputs)).numpy()]


@pytest.fixture(scope="module", params=["fcn-cls", "fcn-attn", "syncnet"])
def both(request: pytest.FixtureRequest) -> tuple[TorchRuntime, GraphRuntime, int]:
    """One network behind both kinds of runtime, and the size of its embeddings."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        spec, network = build(request.param, **dict(registry.backbones.get(request.param).small))
        for parameter in network.parameters():
            parameter.data += 0.05 * torch.randn_like(parameter)  # no layer idle
    network.eval().requires_grad_(False)
    parts = graph_parts(spec, network, parts=("video", "audio", "head"))
    graphs = {part.name: Traced(part.module) for part in parts}
    margin, reach = head_margin(network), head_reach(network)
    graph = GraphRuntime(name="traced", margin=margin, reach=reach, **graphs)
    return TorchRuntime(network, CPU), graph, spec.embedding_size


@pytest.mark.parametrize(
    ("length", "frames", "max_offset", "lead"),
    [
        (40, 30, 5, 4),
        (9, 30, 15, 0),
        (100, 7, 3, 60),
        (30, 30, 2, -8),
        (5, 4, 15, 40),
        (3, 1, 1, 1),
    ],
)
def test_windows_are_cut_as_pytorch_cuts_them(
    both: tuple[TorchRuntime, GraphRuntime, int],
    length: int,
    frames: int,
    max_offset: int,
    lead: int,
) -> None:
    network, graphs, size = both
    chance = np.random.default_rng(length + frames)
    heard, seen = (
        chance.standard_normal((2, size, n)).astype(np.float32) for n in (length, frames)
    )
    heard /= np.linalg.norm(heard, axis=1, keepdims=True)
    seen /= np.linalg.norm(seen, axis=1, keepdims=True)
    want, got = (
        runtime.score(heard, seen, max_offset=max_offset, audio_lead=lead)
        for runtime in (network, graphs)
    )
    assert got.shape == want.shape == (2, 2 * max_offset + 1, frames)
    assert got.dtype == want.dtype == np.float32
    assert (np.isneginf(got) == np.isneginf(want)).all()
    inside = np.isfinite(want)
    np.testing.assert_allclose(got[inside], want[inside], atol=2e-5, rtol=1e-5)


def test_audio_beyond_the_ends_are_marked() -> None:
    heard = np.arange(1, 6, dtype=np.float32)[None, None]
    audio, inside = audio_window(heard, 2, rows=3, audio_lead=1)
    assert audio[0, 0].tolist() == [0, 0, 1, 2, 3, 4, 5, 0]
    assert inside[0].tolist() == [0, 0, 1, 1, 1, 1, 1, 0]
    audio, inside = audio_window(heard, 2, rows=1, audio_lead=90)
    assert not audio.any() and not inside.any()


def test_threads_of_pytorch_can_be_set_and_those_of_graphs_stay() -> None:
    network = TorchRuntime(flicker.Flicker(), CPU)
    before = network.threads
    try:
        network.threads = 1
        assert torch.get_num_threads() == 1
    finally:
        network.threads = before


# ------------------------------------------------------------------------------- which one is taken


def read_flicker(path: Path, *, threads: int) -> Callable[..., Sequence[np.ndarray]]:
    """A graph of the format ``fake``: its file names the part."""
    network = flicker.Flicker()
    if path.read_text() == "damaged":
        raise WeightsError("the graph is damaged")
    encode = network.encode_video if path.stem == "video" else network.encode_audio
    return Traced(_Module(encode))


class _Module(torch.nn.Module):
    def __init__(self, encode: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.encode = encode

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return self.encode(*inputs)


FORMAT = ExporterSpec(
    name="fake",
    writer="test_runtimes:read_flicker",
    reader="test_runtimes:read_flicker",
    summary="nothing but names",
    suffix=".fake",
    data_only=True,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model exported to the format ``fake``."""
    return exported(tmp_path / "artefact")


def exported(place: Path, **facts: object) -> Path:
    place.mkdir()
    parts = {}
    for name in ("video", "audio", "head"):
        path = place / f"{name}.fake"
        path.write_text(name)
        parts[name] = ArtefactPart(path.name, digest(path), 5, {"x": ("batch", "frames")}, (name,))
    spec = flicker.SPEC
    artefact = Artefact(
        format="fake",
        precision="float32",
        backbone="flicker",
        weights="flicker sha256:0",
        embedding_size=spec.embedding_size,
        receptive_field_frames=spec.receptive_field_frames,
        audio_receptive_field_frames=spec.audio_receptive_field_frames,
        bounded=True,
        video=spec.video,
        audio=spec.audio,
        margin=0,
        reach=16,
        zero_frames=0.25,
        calibration={"intercept": 1.0, "log1p_t_stat": 2.0, "margin": 0.5, "log_frames": 0.1},
        licence="MIT",
        parts=parts,
    )
    write_manifest(replace(artefact, **facts), place)
    return place


@pytest.fixture(autouse=True)
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    known = registry.exporters.get
    monkeypatch.setattr(
        registry.exporters, "get", lambda name: FORMAT if name == "fake" else known(name)
    )


def test_a_folder_is_opened_with_all_that_its_manifest_says(folder: Path) -> None:
    with flicker.installed():
        model = load_model("flicker", weights=folder)
    assert model.runtime.name == "fake" and model.runtime.device == "cpu"
    assert model.spec.full_name == "flicker" and model.spec.video == flicker.SPEC.video
    assert model.zero_frames == 0.25 and model.calibration.log1p_t_stat == 2.0
    assert model.weights == "flicker sha256:0 (fake float32)"
    assert load_model("flicker", weights=folder / "synctool.json").weights == model.weights
    with pytest.raises(UsageError, match="takes a PyTorch network"):
        _ = model.network


def test_a_folder_needs_no_plugin(folder: Path) -> None:
    assert load_model("flicker", weights=folder).spec.embedding_size == flicker.SPEC.embedding_size


def test_a_folder_of_another_backbone(folder: Path) -> None:
    with pytest.raises(WeightsError, match="holds weights of flicker, not of fcn-cls") as told:
        load_model(weights=folder)
    assert "--backbone flicker" in told.value.remedy


def test_a_folder_for_another_runtime_or_device(folder: Path) -> None:
    with pytest.raises(UsageError, match="exported to fake, not for torch"):
        load_model("flicker", weights=folder, runtime="torch")
    with pytest.raises(UsageError, match="run on the CPU"):
        load_model("flicker", weights=folder, device="cuda")


def test_damaged_graphs_and_formats_that_are_not_here(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "audio.fake").write_text("damaged")
    with pytest.raises(WeightsError, match="checksum differs"):
        load_model("flicker", weights=folder)
    monkeypatch.setattr(
        registry.exporters, "get", lambda name: replace(FORMAT, runs_with=("no_such",))
    )
    with pytest.raises(MissingError, match="no_such"):
        load_model("flicker", weights=folder)
    monkeypatch.setattr(registry.exporters, "get", lambda name: replace(FORMAT, runs_on=("Plan9",)))
    with pytest.raises(UsageError, match="runs on Plan9 only"):
        load_model("flicker", weights=folder)
    monkeypatch.setattr(registry.exporters, "get", lambda name: replace(FORMAT, reader=""))
    with pytest.raises(UsageError, match="nothing runs fake from Python"):
        load_model("flicker", weights=folder)


def test_a_runtime_without_an_export(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no export format 'onyx'") as told:
        load_model(runtime="onyx")
    assert "onnx" in told.value.remedy and "auto and torch" in told.value.remedy
    with pytest.raises(MissingError, match="syncnet is not exported to onnx here") as missing:
        load_model("syncnet", runtime="onnx")
    assert "synctool export --backbone syncnet --format onnx" in missing.value.remedy
    weights = flicker.save_weights(tmp_path / "w.safetensors")
    with flicker.installed(), pytest.raises(UsageError, match="no folder of a model") as wrong:
        load_model("flicker", weights=weights, runtime="onnx")
    assert f"--weights {weights}" in wrong.value.remedy


def test_weights_of_ones_own_run_in_pytorch(tmp_path: Path) -> None:
    weights = flicker.save_weights(tmp_path / "w.safetensors")
    with flicker.installed():
        assert load_model("flicker", weights=weights).runtime.name == "torch"


def test_graphs_of_one_length_cannot_measure_videos(tmp_path: Path) -> None:
    folder = exported(tmp_path / "artefact")
    data = json.loads((folder / "synctool.json").read_text())
    data["parts"]["video"]["inputs"] = {"video": ["batch", 1, 25, 16, 16]}
    (folder / "synctool.json").write_text(json.dumps(data))
    with pytest.raises(UsageError, match="windows of one length"):
        load_model("flicker", weights=folder)


# ------------------------------------------------------------------------------- the default model


def test_the_default_model_runs_exported_on_a_cpu_and_in_pytorch_when_asked() -> None:
    exported, network = load_model(device="cpu"), load_model(device="cpu", runtime="torch")
    assert (exported.runtime.name, network.runtime.name) == ("onnx", "torch")
    assert exported.weights == network.weights
    assert exported.calibration == network.calibration
    assert exported.zero_frames == network.zero_frames
    assert exported.spec.video == network.spec.video
    assert exported.spec.audio == network.spec.audio
    for field in ("embedding_size", "receptive_field_frames", "audio_receptive_field_frames"):
        assert getattr(exported.spec, field) == getattr(network.spec, field)


def test_a_graphics_card_is_left_to_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "_graphics_card", lambda: True)
    assert load_model().runtime.name == "torch"
    assert load_model(runtime="onnx").runtime.name == "onnx"
    assert load_model(device="cpu").runtime.name == "onnx"


def test_without_onnxruntime_pytorch_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    known = registry.exporters.get("onnx")
    lacking = replace(known, runs_with=("no_such.onnxruntime",))
    monkeypatch.setattr(registry.exporters, "get", lambda name: lacking)
    assert load_model(device="cpu").runtime.name == "torch"
    with pytest.raises(MissingError, match="no_such"):
        load_model(runtime="onnx")


def test_onnxruntime_keeps_and_sends_nothing(tmp_path: Path) -> None:
    """Its telemetry, which notes an identifier in the cache folder as soon as it is loaded, stays off."""
    code = (
        "import os\n"
        "os.environ.pop('ORT_DISABLE_TELEMETRY', None)\n"
        "from synctool.faces.centerface import CenterFaceDetector\n"
        "from synctool.networks.load import load_model\n"
        "CenterFaceDetector(), load_model(runtime='onnx')\n"
        "print(os.environ['ORT_DISABLE_TELEMETRY'])\n"
    )
    # A machine of continuous integration is left alone by it anyway.
    done = run_python(
        code,
        env={
            "XDG_CACHE_HOME": str(tmp_path),
            "HOME": str(tmp_path),
            "CI": "",
            "GITHUB_ACTIONS": "",
        },
    )
    assert not [path for path in tmp_path.rglob("*") if "onnxruntime" in path.name]
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr


def test_both_runtimes_of_the_default_model_agree() -> None:
    # The exported one computes in 8 bits, so embeddings turn a little.
    exported, network = load_model(device="cpu"), load_model(device="cpu", runtime="torch")
    blocks = np.random.default_rng(3).random((2, 1, 31, 9, 9), np.float32)
    side = network.spec.video.size_px // 9
    video = blocks.repeat(side, 3).repeat(side, 4)
    seen = [model.runtime.encode_video(video) for model in (exported, network)]
    assert (seen[0] * seen[1]).sum(1).min() > 0.98
    scores = [np.array(made_up_scores(model)) for model in (exported, network)]
    assert scores[0].argmax() == scores[1].argmax()
    assert np.abs(scores[0] - scores[1]).max() < 0.05 * np.ptp(scores[1])


_WITHOUT_TORCH = """
import importlib.abc, json, sys

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision", "transformers", "lightning_fabric"):
            raise ImportError(f"{name} is imported")

sys.meta_path.insert(0, Refuse())
from synctool.cli.app import main
code = main(["detect", sys.argv[1], "--detector", "whole", "--json", sys.argv[2], "--html", sys.argv[3]])
print(json.dumps({"code": code, "torch": "torch" in sys.modules}))
"""


@pytest.mark.integration
def test_detect_measures_without_importing_pytorch(tmp_path: Path) -> None:
    video_file = flicker.flicker_video(tmp_path / "film.mkv")
    done = run_python(
        _WITHOUT_TORCH, str(video_file), str(tmp_path / "r.json"), str(tmp_path / "r.html")
    )
    assert json.loads(done.stdout.strip().splitlines()[-1])["torch"] is False
    result = json.loads((tmp_path / "r.json").read_text())
    assert result["runtime"] == "onnx" and result["backbone"] == "fcn-cls"
    assert os.path.getsize(tmp_path / "r.html") > 10_000
