"""A folder given as weights runs no code of whoever made it: what is opened, and what must be trusted."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import shutil
import subprocess
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

import synctool
from fake_plugins import run_python
from synctool.cli.app import main
from synctool.errors import MissingError, SyncToolError, UntrustedError, UsageError, WeightsError
from synctool.exporting.formats.exported_program_writer import write as write_program
from synctool.exporting.formats.graph import GraphInput, GraphPart
from synctool.networks.load import load_model
from synctool.networks.load_exported import open_graphs
from synctool.networks.names import model_spec
from synctool.plugins import registry
from synctool.runtimes import exported_program, torchscript
from synctool.runtimes import onnx as onnx_runtime
from synctool.runtimes.trust import admit, admit_model, model_checksum, remembered, trust_file
from synctool.weights.artefact import (
    Artefact,
    ArtefactPart,
    digest,
    read_artefact,
    size,
    write_manifest,
)
from synctool.weights.graph_files import read_graph_files

SUFFIXES = {
    "torchscript": ".ts",
    "exported-program": ".pt2",
    "onnx": ".onnx",
    "openvino": ".openvino",
}
GRAPHS = ("video", "audio", "head")


@pytest.fixture(autouse=True)
def nothing_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCTOOL_TRUST_FILE", str(tmp_path / "config" / "trusted.json"))


class Trap:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return Path.touch, (self.mark,)


class Doubled(nn.Module):
    """A graph of one input."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((1,), 2.0))

    def forward(self, video: torch.Tensor) -> torch.Tensor:
        return video * self.weight


class Times(nn.Module):
    """A graph of one input, with another number."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, video: torch.Tensor) -> torch.Tensor:
        return video * self.factor


def program(path: Path) -> Path:
    """A harmless exported program."""
    inputs = (GraphInput("video", torch.ones(2, 3), ("batch", "frames")),)
    part = GraphPart("video", Doubled().eval(), inputs, ("video_features",))
    write_program(part, path, metadata={"licence": "MIT"})
    return path


def identity(path: Path, nodes: list | None = None, **more: object) -> Path:
    """A harmless ONNX graph, or one with other nodes."""
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", 3]) for n in "xy")
    nodes = nodes or [helper.make_node("Identity", ["x"], ["y"])]
    graph = helper.make_graph(nodes, "g", [x], [y], more.pop("initializer", None))
    imports = [helper.make_opsetid("", 18), helper.make_opsetid("evil", 1)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=8, **more)
    path.write_bytes(model.SerializeToString())
    return path


def artefact(place: Path, format: str, make: Callable[[Path], object]) -> Path:
    """The folder of an exported model whose manifest is right about everything."""
    place.mkdir()
    parts = {}
    for name in GRAPHS:
        path = place / f"{name}{SUFFIXES[format]}"
        make(path)
        axes = {"x": ("batch", "frames")}
        parts[name] = ArtefactPart(path.name, digest(path), size(path), axes, (name,))
    spec = model_spec("fcn-cls")
    write_manifest(
        Artefact(
            format=format,
            precision="float32",
            backbone="fcn-cls",
            weights="strange",
            embedding_size=spec.embedding_size,
            receptive_field_frames=spec.receptive_field_frames,
            audio_receptive_field_frames=spec.audio_receptive_field_frames,
            bounded=True,
            video=spec.video,
            audio=spec.audio,
            margin=0,
            reach=16,
            zero_frames=0.0,
            calibration=None,
            licence="MIT",
            parts=parts,
        ),
        place,
    )
    return place


def changed(path: Path, change: Callable[[str, dict[str, bytes]], None]) -> Path:
    """An archive with other members."""
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    change(next(iter(members)).split("/")[0], members)
    with zipfile.ZipFile(path, "w") as new:
        for name, data in members.items():
            new.writestr(name, data)
    return path


# --------------------------------------------------------------------------------- three archives


def library(path: Path, mark: Path) -> None:
    """A library that leaves a mark when it is loaded; needs a C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("there is no C compiler to make a library with")
    source = path.with_suffix(".c")
    source.write_text(
        "#include <stdio.h>\n__attribute__((constructor)) static void go(void) {"
        f' FILE *f = fopen("{mark}", "w"); if (f) fclose(f); }}\n'
    )
    command = [compiler, "-shared", "-fPIC", "-o", str(path), str(source)]
    subprocess.run(command, check=True, capture_output=True)


def with_library(path: Path, mark: Path) -> None:
    library(path.with_suffix(".so"), mark)
    code = path.with_suffix(".so").read_bytes()
    metadata = json.dumps({"AOTI_DEVICE_KEY": "cpu"}).encode()

    def add(root: str, members: dict[str, bytes]) -> None:
        members[f"{root}/data/aotinductor/model/a.wrapper.so"] = code
        members[f"{root}/data/aotinductor/model/a.wrapper_metadata.json"] = metadata

    changed(program(path), add)


def with_legacy_layout(path: Path, mark: Path) -> None:
    """Without the table of weights the loader falls back to the layout at the archive's top."""
    trap = io.BytesIO()
    torch.save(Trap(mark), trap)

    def add(root: str, members: dict[str, bytes]) -> None:
        graph = members[f"{root}/models/model.json"]
        del members[f"{root}/archive_version"]
        version = json.loads(graph)["schema_version"]
        members["version"] = f"{version['major']}.{version['minor']}".encode()
        members["serialized_exported_program.json"] = graph
        for name in ("state_dict", "constants", "example_inputs"):
            members[f"serialized_{name}.pt"] = trap.getvalue()

    changed(program(path), add)


def with_two_tables(path: Path, mark: Path) -> None:
    """One name twice: a reader that takes the last one sees no pickle, one that takes the first does."""
    trap = io.BytesIO()
    torch.save(Trap(mark), trap)
    with zipfile.ZipFile(program(path)) as old:
        members = [(name, old.read(name)) for name in old.namelist()]
    entries = [(name, data) for name, data in members if name.endswith("model_weights_config.json")]
    ((name, data),) = entries
    table = json.loads(data)
    for entry in table["config"].values():
        entry["use_pickle"] = True
        folder = name.rpartition("/")[0]
        members = [
            (n, trap.getvalue() if n == f"{folder}/{entry['path_name']}" else d) for n, d in members
        ]
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as new:
        warnings.simplefilter("ignore")
        new.writestr(members[0][0], members[0][1])
        new.writestr(name, json.dumps(table))
        for n, d in members[1:]:
            new.writestr(n, d)


ATTACKS = {
    "library": with_library,
    "legacy": with_legacy_layout,
    "two tables": with_two_tables,
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_archives_that_run_code(attack: str, tmp_path: Path, capfd) -> None:
    mark = tmp_path / "mark"
    folder = artefact(tmp_path / "f", "exported-program", lambda path: ATTACKS[attack](path, mark))
    for made in folder.glob("*.so"):
        made.unlink()
    mark.unlink(missing_ok=True)
    assert main(["detect", str(tmp_path / "none.mp4"), "--weights", str(folder)]) == 2
    said = capfd.readouterr().err
    assert "not trusted" in said and "--trust " in said and not mark.exists()
    # Even trusted, an archive holds a graph and plain tensors or is refused.
    for path in folder.glob("*.pt2"):
        with pytest.raises(WeightsError, match="is refused"):
            exported_program.read(path, trust=digest(path))
    assert not mark.exists()


@pytest.mark.integration
def test_the_traps_work(tmp_path: Path) -> None:
    """What PyTorch itself does with them, so that the tests above prove something."""
    sprung = {}
    for name in ("legacy", "two tables"):
        mark = tmp_path / name
        path = tmp_path / f"{name}.pt2"
        ATTACKS[name](path, mark)
        sprung[name] = path, mark
    run_python(
        "import contextlib, sys, torch\n"
        "for path in sys.argv[1:]:\n"
        "    with contextlib.suppress(Exception):\n"
        "        torch.export.load(path)\n",
        *(str(path) for path, _ in sprung.values()),
    )
    sprung = {name: mark.exists() for name, (_, mark) in sprung.items()}
    assert sprung == {"legacy": True, "two tables": True}
    mark = tmp_path / "library"
    library(tmp_path / "a.so", mark)
    run_python(f"import ctypes; ctypes.CDLL({str(tmp_path / 'a.so')!r})")
    assert mark.exists()


@pytest.mark.parametrize(
    "name",
    [
        *("data/weights/model.pt", "data/weights/WEIGHT_0", "data/constants/opaque_obj_0"),
        *("data/constants/custom_obj_0", "data/sample_inputs/other.pt", "models/other.json"),
        *("Models/model.json", "extra/../x", "data/executorch/a", "data/weights/weight_0/../x"),
    ],
)
def test_other_members_are_refused(name: str, tmp_path: Path) -> None:
    path = changed(
        program(tmp_path / "x.pt2"), lambda root, members: members.update({f"{root}/{name}": b"x"})
    )
    with pytest.raises(WeightsError, match=r"is refused: it (holds|has)"):
        exported_program.read(path, trust=digest(path))


def test_a_sound_program_runs_once_it_is_trusted(tmp_path: Path) -> None:
    path = program(tmp_path / "x.pt2")
    with pytest.raises(UntrustedError, match="any code"):
        exported_program.read(path)
    (out,) = exported_program.read(path, trust=f"sha256:{digest(path).upper()}")(np.ones((1, 4)))
    assert out.tolist() == [[2.0] * 4]
    assert exported_program.read(path)(np.ones((1, 1)))[0].tolist() == [[2.0]]


# ------------------------------------------------------------------------------------ TorchScript


class Setting(nn.Module):
    """Leaves a mark when it is loaded."""

    def __init__(self, mark: str) -> None:
        super().__init__()
        self.mark = mark

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x

    @torch.jit.export
    def __getstate__(self) -> tuple[str, bool]:
        return self.mark, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[str, bool]) -> None:
        self.mark = state[0]
        self.training = state[1]
        torch.save(torch.zeros(1), state[0])


def script(module: nn.Module, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(module.eval()), str(path))
    return path


def test_torchscript_waits_for_trust(tmp_path: Path, capfd) -> None:
    mark = tmp_path / "mark"
    folder = artefact(tmp_path / "f", "torchscript", lambda p: script(Setting(str(mark)), p))
    mark.unlink(missing_ok=True)
    with pytest.raises(UntrustedError) as told:
        load_model(weights=folder)
    assert told.value.exit_code == 2 and not mark.exists()
    with pytest.raises(UntrustedError):
        torchscript.read(folder / "video.ts")
    assert main(["compare", "none.mp4", "-b", f"fcn-cls={folder}", "-q"]) != 0
    assert not mark.exists()
    sums = {f"{n}.ts": digest(folder / f"{n}.ts") for n in GRAPHS}
    own = model_checksum(sums, format="torchscript")
    assert f"--trust {own}" in told.value.remedy
    load_model(weights=folder, trust=own)
    assert mark.exists()
    mark.unlink()
    # It is remembered for these files, and for no others.
    load_model(weights=folder)
    assert mark.exists() and remembered() == {own}
    script(Setting(str(tmp_path / "other")), folder / "video.ts")
    data = json.loads((folder / "synctool.json").read_text())
    data["parts"]["video"] |= {"sha256": digest(folder / "video.ts"), "bytes": 1 << 20}
    (folder / "synctool.json").write_text(json.dumps(data))
    with pytest.raises(UntrustedError):
        load_model(weights=folder)
    with pytest.raises(UntrustedError, match="another checksum"):
        load_model(weights=folder, trust=own)
    assert not (tmp_path / "other").exists()


def test_trust_holds_for_the_set_and_the_format(tmp_path: Path) -> None:
    """Graphs of two trusted models make no trusted third; nor is a set trusted in another format."""
    sums = {}
    for name, factor in (("a", 2.0), ("b", 3.0)):
        folder = artefact(tmp_path / name, "torchscript", lambda p, f=factor: script(Times(f), p))
        with pytest.raises(UntrustedError) as told:
            load_model(weights=folder)
        sums[name] = re.search(r"--trust (\w+)", told.value.remedy)[1]
        load_model(weights=folder, trust=sums[name])
        load_model(weights=folder)
    assert remembered() == set(sums.values())
    data = json.loads((tmp_path / "a" / "synctool.json").read_text())
    shutil.copy(tmp_path / "b" / "audio.ts", tmp_path / "a" / "audio.ts")
    data["parts"]["audio"] |= json.loads((tmp_path / "b" / "synctool.json").read_text())["parts"][
        "audio"
    ]
    (tmp_path / "a" / "synctool.json").write_text(json.dumps(data))
    with pytest.raises(UntrustedError):
        load_model(weights=tmp_path / "a")
    graphs = {"video": read_graph_files(tmp_path / "b" / "video.ts")}
    own = model_checksum({"video.ts": graphs["video"].sha256}, format="torchscript")
    admit_model(graphs, format="torchscript", trust={own})
    assert admit_model(graphs, format="torchscript", trust=())["video"].trusted
    with pytest.raises(UntrustedError):
        admit_model(graphs, format="tensorrt", trust=())
    # A single graph in one format, too.
    torchscript.read(tmp_path / "b" / "head.ts", trust=digest(tmp_path / "b" / "head.ts"))
    torchscript.read(tmp_path / "b" / "head.ts")
    with pytest.raises(UntrustedError):
        admit(tmp_path / "b" / "head.ts", format="tensorrt")


def test_a_pipe_in_place_of_the_list_is_not_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trust_file().parent.mkdir()
    os.mkfifo(trust_file())
    assert remembered() == frozenset()
    assert "no regular file" in caplog.text
    path = script(Doubled(), tmp_path / "x.ts")
    torchscript.read(path, trust=digest(path))
    assert "not remembered" in caplog.text


def test_trust_in_words_that_are_no_checksum(capfd) -> None:
    with pytest.raises(UsageError, match="no SHA-256"):
        load_model(trust="yes")
    assert main(["detect", "none.mp4", "--trust", "abc"]) in (2, 5)


def test_a_damaged_list_trusts_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for text in ("{", "[]", '{"schema": "x"}', '{"schema": "synctool.trust/2", "models": [1]}'):
        trust_file().parent.mkdir(exist_ok=True)
        trust_file().write_text(text)
        assert remembered() == frozenset()
    assert "nothing is trusted" in caplog.text


def test_trust_that_cannot_be_written_still_holds_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SYNCTOOL_TRUST_FILE", str(tmp_path / "file" / "trusted.json"))
    path = script(Doubled(), tmp_path / "x.ts")
    torchscript.read(path, trust=digest(path))
    assert "not remembered" in caplog.text
    with pytest.raises(UntrustedError):
        torchscript.read(path)


def test_a_graph_of_another_signature_is_one_error(tmp_path: Path) -> None:
    folder = artefact(tmp_path / "f", "torchscript", lambda p: script(Doubled(), p))
    found = read_artefact(folder)
    graphs = open_graphs(found, GRAPHS, threads=1, just_written=found)
    with pytest.raises(
        WeightsError, match=r"head\.ts cannot run on inputs of 1 x 2, 1 x 2"
    ) as told:
        graphs["head"](np.ones((1, 2), np.float32), np.ones((1, 2), np.float32))
    assert "\n" not in told.value.cause and "manifest" in told.value.remedy
    model = load_model(
        weights=folder,
        trust=model_checksum(
            {p.file: p.sha256 for p in found.parts.values()}, format="torchscript"
        ),
    )
    with pytest.raises(WeightsError, match="video graph in torchscript gives 1 x 1 x 4 x 2 x 2"):
        model.runtime.encode_video(np.ones((1, 1, 4, 2, 2), np.float32))


def test_a_plugins_format_is_read_from_a_private_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Path] = []

    def read(path: Path, *, threads: int) -> Callable:
        seen.append(path)
        assert path.read_text() == "graph"
        return lambda *x: [x[0]]

    spec = replace(registry.exporters.get("onnx"), name="odd", in_memory=False, data_only=False)
    monkeypatch.setattr(registry.exporters, "get", lambda name: spec)
    monkeypatch.setattr(registry, "imported", lambda name: read)
    folder = artefact(tmp_path / "f", "onnx", lambda p: p.write_text("graph"))
    found = read_artefact(folder)
    with pytest.raises(UntrustedError):
        open_graphs(found, GRAPHS, threads=1)
    own = model_checksum({p.file: p.sha256 for p in found.parts.values()}, format="odd")
    open_graphs(found, GRAPHS, threads=1, trust=own)
    assert len(seen) == 3 and not any(p.exists() or folder in p.parents for p in seen)


# ------------------------------------------------------------------------------------------- ONNX


def onnx_branch() -> list:
    """A custom operator inside a branch."""
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])
    evil = helper.make_graph([helper.make_node("Run", ["x"], ["y"], domain="evil")], "b", [], [out])
    fine = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "c", [], [out])
    condition = helper.make_node(
        "Constant", [], ["c"], value=helper.make_tensor("c", TensorProto.BOOL, [], [True])
    )
    return [condition, helper.make_node("If", ["c"], ["y"], then_branch=fine, else_branch=evil)]


def outside(location: str) -> TensorProto:
    tensor = helper.make_tensor("w", TensorProto.FLOAT, [1, 3], [1.0, 2.0, 3.0])
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": "0", "length": "12"}.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def test_onnx_with_custom_operators(tmp_path: Path) -> None:
    assert onnx_runtime.read(identity(tmp_path / "fine.onnx"))(np.ones((1, 3)))[0].sum() == 3
    run = helper.make_node("Run", ["x"], ["y"], domain="evil")
    with pytest.raises(WeightsError, match=r"custom operator evil\.Run"):
        onnx_runtime.read(identity(tmp_path / "custom.onnx", [run]))
    with pytest.raises(WeightsError, match=r"custom operator evil\.Run"):
        onnx_runtime.read(identity(tmp_path / "branch.onnx", onnx_branch()))
    context = helper.make_node("EPContext", ["x"], ["y"], domain="com.microsoft")
    with pytest.raises(WeightsError, match=r"com\.microsoft\.EPContext"):
        onnx_runtime.read(identity(tmp_path / "context.onnx", [context]))
    function = helper.make_function(
        "evil", "Run", ["x"], ["y"], [run], [helper.make_opsetid("", 18)]
    )
    with pytest.raises(WeightsError, match="functions of its own"):
        onnx_runtime.read(identity(tmp_path / "function.onnx", [run], functions=[function]))


@pytest.mark.parametrize("where", ["/etc/hostname", "../secret", "link", "pipe", "beside.bin"])
@pytest.mark.parametrize("inside", [False, True])
def test_onnx_with_numbers_elsewhere(where: str, inside: bool, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"\0" * 12)
    folder = tmp_path / "f"
    folder.mkdir()
    (folder / "beside.bin").write_bytes(b"\0" * 12)
    (folder / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(folder / "pipe")
    if inside:
        constant = helper.make_node("Constant", [], ["w"], value=outside(where))
        path = identity(folder / "x.onnx", [constant, helper.make_node("Add", ["x", "w"], ["y"])])
    else:
        add = helper.make_node("Add", ["x", "w"], ["y"])
        path = identity(folder / "x.onnx", [add], initializer=[outside(where)])
    with pytest.raises(WeightsError, match="numbers in another file"):
        onnx_runtime.read(path)


def test_onnx_is_opened_without_trust_and_never_as_another_format(tmp_path: Path) -> None:
    folder = artefact(tmp_path / "f", "onnx", identity)
    assert load_model(weights=folder).runtime.name == "onnx"
    assert not trust_file().exists()
    (tmp_path / "x.onnx").write_bytes(b"\x1c\0\0\0ORTM" + b"\0" * 64)
    with pytest.raises(WeightsError):
        onnx_runtime.read(tmp_path / "x.onnx")


# --------------------------------------------------------------------------------------- OpenVINO

OPENVINO = """<?xml version="1.0"?>
<net name="g" version="11"><layers>
<layer id="0" name="x" type="Parameter" version="opset1"><data shape="?,3" element_type="f32"/>
<output><port id="0" precision="FP32" names="x"><dim>-1</dim><dim>3</dim></port></output></layer>
<layer id="1" name="r" type="{kind}" version="{version}">
<input><port id="0" precision="FP32"><dim>-1</dim><dim>3</dim></port></input>
<output><port id="1" precision="FP32" names="y"><dim>-1</dim><dim>3</dim></port></output></layer>
<layer id="2" name="out" type="Result" version="opset1">
<input><port id="0" precision="FP32"><dim>-1</dim><dim>3</dim></port></input></layer>
</layers><edges><edge from-layer="0" from-port="0" to-layer="1" to-port="0"/>
<edge from-layer="1" from-port="1" to-layer="2" to-port="0"/></edges><rt_info>{info}</rt_info></net>"""


def openvino_graph(
    path: Path, *, kind: str = "ReLU", version: str = "opset1", info: str = ""
) -> Path:
    path.mkdir()
    (path / "model.xml").write_text(OPENVINO.format(kind=kind, version=version, info=info))
    (path / "model.bin").write_bytes(b"")
    return path


def test_openvino_with_operators_of_extensions(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    from synctool.runtimes.openvino import read

    (out,) = read(openvino_graph(tmp_path / "fine"), threads=1)(np.full((1, 3), -1.0))
    assert out.tolist() == [[0.0] * 3]
    for number, version in enumerate(("extension", "custom", "", "opset1x", "util")):
        with pytest.raises(WeightsError, match="is refused: it has the operator ReLU"):
            read(openvino_graph(tmp_path / f"v{number}", version=version), threads=1)
    info = '<__weights_path value="/etc/hostname"/>'
    with pytest.raises(WeightsError, match="is refused"):
        read(openvino_graph(tmp_path / "note", info=info), threads=1)
    path = openvino_graph(tmp_path / "entity")
    text = (path / "model.xml").read_text()
    (path / "model.xml").write_text(
        text.replace("?>", '?><!DOCTYPE net [<!ENTITY a SYSTEM "file:///etc/hostname">]>', 1)
    )
    with pytest.raises(WeightsError, match="document type"):
        read(path, threads=1)


@pytest.mark.parametrize("kind", ["link", "pipe", "more", "link to a folder"])
def test_openvino_beside_other_things(kind: str, tmp_path: Path) -> None:
    from synctool.runtimes.openvino import read

    path = openvino_graph(tmp_path / "g")
    if kind == "more":
        (path / "plugins.xml").write_text("<ie/>")
    elif kind == "link to a folder":
        (path / "more").symlink_to(tmp_path)
    else:
        (path / "model.bin").unlink()
        (tmp_path / "secret").write_bytes(b"")
        place = path / "model.bin"
        place.symlink_to(tmp_path / "secret") if kind == "link" else os.mkfifo(place)
    with pytest.raises(WeightsError, match=r"symbolic link|no regular file|alone"):
        read(path, threads=1)


# --------------------------------------------------------------------------------------- manifests


@pytest.mark.parametrize(
    "name", ["../video.onnx", "..", ".", "", "/etc/hostname", "a/b", "a\\b", "c:x", "a\0b"]
)
def test_a_manifest_names_files_of_its_folder_only(name: str, tmp_path: Path) -> None:
    folder = artefact(tmp_path / "f", "onnx", identity)
    data = json.loads((folder / "synctool.json").read_text())
    data["parts"]["video"]["file"] = name
    (folder / "synctool.json").write_text(json.dumps(data))
    with pytest.raises(WeightsError, match="no file name"):
        load_model(weights=folder)


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_graphs_are_regular_files_of_the_folder(kind: str, tmp_path: Path) -> None:
    folder = artefact(tmp_path / "f", "onnx", identity)
    path = folder / "video.onnx"
    path.rename(tmp_path / "outside.onnx")
    if kind == "link":
        path.symlink_to(tmp_path / "outside.onnx")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(SyncToolError):
        load_model(weights=folder)


def test_another_format_in_the_manifest_does_not_open_a_door(tmp_path: Path) -> None:
    """Files of a format that runs code, said to be one that is data."""
    mark = tmp_path / "mark"
    folder = artefact(tmp_path / "f", "torchscript", lambda p: script(Setting(str(mark)), p))
    mark.unlink(missing_ok=True)
    for said in ("onnx", "openvino"):
        data = json.loads((folder / "synctool.json").read_text()) | {"format": said}
        (folder / "synctool.json").write_text(json.dumps(data))
        with pytest.raises((WeightsError, MissingError)):
            load_model(weights=folder)
    assert not mark.exists()


# ----------------------------------------------------------------------------------- weight files


def test_pickles_inside_weights(tmp_path: Path) -> None:
    from synctool.weights.files import load_weights

    mark = tmp_path / "mark"
    for number, content in enumerate(
        (
            {"a": {"b": [Trap(mark)]}},
            {"state_dict": {"w": Trap(mark)}},
            np.array([Trap(mark)], object),
        )
    ):
        path = tmp_path / f"{number}.pth"
        torch.save(content, path)
        with pytest.raises(WeightsError):
            load_weights(path)
        path.write_bytes(pickle.dumps(content))
        with pytest.raises(WeightsError):
            load_weights(path)
    np.save(tmp_path / "a.npy", np.array([Trap(mark)], object), allow_pickle=True)
    with pytest.raises(WeightsError):
        load_weights(tmp_path / "a.npy")
    assert not mark.exists()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".ts"])
def test_torchscript_as_a_weight_file(suffix: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    path = script(Setting(str(mark)), tmp_path / f"w{suffix}")
    mark.unlink(missing_ok=True)
    with pytest.raises(SyncToolError):
        synctool.load_model(weights=path, runtime="torch")
    assert not mark.exists()
