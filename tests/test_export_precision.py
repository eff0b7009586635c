"""ONNX files made smaller: how much, what it costs, and what must not change."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from synctool.backbones.fcn_cls import mel_encoder  # noqa: E402
from synctool.errors import ExportError  # noqa: E402
from synctool.exporting.formats.onnx_precision import (  # noqa: E402
    quantize_dynamic,
    quantize_static,
    to_float16_weights,
)

WIDTH = 64
AXES_IN = ["batch", 8, "frames"]
AXES_OUT = ["batch", 16, "frames"]
RNG = np.random.default_rng(0)
START = RNG.bit_generator.state


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Every test draws the same numbers, in whatever order they run."""
    RNG.bit_generator.state = START


def half(*shape: int) -> np.ndarray:
    """Weights that are float16 numbers."""
    scale = 1 / np.sqrt(np.prod(shape[1:]))
    return (RNG.standard_normal(shape) * scale).astype(np.float16).astype(np.float32)


def spread(*shape: int) -> np.ndarray:
    return RNG.uniform(0.5, 1.5, shape).astype(np.float16).astype(np.float32)


def encoder() -> onnx.ModelProto:
    """Convolutions along time with a norm whose input is asked for its shape, a residual and a product."""
    weights = {
        "first": half(WIDTH, 8, 3),
        "scale": spread(WIDTH),
        "shift": half(WIDTH, 1)[:, 0],
        "mean": half(WIDTH, 1)[:, 0],
        "var": spread(WIDTH),
        "second": half(WIDTH, WIDTH, 3),
        "bias": half(WIDTH, 1)[:, 0],
        "last": half(WIDTH, 16),
    }
    pads = {"pads": [1, 1]}
    nodes = [
        helper.make_node("Conv", ["video", "first"], ["a"], **pads),
        helper.make_node("Shape", ["a"], ["size"]),
        helper.make_node(
            "BatchNormalization", ["a", "scale", "shift", "mean", "var"], ["b"], name="norm"
        ),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("Conv", ["c", "second", "bias"], ["d"], **pads),
        helper.make_node("Add", ["c", "d"], ["e"]),
        helper.make_node("Reshape", ["e", "size"], ["f"]),
        helper.make_node("Transpose", ["f"], ["g"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["g", "last"], ["h"]),
        helper.make_node("Transpose", ["h"], ["video_features"], perm=[0, 2, 1]),
    ]
    return model_of(nodes, weights, {"video": AXES_IN}, {"video_features": AXES_OUT})


def model_of(nodes: list, weights: dict, inputs: dict, outputs: dict) -> onnx.ModelProto:
    def infos(entries: dict) -> list:
        return [helper.make_tensor_value_info(k, TensorProto.FLOAT, v) for k, v in entries.items()]

    kept = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "video", infos(inputs), infos(outputs), kept)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    helper.set_model_props(model, {"synctool": '{"fps": 25}', "licence": "MIT"})
    onnx.checker.check_model(model)
    return model


def clip(frames: int, batch: int = 1) -> np.ndarray:
    return RNG.standard_normal((batch, 8, frames)).astype(np.float32)


def clips() -> list[tuple[np.ndarray, ...]]:
    return [(clip(frames),) for frames in (30, 17, 50)]


def run(path: Path, *inputs: np.ndarray) -> np.ndarray:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]
    return session.run(None, dict(zip(names, inputs)))[0]


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.ravel().astype(float), b.ravel().astype(float)
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def reduced(path: Path, how: str) -> None:
    if how == "float16":
        to_float16_weights(path)
    elif how == "dynamic":
        quantize_dynamic(path)
    else:
        quantize_static(path, clips())


def operators(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(path).graph.node]


def weights_of(path: Path) -> dict[str, np.ndarray]:
    return {w.name: numpy_helper.to_array(w) for w in onnx.load(path).graph.initializer}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "video.onnx"
    onnx.save(encoder(), file)
    return file


# ---------------------------------------------------------------------------------------- all three


@pytest.mark.parametrize(
    ("how", "share", "like"),
    [("float16", 0.6, 1.0), ("static", 0.5, 0.9995), ("dynamic", 0.4, 0.9995)],
)
def test_the_file_shrinks_and_answers_the_same_for_any_length(
    how: str, share: float, like: float, path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    size = path.stat().st_size
    wanted = {n: (x := clip(n, b), run(path, x)) for n, b in ((1, 1), (7, 3), (40, 1))}
    handlers = list(logging.root.handlers)
    reduced(path, how)
    assert path.stat().st_size < share * size
    for x, answer in wanted.values():
        got = run(path, x)
        assert got.shape == answer.shape and got.dtype == np.float32
        assert cosine(got, answer) >= like - 1e-9
    assert capfd.readouterr() == ("", ""), "it is done quietly"
    assert logging.root.handlers == handlers
    assert [p.name for p in path.parent.iterdir()] == ["video.onnx"]


@pytest.mark.parametrize("how", ["float16", "static", "dynamic"])
def test_texts_names_and_free_lengths_stay(how: str, path: Path) -> None:
    before = onnx.load(path)
    reduced(path, how)
    after = onnx.load(path)
    onnx.checker.check_model(after)
    assert {p.key: p.value for p in after.metadata_props} == {
        "synctool": '{"fps": 25}',
        "licence": "MIT",
    }
    assert list(after.graph.input) == list(before.graph.input)
    assert list(after.graph.output) == list(before.graph.output)
    assert after.graph.name == "video"
    assert after.ir_version == 8
    assert [(o.domain, o.version) for o in after.opset_import] == [("", 18)]


# ------------------------------------------------------------------------------------------- 16 bits


def test_weights_that_are_float16_numbers_come_back_to_the_last_bit(path: Path) -> None:
    x = clip(30)
    wanted = run(path, x)
    to_float16_weights(path)
    assert np.array_equal(run(path, x), wanted)
    kinds = {name: w.dtype for name, w in weights_of(path).items()}
    assert kinds["first.float16"] == kinds["second.float16"] == np.float16
    assert kinds["scale"] == kinds["bias"] == np.float32, "small ones weigh nothing"
    once = path.read_bytes()
    to_float16_weights(path)
    assert path.read_bytes() == once, "there is nothing left to do"


def test_other_weights_are_rounded_and_those_out_of_range_stay(tmp_path: Path) -> None:
    weights = {
        "plain": RNG.standard_normal((64, 64)).astype(np.float32),
        "large": (RNG.standard_normal((64, 64)) * 1e5).astype(np.float32),
        "small": (RNG.standard_normal((64, 64)) * 1e-7).astype(np.float32),
    }
    nodes = [helper.make_node("MatMul", ["x", name], [f"y_{name}"]) for name in weights]
    outputs = {f"y_{name}": ["batch", 64] for name in weights}
    path = tmp_path / "three.onnx"
    onnx.save(model_of(nodes, weights, {"x": ["batch", 64]}, outputs), path)
    to_float16_weights(path)
    kept = weights_of(path)
    assert np.array_equal(kept["large"], weights["large"])
    assert np.array_equal(kept["small"], weights["small"])
    worst = np.abs(kept["plain.float16"].astype(np.float32) / weights["plain"] - 1).max()
    assert 0 < worst <= 2.0**-10


# -------------------------------------------------------------------------------------------- 8 bits


def test_static_ranges_cover_the_clips_and_norms_are_folded_first(path: Path) -> None:
    quantize_static(path, clips())
    kept = weights_of(path)
    whole = [w for name, w in kept.items() if w.dtype == np.int8 and w.ndim > 1]
    assert sorted(w.shape for w in whole) == [(64, 8, 3), (64, 16), (64, 64, 3)]
    assert max(np.abs(w.astype(int)).max() for w in whole) <= 64, "7 bits, for want of VNNI"
    per_channel = [w for name, w in kept.items() if name.endswith("_scale") and w.size == WIDTH]
    assert len(per_channel) >= 2
    found = operators(path)
    assert "BatchNormalization" not in found
    assert "Relu" not in found, "the ranges cut off what lies below zero"


def test_louder_clips_give_wider_ranges(path: Path, tmp_path: Path) -> None:
    plain, other = tmp_path / "plain.onnx", tmp_path / "loud.onnx"
    for copy in (plain, other):
        copy.write_bytes(path.read_bytes())
    quantize_static(path, clips())
    quantize_static(other, [*clips(), (100 * clip(20),)])
    loud = 100 * clip(25)
    wanted = run(plain, loud)
    assert cosine(run(other, loud), wanted) > 0.99 > cosine(run(path, loud), wanted)


def test_dynamic_ranges_follow_the_input(path: Path) -> None:
    inputs = [clip(30), 100 * clip(30)]
    wanted = [run(path, x) for x in inputs]
    quantize_dynamic(path)
    assert all(cosine(run(path, x), y) > 0.999 for x, y in zip(inputs, wanted))
    found = operators(path)
    assert (found.count("ConvInteger"), found.count("MatMulInteger")) == (2, 1)
    whole = [w for w in weights_of(path).values() if w.ndim > 1 and w.size > 64]
    assert {w.dtype for w in whole} == {np.dtype(np.uint8)}, "signed ones are slow"


@pytest.mark.parametrize("how", ["static", "dynamic"])
def test_two_layers_may_share_their_weights(how: str, tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Gemm", ["x", "w", "bias"], ["y"], transB=1),
        helper.make_node("Relu", ["y"], ["z"]),
        helper.make_node("Gemm", ["z", "w"], ["video_features"], transB=1),
    ]
    weights = {"w": half(64, 64), "bias": half(64, 1)[:, 0]}
    path = tmp_path / "shared.onnx"
    axes = ["batch", 64]
    onnx.save(model_of(nodes, weights, {"x": axes}, {"video_features": axes}), path)
    x = RNG.standard_normal((20, 64)).astype(np.float32)
    wanted = run(path, x)
    if how == "static":
        quantize_static(path, [(x,)])
    else:
        quantize_dynamic(path)
    assert cosine(run(path, x), wanted) > 0.999


@pytest.mark.parametrize("how", ["static", "dynamic"])
def test_what_follows_the_embeddings_stays_as_it_is(how: str, tmp_path: Path) -> None:
    model = encoder()
    graph = model.graph
    graph.node.append(helper.make_node("Conv", ["video_features", "head"], ["scores"]))
    graph.initializer.append(numpy_helper.from_array(half(31, 16, 1), "head"))
    graph.output.append(
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 31, "frames"])
    )
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    reduced(path, how)
    assert weights_of(path)["head"].dtype == np.float32
    assert weights_of(path).keys() >= {"head"}
    assert "Conv" in operators(path)


@pytest.mark.parametrize("how", ["static", "dynamic"])
def test_a_graph_without_weights_is_refused_and_left_alone(how: str, tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Transpose", ["video"], ["a"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["a", "video"], ["video_features"]),
    ]
    path = tmp_path / "none.onnx"
    outputs = {"video_features": ["batch", "frames", "frames"]}
    onnx.save(model_of(nodes, {}, {"video": AXES_IN}, outputs), path)
    before = path.read_bytes()
    with pytest.raises(ExportError, match=r"graph video .* no Conv, Gemm or MatMul") as refused:
        reduced(path, how)
    assert "--half" in str(refused.value.remedy)
    assert path.read_bytes() == before


def test_clips_that_do_not_fit_are_said_and_the_file_is_left_alone(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(ExportError, match="graph video"):
        quantize_static(path, [(np.zeros((1, 5, 9), np.float32),)])
    with pytest.raises(ValueError, match="no clips"):
        quantize_static(path, [])
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["video.onnx"]


# ------------------------------------------------------------------------------------- a real encoder


@pytest.fixture(scope="module")
def mel(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small audio encoder, its weights and norms float16 numbers, in all precisions."""
    pytest.importorskip("onnxscript")
    import torch

    from synctool.exporting.formats.graph import GraphInput, GraphPart
    from synctool.exporting.formats.onnx_writer import write

    torch.manual_seed(0)
    network = mel_encoder(embedding=64, width=8).eval()
    with torch.no_grad():
        for norm in (m for m in network.modules() if hasattr(m, "running_var")):
            for value in (norm.weight, norm.running_var):
                value.copy_(torch.rand_like(value) + 0.5)
        for value in network.state_dict().values():
            if value.is_floating_point():
                value.copy_(value.half().float())
    entry = GraphInput("audio", torch.rand(2, 1, 64, 40), ("batch", 1, 64, "4*frames"))
    part = GraphPart("audio", network, (entry,), ("audio_features",))
    folder = tmp_path_factory.mktemp("mel")
    audio = [(RNG.standard_normal((1, 1, 64, 4 * n)).astype(np.float32),) for n in (12, 20)]
    files = {}
    for precision in ("float32", "float16"):
        files[precision] = folder / f"{precision}.onnx"
        write(part, files[precision], precision=precision, metadata={})
    for precision in (
        "static",
        "dynamic",
    ):  # as the writer does, without recording the network again
        files[precision] = folder / f"{precision}.onnx"
        files[precision].write_bytes(files["float32"].read_bytes())
    quantize_static(files["static"], audio)
    quantize_dynamic(files["dynamic"])
    return files


def test_a_real_encoder_is_exact_in_16_bits_although_its_norms_are_folded(
    mel: dict[str, Path],
) -> None:
    x = RNG.standard_normal((2, 1, 64, 60)).astype(np.float32)
    assert np.array_equal(run(mel["float16"], x), run(mel["float32"], x))
    assert mel["float16"].stat().st_size < 0.58 * mel["float32"].stat().st_size


@pytest.mark.parametrize("precision", ["static", "dynamic"])
def test_a_real_encoder_in_8_bits(precision: str, mel: dict[str, Path]) -> None:
    for frames in (1, 15, 33):
        x = RNG.standard_normal((1, 1, 64, 4 * frames)).astype(np.float32)
        got, wanted = run(mel[precision], x), run(mel["float32"], x)
        assert got.shape == wanted.shape == (1, 64, frames)
        assert cosine(got, wanted) > 0.998
    assert mel[precision].stat().st_size < 0.45 * mel["float32"].stat().st_size
    assert "BatchNormalization" not in operators(mel[precision]), "all were folded"
