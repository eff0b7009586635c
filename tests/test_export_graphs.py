"""Networks as exported graphs: the same numbers at any length, and words where it fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from exported_network import METADATA, Shared, lively, onnx_graphs
from synctool.errors import ExportError, MissingError, WeightsError
from synctool.exporting.formats import exported_program_writer as pt2_writer
from synctool.exporting.formats import onnx_writer
from synctool.exporting.formats import torchscript_writer as ts_writer
from synctool.exporting.formats.failures import blocking_operator, explained
from synctool.exporting.formats.graph import GraphInput, GraphPart
from synctool.exporting.formats.parts import OUTSIDE, graph_parts, head_margin, head_reach
from synctool.exporting.formats.quiet import quiet
from synctool.models.correlation import audio_window
from synctool.models.heads import PlainHead
from synctool.networks.build import construct
from synctool.networks.names import model_spec
from synctool.plugins import registry
from synctool.plugins.specs import BackboneSpec
from synctool.runtimes import exported_program as pt2_reader
from synctool.runtimes import onnx as onnx_reader
from synctool.runtimes import torchscript as ts_reader
from synctool.weights.artefact import digest

SPECS = {spec.full_name: spec for spec in registry.backbones.all()}
PARTNERS = {"video": "fcn-mel", "audio": "fcn-mouth"}
LENGTHS = ((1, 1), (2, 2), (1, 9), (1, 40))
"""Batch and frames, the last longer than those that the graphs are recorded with."""
TOLERANCE = 1e-4
WRITERS = {
    "onnx": (onnx_writer.write, onnx_reader.read, ".onnx"),
    "torchscript": (ts_writer.write, ts_reader.read, ".ts"),
    "exported-program": (pt2_writer.write, pt2_reader.read, ".pt2"),
}
MECHANISMS = {
    ("fcn-cls", "video"): "convolutions over space, then over time",
    ("fcn-cls", "audio"): "four steps of bands to a frame",
    ("fcn-cls", "head"): "convolutions over the volume",
    ("fcn-reg", "head"): "positions that end where the audio ends",
    ("fcn-cls-causal", "video"): "a stack of frames and convolutions that look back",
    ("fcn-attn", "video"): "channel gates, attention over time",
    ("fcn-attn", "head"): "attention across the modalities",
    ("syncnet", "video"): "windows of five frames",
    ("syncnet", "audio"): "windows of twenty steps",
    ("syncnet", "head"): "distances as expanded squares",
    ("resnet3d+fcn-mel", "video"): "strides over time made dense by dilation",
    ("fcn-mouth+vggish", "audio"): "bands of its own from the waveform",
    ("fcn-mouth+wav2vec2", "audio"): "a transformer of the Hub, normalised weights and groups",
}
"""One graph of each mechanism is exported; all of them with SYNCTOOL_EVERY_NETWORK=1."""
CHEAPER = {
    "fcn-attn": {"heads": 2, "candidate_reach": 1, "attention_reach": 2},
    "fcn-mouth+wav2vec2": {"audio.layers": 1},
}
"""Options of small networks that are smaller still."""


def graphs() -> list[tuple[str, str]]:
    """One of each mechanism, or those of all registered networks; an encoder is half of a pair."""
    if not os.environ.get("SYNCTOOL_EVERY_NETWORK"):
        return list(MECHANISMS)
    found = []
    for name, spec in SPECS.items():
        other = PARTNERS.get(spec.role)
        whole = {"video": f"{name}+{other}", "audio": f"{other}+{name}"}.get(spec.role, name)
        parts = ("video", "audio", "head") if spec.role == "joint" else (spec.role,)
        found += [(whole, part) for part in parts]
    return found


@cache
def small(name: str, **options: object) -> tuple[BackboneSpec, nn.Module]:
    """A network with nothing left at zero, as ``graph_parts`` takes it."""
    if name == "fcn-cls" and not options:
        return lively()
    torch.manual_seed(5)
    spec = SPECS.get(name) or model_spec(name)
    built, network = construct(spec, {**spec.small, **CHEAPER.get(name, {}), **options})
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(std=0.2)
    return built, network.eval()


def part_of(name: str, part: str, **options: object) -> GraphPart:
    return graph_parts(*small(name, **options), parts=[part])[0]


def inputs_of(part: GraphPart, batch: int, frames: int, *, margin: int = 0) -> list[Tensor]:
    """Values as the graph would get them: the last audio frames are filling."""
    lengths = {"batch": batch, "frames": frames, "sounds": frames + 2 * (margin + 3)}
    generator = torch.Generator().manual_seed(frames)
    found: dict[str, Tensor] = {}
    for entry in part.inputs:
        shape = []
        for axis in entry.axes:
            factor, _, name = str(axis).rpartition("*")
            shape.append(axis if isinstance(axis, int) else int(factor or 1) * lengths[name])
        x = torch.randn(shape, generator=generator)
        found[entry.name] = F.normalize(x, dim=1) if len(shape) == 3 else x.clamp(-2, 2)
    if "inside" in found:
        found["inside"] = torch.ones_like(found["inside"])
        found["inside"][:, -margin - 2 :] = 0
    if "sounds" in found:
        found["sounds"] = found["sounds"] * found["inside"][:, None]
    return list(found.values())


def outputs_of(part: GraphPart, inputs: Sequence[Tensor]) -> list[np.ndarray]:
    with torch.no_grad():
        given = part.module(*inputs)
    return [x.numpy() for x in ((given,) if isinstance(given, Tensor) else given)]


def same(part: GraphPart, graph: Callable[..., Sequence[np.ndarray]], *, margin: int = 0) -> None:
    """The graph gives what the network gives, whatever the batch and the length."""
    for batch, frames in LENGTHS:
        inputs = inputs_of(part, batch, frames, margin=margin)
        wanted = outputs_of(part, inputs)
        got = graph(*(x.numpy() for x in inputs))
        assert len(got) == len(part.outputs) == len(wanted)
        for one, other in zip(got, wanted):
            assert one.dtype == np.float32
            assert one.shape == other.shape, (batch, frames)
            assert other[other > OUTSIDE / 10].std() > 1e-3  # or nothing is shown
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=TOLERANCE)


@pytest.fixture(scope="module")
def heads(shared: Shared) -> dict[str, Path]:
    """The same head in every format."""
    part = part_of("fcn-cls", "head")
    others = [name for name in WRITERS if name != "onnx"]

    def write(folder: Path) -> None:
        for name in others:
            exported(part, folder, format=name)

    folder = shared("heads", write)
    made = {name: folder / f"head{WRITERS[name][2]}" for name in others}
    return {"onnx": onnx_graphs(shared) / "head.onnx", **made}


def exported(part: GraphPart, folder: Path, *, precision: str = "float32", format: str = "onnx"):
    write, read, suffix = WRITERS[format]
    path = folder / f"{part.name}{suffix}"
    write(part, path, precision=precision, metadata=METADATA, clips=None)
    return path, read(path, threads=1, **trusting(format, path))


def trusting(format: str, path: Path) -> dict[str, str]:
    """What the reader of a format that can run code must be told."""
    return {} if format == "onnx" else {"trust": digest(path)}


@pytest.mark.integration
@pytest.mark.parametrize(("name", "graph"), graphs())
def test_a_network_answers_the_same_in_onnxruntime(
    name: str, graph: str, tmp_path: Path, shared: Shared
) -> None:
    part = part_of(name, graph)
    if name == "fcn-cls":
        loaded = onnx_reader.read(onnx_graphs(shared) / f"{graph}.onnx", threads=1)
    else:
        _, loaded = exported(part, tmp_path)
    same(part, loaded, margin=head_margin(small(name)[1]))


def test_every_layer_of_built_in_networks_is_exported_in_one_of_them() -> None:
    """But for what is PyTorch's own layer under another name."""

    def layers(of: str) -> set[type]:
        network = small(of)[1]
        return {type(layer) for layer in network.modules() if not list(layer.children())}

    shown = set().union(*(layers(name) for name in {name for name, _ in MECHANISMS}))
    ours = [name for name, spec in SPECS.items() if spec.factory.startswith("synctool.")]
    missing = {layer.__name__ for name in ours for layer in layers(name) - shown}
    assert missing <= {"HubertSamePadLayer", "LastNorm"}


# ---------------------------------------------------------------------------------- windows


def window_of(network: nn.Module, heard: Tensor, frames: int, offset: int, lead: int):
    audio, inside = audio_window(
        heard, frames, max_offset=offset + head_margin(network), audio_lead=lead
    )
    return audio, inside.float()[None].expand(len(heard), -1)


@pytest.mark.parametrize("name", ["fcn-cls", "fcn-attn", "fcn-reg", "syncnet"])
@pytest.mark.parametrize(
    ("frames", "length", "offset", "lead"),
    [(1, 1, 3, 0), (9, 30, 15, 8), (40, 12, 20, -3), (5, 6, 4, 40), (7, 90, 0, 33)],
)
def test_a_window_scores_as_the_whole_audio_does(
    name: str, frames: int, length: int, offset: int, lead: int
) -> None:
    spec, network = small(name)
    torch.manual_seed(2)
    heard = F.normalize(torch.randn(2, spec.embedding_size, length), dim=1)
    seen = F.normalize(torch.randn(2, spec.embedding_size, frames), dim=1)
    with torch.no_grad():
        whole = network.score(heard, seen, max_offset=offset, audio_lead=lead)
        audio, inside = window_of(network, heard, frames, offset, lead)
        cut = network.score_window(audio, inside, seen, outside=OUTSIDE)
    assert whole.shape == cut.shape == (2, 2 * offset + 1, frames)
    here = whole.isfinite()
    assert (cut[~here] == OUTSIDE).all()
    torch.testing.assert_close(cut[here], whole[here], rtol=1e-5, atol=1e-5)


def test_the_regressor_gives_the_answers_of_regress_in_a_window() -> None:
    """Its line of time ends where the audio ends, in the window as well."""
    _, network = small("fcn-reg")
    heard = F.normalize(torch.randn(2, 16, 25), dim=1)
    seen = F.normalize(torch.randn(2, 16, 20), dim=1)
    with torch.no_grad():
        answers = network.regress(heard, seen, audio_lead=4)
        scores = network.score(heard, seen, max_offset=60, audio_lead=4)
    assert answers.std() > 0.01
    rows = torch.arange(-60, 61)[:, None]
    spread = network.spread_frames
    log_density = torch.distributions.Normal(answers[:, None], spread).log_prob(rows)
    here = scores.isfinite()
    torch.testing.assert_close(scores[here], log_density[here], rtol=1e-4, atol=1e-4)


def test_syncnets_expanded_squares_hold_far_from_the_origin() -> None:
    _, network = small("syncnet")
    torch.manual_seed(1)
    away = 30 * torch.randn(1, 1024, 1)
    heard, seen = (0.2 * torch.randn(1, 1024, n) + away for n in (40, 30))
    wanted = network.score(heard, seen, max_offset=5, audio_lead=5)
    audio, inside = window_of(network, heard, 30, 5, 5)
    got = network.score_window(audio, inside, seen)
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-4)


def test_margin_and_reach() -> None:
    assert [head_margin(small(n)[1]) for n in ("fcn-cls", "fcn-attn", "syncnet")] == [5, 6, 0]
    assert head_reach(small("fcn-cls")[1]) == 16
    assert head_reach(small("fcn-reg")[1]) == small("fcn-reg")[1].reach == 30


# ------------------------------------------------------------------------------------ formats


class Little(nn.Module):
    """Encoders of one layer and the simplest head, for what does not hang on the layers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.seeing, self.hearing = nn.Conv1d(72, 16, 3, padding=1), nn.Conv1d(64, 16, 4, stride=4)
        self.head = PlainHead()
        self.score_window = self.head.score_window

    def encode_video(self, video: Tensor) -> Tensor:
        return F.normalize(self.seeing(video[:, 0].mean(2).transpose(1, 2)), dim=1)

    def encode_audio(self, audio: Tensor) -> Tensor:
        return F.normalize(self.hearing(audio[:, 0]), dim=1)


@pytest.mark.integration
def test_all_in_one_graph(tmp_path: Path) -> None:
    part = graph_parts(SPECS["fcn-cls"], Little(), parts=["one"])[0]
    assert part.name == "model"
    path, graph = exported(part, tmp_path)
    same(part, graph)
    inputs = inputs_of(part, 1, 9)
    scores, heard, _ = graph(*(x.numpy() for x in inputs))
    assert scores.shape == (1, 7, 9) and (scores == np.float32(OUTSIDE)).any()
    assert not heard[..., -2:].any() and heard[..., :-2].any()
    axes = {v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim]
            for v in onnx.load(path).graph.input}  # fmt: skip
    assert axes == {
        "video": ["batch", 1, "frames", 72, 72],
        "audio": ["batch", 1, 64, "4*sounds"],
        "inside": ["batch", "sounds"],
    }


@pytest.mark.integration
def test_what_is_in_an_onnx_file(shared: Shared) -> None:
    path = onnx_graphs(shared) / "audio.onnx"
    model = onnx.load(path)
    onnx.checker.check_model(model)
    assert model.ir_version == 8
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 18)]
    assert {p.key: p.value for p in model.metadata_props} == METADATA
    (out,) = model.graph.output
    shape = [d.dim_param or d.dim_value for d in out.type.tensor_type.shape.dim]
    assert (out.name, shape) == ("audio_features", ["batch", 16, "frames"])
    names = {i.name for i in model.graph.initializer}
    assert names and not any("video_encoder" in name or "head" in name for name in names)
    assert str(Path(torch.__file__).parent).encode() not in path.read_bytes()
    assert b"synctool/models" not in path.read_bytes()


@pytest.mark.integration
@pytest.mark.parametrize("format", ["torchscript", "exported-program"])
@pytest.mark.parametrize(("name", "graph"), [("fcn-attn", "video"), ("fcn-cls", "head")])
def test_formats_of_pytorch(
    format: str, name: str, graph: str, heads: dict[str, Path], tmp_path: Path
) -> None:
    part = part_of(name, graph)
    if graph == "head":
        path = heads[format]
        loaded = WRITERS[format][1](path, threads=1, trust=digest(path))
    else:
        path, loaded = exported(part, tmp_path, format=format)
    same(part, loaded, margin=head_margin(small(name)[1]))
    with zipfile.ZipFile(path) as archive:
        texts = {n.rsplit("/", 1)[-1]: n for n in archive.namelist() if "/extra/" in n}
        assert {key: archive.read(texts[key]).decode() for key in METADATA} == METADATA
        written = b"".join(archive.read(n) for n in archive.namelist() if n.endswith(".json"))
    assert str(Path(torch.__file__).parent).encode() not in written


@pytest.mark.integration
@pytest.mark.parametrize("format", ["torchscript", "exported-program"])
def test_half_of_the_bytes(format: str, tmp_path: Path) -> None:
    network = Little()
    network.hearing = nn.Conv1d(64, 1000, 4, stride=4)
    part = graph_parts(SPECS["fcn-cls"], network, parts=["audio"])[0]
    before = {name: p.clone() for name, p in part.module.named_parameters()}
    whole = exported(part, tmp_path, format=format)[0].stat().st_size
    path, graph = exported(part, tmp_path, format=format, precision="float16")
    stored = 4 * sum(p.numel() for n, p in before.items() if ".hearing." in n)
    assert path.stat().st_size < whole - 0.4 * stored
    inputs = inputs_of(part, 1, 9)
    (got,), (wanted,) = graph(*(x.numpy() for x in inputs)), outputs_of(part, inputs)
    assert 0 < np.abs(got - wanted).max() < 2e-3
    after = dict(part.module.named_parameters())
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)


@pytest.mark.integration
def test_the_user_hears_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    part = graph_parts(SPECS["fcn-cls"], Plain(), parts=["head"])[0]
    for format in WRITERS:
        exported(part, tmp_path, format=format)
    assert capfd.readouterr() == ("", "")
    assert not [w for w in recwarn if "synctool" in w.filename]


@pytest.mark.integration
def test_onnxruntime_needs_no_pytorch(heads: dict[str, Path]) -> None:
    path = heads["onnx"]
    code = (
        "import sys, numpy as np; from pathlib import Path; from synctool.runtimes.onnx import read\n"
        f"graph = read(Path({str(path)!r}), threads=1)\n"
        "ones = np.ones((1, 16, 25), np.float32)\n"
        "print(graph(ones, ones[:, 0], ones[..., :15])[0].shape, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "(1, 1, 15) False"


# ------------------------------------------------------------------------------------ failures


class Plain(nn.Module):
    """The least that can be exported."""

    def __init__(self) -> None:
        super().__init__()
        self.head = PlainHead()
        self.score_window = self.head.score_window


class OfItsOwn(nn.Module):
    """A plugin's network that scores as it likes."""

    def encode_video(self, video: Tensor) -> Tensor:
        return video.mean((3, 4))

    def score(self, heard: Tensor, seen: Tensor, **how: int) -> Tensor:
        return heard


class Fixed(OfItsOwn):
    """Takes its length once and for all."""

    def encode_video(self, video: Tensor) -> Tensor:
        return video.mean((3, 4)) * (2 if video.shape[2] == 25 else 1)


class Decomposed(OfItsOwn):
    """Uses what ONNX has no operator for."""

    def encode_video(self, video: Tensor) -> Tensor:
        return torch.linalg.eigvalsh(video.mean((1, 2))).unsqueeze(1) * video.mean((3, 4))[..., :1]


def plain_part(module: nn.Module) -> GraphPart:
    return graph_parts(small("fcn-cls")[0], module, parts=["video"])[0]


def test_a_head_without_a_graph_is_refused() -> None:
    with pytest.raises(ExportError, match="OfItsOwn has no score_window") as caught:
        graph_parts(small("fcn-cls")[0], OfItsOwn(), parts=["head"])
    assert "--parts video,audio" in caught.value.remedy
    assert caught.value.exit_code == 1


def test_a_plugins_head_needs_a_graph_too() -> None:
    class Own(nn.Module):
        def forward(self, heard: Tensor, seen: Tensor, **how: int) -> Tensor:
            return heard

    _, network = construct(SPECS["fcn-cls"], SPECS["fcn-cls"].small)
    network.head = Own()
    with pytest.raises(ExportError, match="Own has no score_window"):
        graph_parts(SPECS["fcn-cls"], network, parts=["one"])
    network.head = PlainHead()
    assert graph_parts(SPECS["fcn-cls"], network, parts=["head"])[0].name == "head"


def test_an_unknown_part() -> None:
    with pytest.raises(ValueError, match="'tail'"):
        graph_parts(*small("fcn-cls"), parts=["tail"])


@pytest.mark.parametrize("format", ["onnx", "torchscript"])
def test_a_network_of_one_length_is_refused(format: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"graph video .*tied to one length"):
        exported(plain_part(Fixed()), tmp_path, format=format)
    assert not list(tmp_path.iterdir())


def test_the_blocking_operator_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"graph video .*onnx.*aten\._linalg_eigh"):
        exported(plain_part(Decomposed()), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "operator"),
    [
        ("No decompositions registered for [OpOverload(op='aten.foo', overload='bar')]", "aten.foo"),
        ("No ONNX function found for <OpOverload(op='aten._fft_r2c', overload='default')>",
         "aten._fft_r2c"),
        ("Missing operator: aten::stft.center", "aten.stft.center"),
        ("unsupported torch.ops.mine.warp.default", "mine.warp"),
        ("the disk is full", None),
    ],
)  # fmt: skip
def test_operators_in_messages(text: str, operator: str | None) -> None:
    assert blocking_operator(text) == operator


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError("full"), MissingError("gone")])
def test_what_is_no_fault_of_the_converter_goes_through(error: BaseException) -> None:
    with pytest.raises(type(error)), explained(part="video", format="onnx"):
        raise error


def test_what_a_trace_ties_to_one_length_is_seen() -> None:
    class Baked(nn.Module):
        def forward(self, video: Tensor) -> Tensor:
            return video.mean((1, 3, 4)) * float(video.shape[2])

    example = GraphInput("video", torch.rand(2, 1, 25, 4, 4), ("batch", 1, "frames", 4, 4))
    part = GraphPart("video", Baked(), (example,), ("out",))
    with quiet():
        script = torch.jit.trace(part.module, ts_writer.shortened(part, batch=2, frames=5))
    with pytest.raises(ExportError, match="traced with 5 frames"):
        ts_writer._compare(part, script)


def test_onnx_holds_two_gigabytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_writer, "_LARGEST", 1000)
    with pytest.raises(ExportError, match="graph head is too large for ONNX"):
        exported(part_of("fcn-cls", "head"), tmp_path)
    assert not list(tmp_path.iterdir())


# -------------------------------------------------------------------------------- damaged files


@pytest.mark.parametrize("format", list(WRITERS))
def test_damaged_files(format: str, heads: dict[str, Path], tmp_path: Path) -> None:
    path = heads[format]
    read, data = WRITERS[format][1], path.read_bytes()
    wrong = {"empty": b"", "cut": data[: len(data) // 2], "text": b"not a network at all" * 50}
    for name, content in wrong.items():
        file = tmp_path / f"{name}{path.suffix}"
        file.write_bytes(content)
        with pytest.raises(WeightsError, match=name) as caught:
            read(file, threads=1, **trusting(format, file))
        assert "\n" not in caught.value.cause
    with pytest.raises(MissingError):
        read(tmp_path / "none", threads=1)


@pytest.mark.parametrize("format", list(WRITERS))
def test_files_of_another_format(format: str, heads: dict[str, Path]) -> None:
    for other in WRITERS.keys() - {format}:
        with pytest.raises(WeightsError):
            WRITERS[format][1](heads[other], threads=1, **trusting(format, heads[other]))


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("place", ["weight", "constant", "samples", "legacy"])
def test_nothing_of_an_exported_program_is_unpickled(
    place: str, heads: dict[str, Path], tmp_path: Path
) -> None:
    path = heads["exported-program"]
    mark, trapped = tmp_path / "sprung", tmp_path / "trap.pt2"
    trap = tmp_path / "trap"
    torch.save(Trap(mark), trap)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(trapped, "w") as new:
        root = old.namelist()[0].split("/")[0]
        files = {name: old.read(name) for name in old.namelist()}
        weights = f"{root}/data/weights/model_weights_config.json"
        if place == "weight":
            table = json.loads(files[weights])
            entry = next(iter(table["config"].values()))
            entry["use_pickle"] = True
            files[f"{root}/data/weights/{entry['path_name']}"] = trap.read_bytes()
            files[weights] = json.dumps(table).encode()
        elif place == "constant":
            constants = f"{root}/data/constants/model_constants_config.json"
            table = json.loads(files[constants])
            entry = {**next(iter(json.loads(files[weights])["config"].values()))}
            table["config"]["trap"] = {**entry, "path_name": "opaque_obj_0"}
            files[constants] = json.dumps(table).encode()
            files[f"{root}/data/constants/opaque_obj_0"] = trap.read_bytes()
        elif place == "samples":
            files[f"{root}/data/sample_inputs/model.pt"] = trap.read_bytes()
        else:
            files[f"{root}/data/weights/model.pt"] = trap.read_bytes()
        for name, data in files.items():
            new.writestr(name, data)
    with pytest.raises(WeightsError, match="unpickled"):
        pt2_reader.read(trapped, threads=1, trust=digest(trapped))
    assert not mark.exists()
