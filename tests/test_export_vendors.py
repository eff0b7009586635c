"""Graphs in the formats of OpenVINO, Core ML, LiteRT and TensorRT.

OpenVINO and LiteRT run here. What Core ML is given is computed from the saved file by PyTorch, and TensorRT
is played by onnxruntime: neither has been run itself.
"""

from __future__ import annotations

import ctypes
import json
import platform
import shutil
import sys
import threading
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

import fake_tensorrt
from fake_plugins import run_python
from synctool.errors import ExportError, MissingError, UntrustedError, UsageError, WeightsError
from synctool.exporting.formats.graph import GraphInput, GraphPart
from synctool.exporting.formats.parts import graph_parts, head_margin
from synctool.exporting.formats.plain_operators import PlainOperators
from synctool.networks.build import construct
from synctool.networks.names import model_spec
from synctool.weights.artefact import digest

pytestmark = pytest.mark.integration

METADATA = {"synctool": json.dumps({"a": 'b<c>&"'}), "licence": "MIT"}
NOTHING = -1e29
TOLERANCE = {"float32": 1e-4, "float16": 1e-2}


def needs(module: str) -> pytest.MarkDecorator:
    """Skip where a tool is not installed."""
    return pytest.mark.skipif(find_spec(module) is None, reason=f"{module} is not installed")


@pytest.fixture(scope="module")
def parts() -> dict[str, GraphPart]:
    """The graphs of a tiny ``fcn-cls`` whose head does something."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        spec, network = construct(model_spec("fcn-cls"), {"embedding": 16, "width": 4})
        for layer in network.head.layers:
            nn.init.normal_(layer.weight, std=0.05)
        for name, values in network.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                nn.init.uniform_(values, 0.5, 1.5)
    assert head_margin(network) == 5
    made = graph_parts(spec, network, parts=("video", "audio", "head"))
    return {part.name: part for part in made}


def inputs(part: GraphPart, *, batch: int, frames: int) -> list[Tensor]:
    """Values of such a shape, three offsets to either side; the first audio frames are missing."""
    lengths = {"batch": batch, "frames": frames, "sounds": frames + 16}
    draw = torch.Generator().manual_seed(frames)
    found = {}
    for entry in part.inputs:
        sizes = []
        for axis in entry.axes:
            factor, _, name = str(axis).rpartition("*")
            sizes.append(axis if isinstance(axis, int) else int(factor or 1) * lengths[name])
        found[entry.name] = torch.rand(sizes, generator=draw)
    if part.name == "head":
        found["inside"] = (torch.arange(frames + 16) >= 7).float().expand(batch, -1).contiguous()
        found["sounds"] = F.normalize(found["sounds"] - 0.5, dim=1) * found["inside"][:, None]
        found["video_features"] = F.normalize(found["video_features"] - 0.5, dim=1)
    return list(found.values())


def difference(part: GraphPart, given: list[Tensor], found: np.ndarray) -> float:
    """The largest one, after making sure of the shape and of where there is no audio."""
    with torch.no_grad():
        expected = part.module(*given).numpy()
    there = expected > NOTHING
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    assert np.array_equal(found > NOTHING, there)
    assert there.all() == (part.name != "head")
    return float(np.abs(found[there] - expected[there]).max())


@pytest.fixture
def onnx_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX files of the same graph are written once: that is what takes the time."""
    from synctool.exporting.formats import onnx_writer as onnx
    from synctool.exporting.formats import openvino_writer as openvino
    from synctool.exporting.formats import tensorrt_writer as tensorrt

    def write(part: GraphPart, path: Path, **more: object) -> None:
        key = (part.name, id(part.module))
        if key not in ONNX:
            onnx.write(part, path, **more)
            ONNX[key] = (path.read_bytes(), part)
        path.write_bytes(ONNX[key][0])

    monkeypatch.setattr(openvino, "write_onnx", write)
    monkeypatch.setattr(tensorrt, "write_onnx", write)


ONNX: dict[tuple[str, int], tuple[bytes, GraphPart]] = {}
SHAPES = ((1, 25), (3, 40), (2, 7), (1, 1))


class Looping(nn.Module):
    """Does something else for every length, in a way that no recording of one run holds."""

    def forward(self, x: Tensor) -> Tensor:
        for step in range(x.shape[1]):
            x = x + step
        return x


class Inverting(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        """With an operator that no format but PyTorch's own has."""
        return torch.linalg.eigvals(x).real


def other_part(module: nn.Module, size: int = 4) -> GraphPart:
    """A graph of one input of any number of rows."""
    entry = GraphInput("video", torch.rand(2, 6, size, size), ("batch", "frames", size, size))
    return GraphPart("video", module.eval(), (entry,), ("video_features",))


# ------------------------------------------------------------------------------ plain operators


def test_plain_operators_give_the_same_numbers() -> None:
    class Network(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x.unfold(1, 3, 1).movedim(-1, 2).unflatten(0, (1, -1))
            z = x.unfold(-1, 2, 2).sum(-1)
            late = F.pad(x.flatten(1), (0, x.shape[1]), value=2.0)
            both = (x > 0.2) | (x < 0.1)
            return torch.cat([t.float().flatten() for t in (y, z, late, both)])

    x = torch.rand(2, 6, 5, 7)
    assert torch.equal(PlainOperators(Network())(x), Network()(x))
    recorded = make_fx(PlainOperators(Network()))(x).code
    assert "unfold" not in recorded
    assert "unfold" in make_fx(Network())(x).code


# ------------------------------------------------------------------------------ OpenVINO


@needs("openvino")
@pytest.mark.usefixtures("onnx_once")
@pytest.mark.parametrize("name", ["video", "head"])  # convolutions, and a mask over the volume
def test_openvino(parts: dict[str, GraphPart], name: str, tmp_path: Path) -> None:
    from synctool.exporting.formats.openvino_writer import write
    from synctool.runtimes.openvino import openvino_module, read

    sizes = {}
    for precision in ("float32", "float16"):
        path = tmp_path / f"{name}-{precision}.openvino"
        write(parts[name], path, precision=precision, metadata=METADATA, clips=None)
        assert {file.name for file in path.iterdir()} == {"model.xml", "model.bin"}
        sizes[precision] = (path / "model.bin").stat().st_size
        graph = read(path, threads=1)
        for batch, frames in SHAPES:
            given = inputs(parts[name], batch=batch, frames=frames)
            (found,) = graph(*(x.numpy() for x in given))
            assert difference(parts[name], given, found) < TOLERANCE[precision]
    assert sizes["float16"] < 0.6 * sizes["float32"]
    model = openvino_module().Core().read_model(path / "model.xml")
    assert {key: model.get_rt_info([key]).astype(str) for key in METADATA} == METADATA
    assert [entry.any_name for entry in model.inputs] == [e.name for e in parts[name].inputs]
    assert [entry.any_name for entry in model.outputs] == list(parts[name].outputs)


@needs("openvino")
@pytest.mark.usefixtures("onnx_once")
def test_openvino_refuses_what_is_damaged(parts: dict[str, GraphPart], tmp_path: Path) -> None:
    from synctool.exporting.formats.openvino_writer import write
    from synctool.runtimes.openvino import read

    path = tmp_path / "audio.openvino"
    write(parts["audio"], path, precision="float32", metadata={}, clips=None)
    shutil.copytree(path, tmp_path / "cut.openvino")
    (tmp_path / "cut.openvino" / "model.bin").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"cut\.openvino cannot be read by OpenVINO"):
        read(tmp_path / "cut.openvino", threads=1)
    (path / "model.xml").write_text("<net")
    with pytest.raises(WeightsError, match=r"audio\.openvino cannot be read by OpenVINO"):
        read(path, threads=1)


@needs("openvino")
def test_openvino_names_the_operator_that_it_has_no_form_of(tmp_path: Path) -> None:
    from synctool.exporting.formats.openvino_writer import write

    with pytest.raises(ExportError, match=r"graph video .*eig"):
        write(other_part(Inverting()), tmp_path / "x", precision="float32", metadata={}, clips=None)


@needs("openvino")
@pytest.mark.skipif(sys.platform != "linux", reason="sigaltstack is asked as Linux has it")
def test_openvino_leaves_room_to_handle_signals() -> None:
    from synctool.runtimes import openvino

    def size() -> int:
        now = openvino._SignalStack()
        ctypes.CDLL(None).sigaltstack(None, ctypes.byref(now))
        return now.size

    def small_one() -> None:
        memory = ctypes.create_string_buffer(11_568)
        small = openvino._SignalStack(ctypes.addressof(memory), 0, 11_568)
        if ctypes.CDLL(None).sigaltstack(ctypes.byref(small), None) != 0:
            return
        sizes.append(size())
        openvino.room_for_signals()
        sizes.append(size())
        openvino.room_for_signals()
        sizes.append(size())

    sizes: list[int] = []
    thread = threading.Thread(target=small_one)
    thread.start()
    thread.join()
    if not sizes:
        pytest.skip("Linux refuses so small a stack in a process that has used AMX")
    assert sizes == [11_568, 1 << 16, 1 << 16]


@needs("openvino")
def test_openvino_tells_nobody() -> None:
    """Its import would send a message; the package that sends it stays out, and is there for others."""
    done = run_python(
        "import sys, socket\n"
        "def connect(*a): raise SystemExit('it went to the network')\n"
        "socket.socket.connect = socket.getaddrinfo = connect\n"
        "from synctool.runtimes.openvino import openvino_module\n"
        "openvino = openvino_module()\n"
        "assert openvino_module() is openvino\n"
        "assert not [m for m in sys.modules if m.startswith('openvino_telemetry')]\n"
        "openvino.Core()\n"
    )
    assert done.returncode == 0, done.stderr


# ------------------------------------------------------------------------------ Core ML


@needs("coremltools")
@pytest.mark.parametrize(
    ("name", "precision"), [("video", "float16"), ("audio", "float32"), ("head", "float32")]
)
def test_coreml(parts: dict[str, GraphPart], name: str, precision: str, tmp_path: Path) -> None:
    from mil_evaluation import evaluate
    from synctool.exporting.formats.coreml_writer import LARGEST_BATCH, LONGEST, write

    part = parts[name]
    path = tmp_path / f"{name}.mlpackage"
    write(part, path, precision=precision, metadata=METADATA, clips=None)
    for batch, frames in SHAPES:
        given = inputs(part, batch=batch, frames=frames)
        told = {entry.name: x.numpy() for entry, x in zip(part.inputs, given)}
        (found,) = evaluate(path, told).values()
        assert difference(part, given, found) < TOLERANCE[precision]

    import coremltools

    description = coremltools.utils.load_spec(str(path)).description
    kept = description.metadata.userDefined
    assert {key: kept[key] for key in METADATA} == METADATA
    assert [entry.name for entry in description.output] == list(part.outputs)
    for entry, written in zip(part.inputs, description.input, strict=True):
        assert written.name == entry.name
        ranges = written.type.multiArrayType.shapeRange.sizeRanges
        for axis, (low, high) in zip(entry.axes, ((r.lowerBound, r.upperBound) for r in ranges)):
            factor = 4 if str(axis).startswith("4*") else 1
            most = LARGEST_BATCH if axis == "batch" else factor * LONGEST
            assert (low, high) == ((axis, axis) if isinstance(axis, int) else (factor, most))


@needs("coremltools")
def test_coreml_refuses_what_a_recording_does_not_hold(tmp_path: Path) -> None:
    from synctool.exporting.formats.coreml_writer import write

    with pytest.raises(ExportError, match="depends on the length"):
        write(other_part(Looping()), tmp_path / "x", precision="float32", metadata={}, clips=None)


@needs("coremltools")
def test_coreml_names_the_operator_that_it_has_no_form_of(tmp_path: Path) -> None:
    from synctool.exporting.formats.coreml_writer import write

    with pytest.raises(ExportError, match=r"graph video .*eig"):
        write(other_part(Inverting()), tmp_path / "x", precision="float32", metadata={}, clips=None)


def test_coreml_is_for_macs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from synctool.runtimes.coreml import read

    monkeypatch.setattr(platform, "system", lambda: "Linux")
    with pytest.raises(MissingError, match="Apple's systems only"):
        read(tmp_path / "x.mlpackage", threads=1)


def test_coreml_calls_the_model_by_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The glue alone: a model that behaves as coremltools' documentation says."""
    from synctool.runtimes.coreml import read

    class Model:
        def __init__(self, path: str, *, compute_units: str) -> None:
            assert compute_units == "cpu"
            if not Path(path).exists():
                raise RuntimeError("no such model")

        def get_spec(self) -> SimpleNamespace:
            ours = {"input": ("sounds", "inside"), "output": ("sum", "difference")}
            entries = {k: [SimpleNamespace(name=n) for n in v] for k, v in ours.items()}
            return SimpleNamespace(description=SimpleNamespace(**entries))

        def predict(self, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            a, b = given["sounds"], given["inside"]
            assert a.dtype == b.dtype == np.float32
            return {"difference": a - b, "sum": (a + b).astype(np.float16)}

    tool = SimpleNamespace(
        models=SimpleNamespace(MLModel=Model), ComputeUnit=SimpleNamespace(CPU_ONLY="cpu")
    )
    monkeypatch.setitem(sys.modules, "coremltools", tool)
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    package = tmp_path / "head.mlpackage"
    with pytest.raises(MissingError, match="is not there"):
        read(package, threads=1)
    package.mkdir()
    (package / "Manifest.json").write_text("{}")
    with pytest.raises(UntrustedError):
        read(package, threads=1)
    total, less = read(package, threads=1, trust=digest(package))(
        np.ones((1, 2)), np.full((1, 2), 3.0)
    )
    assert total.tolist() == [[4.0, 4.0]] and total.dtype == np.float32
    assert less.tolist() == [[-2.0, -2.0]]


# ------------------------------------------------------------------------------ LiteRT


@needs("litert_torch")
@pytest.mark.parametrize("name", ["video", "head"])  # convolutions, and a mask over the volume
def test_tflite(parts: dict[str, GraphPart], name: str, tmp_path: Path, capfd) -> None:
    from ai_edge_litert import schema_py_generated as schema

    from synctool.exporting.formats.tflite_writer import write
    from synctool.runtimes.tflite import read

    part = parts[name]
    sizes = {}
    for precision in ("float32", "float16"):
        path = tmp_path / f"{precision}.tflite"
        axes = write(part, path, precision=precision, metadata=METADATA, clips=None)
        assert axes == {e.name: (1, *e.example.shape[1:]) for e in part.inputs}
        sizes[precision] = path.stat().st_size
        graph = read(path, threads=1, trust=digest(path))
        given = inputs(part, batch=2, frames=25)
        if part.name == "head":
            given = [e.example for e in part.inputs]
            given[1] = given[1].clone()
            given[1][:, :7] = 0
        (found,) = graph(*(x.numpy() for x in given))
        assert difference(part, given, found) < TOLERANCE[precision]
        with pytest.raises(UsageError, match=f"takes {part.inputs[0].name} of"):
            graph(*(x.numpy()[..., 1:] for x in given))
    assert sizes["float16"] < 0.85 * sizes["float32"]
    model = schema.ModelT.InitFromPackedBuf(bytearray(path.read_bytes()), 0)
    kept = {m.name.decode(): bytes(model.buffers[m.buffer].data).decode() for m in model.metadata}
    assert {key: kept[key] for key in METADATA} == METADATA
    said = capfd.readouterr()
    assert said.out == said.err == ""


@needs("litert_torch")
def test_tflite_names_the_operator_that_it_has_no_form_of(tmp_path: Path) -> None:
    from synctool.exporting.formats.tflite_writer import write

    with pytest.raises(ExportError, match=r"graph video .*eig"):
        write(other_part(Inverting()), tmp_path / "x", precision="float32", metadata={}, clips=None)


@needs("ai_edge_litert")
def test_tflite_refuses_what_is_damaged(tmp_path: Path) -> None:
    from synctool.runtimes.tflite import read

    (tmp_path / "x.tflite").write_bytes(b"TFL3" * 8)
    with pytest.raises(WeightsError, match=r"x\.tflite cannot be read by LiteRT"):
        read(tmp_path / "x.tflite", threads=1, trust=digest(tmp_path / "x.tflite"))


# ------------------------------------------------------------------------------ TensorRT


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that seems to have an NVIDIA card; its memory is this machine's."""
    from synctool.exporting.formats import tensorrt_writer as writing
    from synctool.runtimes import tensorrt as running

    stream = SimpleNamespace(cuda_stream=0, synchronize=lambda: None)
    for module in (writing, running):
        monkeypatch.setattr(module, "tensorrt_module", lambda: fake_tensorrt)
    monkeypatch.setattr(running, "DEVICE", "cpu")
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: stream)


@pytest.mark.usefixtures("card", "onnx_once")
@pytest.mark.parametrize("name", ["video", "head"])
def test_tensorrt(parts: dict[str, GraphPart], name: str, tmp_path: Path) -> None:
    from synctool.exporting.formats.tensorrt_writer import write
    from synctool.runtimes.tensorrt import read

    for precision in ("float32", "float16"):
        path = tmp_path / f"{name}.engine"
        write(parts[name], path, precision=precision, metadata=METADATA, clips=None)
        graph = read(path, threads=1, trust=digest(path))
        for batch, frames in ((3, 40), (1, 1)):
            given = inputs(parts[name], batch=batch, frames=frames)
            (found,) = graph(*(x.numpy() for x in given))
            assert difference(parts[name], given, found) < TOLERANCE[precision]
    with pytest.raises(UsageError, match=r"was not built for \w+ of 17 x"):
        graph(*(x.numpy() for x in inputs(parts[name], batch=17, frames=1)))


@pytest.mark.usefixtures("card", "onnx_once")
def test_tensorrt_tells_what_it_cannot_build(
    parts: dict[str, GraphPart], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from synctool.exporting.formats.tensorrt_writer import write
    from synctool.runtimes.tensorrt import read

    path = tmp_path / "audio.engine"
    more = {"precision": "float32", "metadata": {}, "clips": None}
    with monkeypatch.context() as patch:
        patch.setattr(fake_tensorrt.OnnxParser, "unreadable", "Conv")
        with pytest.raises(ExportError, match="the operator Conv: no importer registered"):
            write(parts["audio"], path, **more)
    monkeypatch.setattr(fake_tensorrt.Builder, "full", True)
    with pytest.raises(ExportError, match="it built no engine"):
        write(parts["audio"], path, **more)
    whole = replace(parts["head"], name="model")
    with pytest.raises(ExportError, match="too large"):
        write(whole, path, **{**more, "precision": "float16"})
    assert not path.exists()
    path.write_bytes(b"something else")
    with pytest.raises(WeightsError, match=r"cannot be read by TensorRT 11\.4\.0"):
        read(path, threads=1, trust=digest(path))


def test_tensorrt_needs_a_card(
    parts: dict[str, GraphPart], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from synctool.exporting.formats.tensorrt_writer import write
    from synctool.runtimes.tensorrt import read

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    path = tmp_path / "audio.engine"
    with pytest.raises(MissingError, match="needs an NVIDIA card"):
        write(parts["audio"], path, precision="float32", metadata={}, clips=None)
    with pytest.raises(MissingError, match="needs an NVIDIA card"):
        read(path, threads=1)
