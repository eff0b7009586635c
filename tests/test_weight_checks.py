"""What is checked of a weight file is what is loaded; tensors are found beside other values; and files of
other kinds are named, whatever they are called."""

from __future__ import annotations

import io
import os
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper
from safetensors.torch import save
from torch import nn

from synctool.errors import MissingError, WeightsError
from synctool.untrusted.origin import MalformedError
from synctool.untrusted.regular import read_regular
from synctool.untrusted.tensors import load_pytorch
from synctool.weights import files
from synctool.weights.files import fit, load_weights
from synctool.weights.published import read_published
from synctool.weights.state_dicts import plain_state

STATE = {"0.weight": torch.arange(6.0).reshape(2, 3), "0.bias": torch.ones(2)}
OPTIMIZER = {"state": {0: {"step": torch.ones(1)}}, "param_groups": [{"lr": 0.1}]}


def saved(value: object) -> bytes:
    data = io.BytesIO()
    torch.save(value, data)
    return data.getvalue()


def same(state: dict[str, torch.Tensor]) -> bool:
    return list(state) == list(STATE) and all(torch.equal(state[k], STATE[k]) for k in STATE)


# ---------------------------------------------------------------------------- tensors among others

BESIDE = {
    "numbers": {"epoch": 3, "best": 0.5, "done": True, "none": None, **STATE},
    "words": {"arch": "resnet", **STATE, "classes": ["a", "b"], "size": (1, 2)},
    "an optimizer": {**STATE, "epoch": 1, "optimizer": OPTIMIZER},
    "within a wrapper": {"epoch": 3, "state_dict": {**STATE, "epoch": 3, "note": "x"}},
    "a wrapper without tensors": {"model": {"name": "x"}, "net": None, **STATE},
    "a later wrapper": {"model": {"name": "x"}, "network": {"state_dict": STATE}},
    "prefixes": {"epoch": 3, **{f"module.{k}": v for k, v in STATE.items()}},
    "DeepSpeed": {"module": STATE, "optimizer": OPTIMIZER, "global_steps": 5},
    "keys that are no names": {**STATE, 3: torch.zeros(1), (1, 2): 4},
}


@pytest.mark.parametrize("kind", BESIDE)
def test_tensors_beside_other_values(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pth"
    path.write_bytes(saved(BESIDE[kind]))
    assert same(load_weights(path).state)
    assert same(read_published(path))
    network = nn.Sequential(nn.Linear(3, 2))
    fit(network, load_weights(path), backbone="tiny")
    assert torch.equal(network[0].bias, STATE["0.bias"])


def test_no_tensors_are_still_none() -> None:
    for nothing in ({"epoch": 3, "state_dict": {"a": 1}}, {3: torch.zeros(1)}, {"x": [STATE]}):
        assert plain_state(nothing) is None


def test_a_mapping_within_itself_ends() -> None:
    endless: dict[str, object] = {}
    endless["model"] = endless
    assert plain_state(endless) is None


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_refused_beside_other_values(
    value: float, tmp_path: Path
) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(saved({"epoch": 3, **STATE, "0.bias": torch.tensor([1.0, value])}))
    with pytest.raises(WeightsError, match=r"0\.bias has numbers that are not finite"):
        load_weights(path)


# ------------------------------------------------------------------ what is checked is what is loaded


def packed(value: object, method: int) -> bytes:
    data = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(saved(value))) as old,
        zipfile.ZipFile(data, "w", method) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return data.getvalue()


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packed_members_are_refused_before_they_are_unpacked(method: int, tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(packed({"a": torch.zeros(1 << 22)}, method))
    assert path.stat().st_size < 1 << 18
    with pytest.raises(WeightsError, match=r"packed, or say that they hold 16,77\d,\d+ bytes"):
        load_weights(path)


def test_members_that_share_their_bytes_are_refused() -> None:
    """Each is stored, and all lie at one place: the archive holds a hundred times its own size."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as made:
        made.writestr("a/data.pkl", b"x" * 100_000)
        entry = made.infolist()[0]
        for number in range(99):
            twin = zipfile.ZipInfo(f"a/data/{number}")
            twin.header_offset, twin.CRC = entry.header_offset, entry.CRC
            twin.file_size = twin.compress_size = entry.file_size
            made.filelist.append(twin)
            made.NameToInfo[twin.filename] = twin
    with pytest.raises(MalformedError, match=r"say that they hold 10,000,000 bytes"):
        load_pytorch(data.getvalue())


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_of_one_name_are_refused() -> None:
    data = io.BytesIO(saved(STATE))
    with zipfile.ZipFile(data, "a") as made:
        made.writestr(made.namelist()[0], b"other")
    with pytest.raises(MalformedError, match="same name"):
        load_pytorch(data.getvalue())


def test_pytorch_gets_only_the_members_that_were_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive behind another: readers differ in which of the two they see."""
    given: list[object] = []
    load = torch.load
    monkeypatch.setattr(torch, "load", lambda f, **k: (given.append(f.getvalue()), load(f, **k))[1])
    data = saved({"hidden": torch.zeros(100)}) + saved(STATE)
    assert same(load_pytorch(data))
    assert given[0] != data and b"hidden" not in given[0]


def test_a_bit_that_fell_over_is_noticed(tmp_path: Path) -> None:
    data = bytearray(saved(STATE))
    at = data.index(struct.pack("<6f", *range(6)))
    data[at + 7] ^= 1  # within a number; PyTorch itself compares no checksums
    path = tmp_path / "w.pth"
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="damaged"):
        load_weights(path)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_is_opened_once(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever exchanges the file after it was opened changes nothing."""
    path = tmp_path / f"w{suffix}"
    path.write_bytes(saved(STATE) if suffix == ".pth" else save(STATE))
    label = load_weights(path).label

    def read_then_exchange(*args: object, **more: object) -> bytes:
        data = read_regular(*args, **more)
        path.write_bytes(b"exchanged")
        return data

    monkeypatch.setattr(files, "read_regular", read_then_exchange)
    loaded = load_weights(path)
    assert same({k: loaded.state[k] for k in STATE}) and loaded.label == label
    assert path.read_bytes() == b"exchanged"


def test_the_size_is_looked_at_before_reading(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    with path.open("wb") as file:
        file.truncate(files.LARGEST_WEIGHTS_BYTES + 1)  # takes no room on the disk
    with pytest.raises(WeightsError, match="at most"):
        load_weights(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="no regular file"):
        load_weights(tmp_path / "w.pth")


def test_the_content_tells_the_format_and_not_the_name(tmp_path: Path) -> None:
    for name, data in (("a.pth", save(STATE)), ("b.safetensors", saved(STATE)), ("c", save(STATE))):
        (tmp_path / name).write_bytes(data)
        state = load_weights(tmp_path / name).state
        assert all(torch.equal(state[k], STATE[k]) for k in STATE)


# ------------------------------------------------------------------------------------- other kinds


def onnx_graph() -> bytes:
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", 3]) for n in "xy")
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [x, y][:1], [y])
    model = helper.make_model(graph, producer_name="pytorch", producer_version="2.7")
    return model.SerializeToString()


def field(number: int, content: bytes | int) -> bytes:
    """One field of a protobuf message, of less than 128 bytes."""
    if isinstance(content, int):
        return bytes([number << 3, content])
    tag = number << 3 | 2
    low = bytes([tag]) if tag < 128 else bytes([tag & 0x7F | 0x80, tag >> 7])
    return low + bytes([len(content)]) + content


def archived(names: list[str], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as made:
        for name in names:
            made.writestr(name, b"x" * 100)
    return data.getvalue()


def tar() -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as made:
        made.addfile(tarfile.TarInfo("storages"))
    return data.getvalue()


def numpy_archive() -> bytes:
    data = io.BytesIO()
    np.savez_compressed(data, a=np.zeros(3), b=np.ones(2))
    return data.getvalue()


NODE = field(1, field(1, b"input") + field(2, b"Placeholder"))
META = field(1, field(2, b"op") + field(4, b"serve"))
KINDS = {
    "ONNX": (onnx_graph(), "an ONNX graph", "synctool export"),
    "SavedModel": (field(1, 1) + field(2, META), "SavedModel", "state dict"),
    "frozen graph": (NODE + NODE, "frozen graph of TensorFlow", "state dict"),
    "Core ML": (field(1, 7) + field(2, b"\n\0") + field(502, b""), "Core ML", "synctool export"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + b"\0" * 99, "HDF5", "state dict"),
    "LiteRT": (b"\x1c\0\0\0TFL3" + b"\0" * 99, "TensorFlow Lite", "synctool export"),
    "checkpoint": (b"\0" * 40 + bytes.fromhex("57fb808b247547db"), "checkpoint of Tens", "state"),
    "tar": (tar(), "tar archive", "Unpack"),
    "gzip": (b"\x1f\x8b\x08" + b"\0" * 40, "gzip", "Unpack"),
    "7-Zip": (b"7z\xbc\xaf\x27\x1c" + b"\0" * 40, "7-Zip archive", "Unpack"),
    "zip": (archived(["photo.jpg"]), "zip archive of other things", "Unpack"),
    "Keras": (archived(["config.json", "model.weights.h5"]), "Keras", "state dict"),
    "npz": (numpy_archive(), "NumPy archive", "state dict"),
    "pt2": (archived(["m/archive_format", "m/models/model.json"]), "exported program", "export"),
    "TorchScript": (archived(["m/data.pkl", "m/constants.pkl"]), "TorchScript", "state dict"),
    "GGUF": (b"GGUF\3\0\0\0" + b"\0" * 99, "GGUF", "state dict"),
    "OpenVINO": (b'<?xml version="1.0"?>\n<net name="g" version="11">', "OpenVINO", "export"),
    "MP4": (b"\0\0\0\x20ftypisom\0\0\2\0", "MP4", "state dict"),
    "PNG": (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "still image", "state dict"),
    "JSON": (b'{"architectures": ["A"]}', "JSON", "state dict"),
    "text": (b"these are no weights at all\n" * 9, "text file", "state dict"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".bin"])
def test_other_kinds_are_named(kind: str, suffix: str, tmp_path: Path) -> None:
    data, words, remedy = KINDS[kind]
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(data)
    with pytest.raises(WeightsError) as told:
        load_weights(path)
    assert words in told.value.cause and remedy in told.value.remedy


def test_a_real_graph_of_pytorch_is_named(tmp_path: Path) -> None:
    """One whose first bytes hold the word ONNX nowhere."""
    data = onnx_graph()
    assert b"onnx" not in data.lower()
    (tmp_path / "model.pth").write_bytes(data)
    with pytest.raises(WeightsError, match="an ONNX graph"):
        load_weights(tmp_path / "model.pth")


@pytest.mark.parametrize(
    ("name", "inside", "words"),
    [
        ("model", "saved_model.pb", "a TensorFlow SavedModel"),
        ("m.mlpackage", "Manifest.json", "a Core ML model"),
        ("hub", "config.json", "the folder of a published network"),
        ("other", "x", "a folder without synctool.json"),
    ],
)
def test_folders_are_named(name: str, inside: str, words: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / inside).write_bytes(b"")
    with pytest.raises(MissingError, match=words) as told:
        load_weights(tmp_path / name)
    assert told.value.remedy and told.value.exit_code == 5


def test_random_bytes_are_no_kind_in_particular(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    for seed in range(200):
        path.write_bytes(np.random.default_rng(seed).bytes(600))
        with pytest.raises(WeightsError) as told:
            load_weights(path)
        assert "it is a" not in told.value.cause, seed
