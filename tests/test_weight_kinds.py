"""Weights as training programs save them are read, and whatever else is given for weights is named."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import torch
from safetensors.torch import save, save_file

from synctool.errors import WeightsError
from synctool.networks.load import load_model
from synctool.weights.files import load_weights
from synctool.weights.published import read_published
from synctool.weights.state_dicts import plain_state

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.zeros(2)}


def prefixed(prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + name: tensor for name, tensor in STATE.items()}


WRAPPED = {
    "plain": STATE,
    "state_dict": {"epoch": 3, "state_dict": STATE, "optimizer": {"lr": 0.1}},
    "model": {"model": STATE},
    "model_state_dict": {"model_state_dict": STATE, "loss": 0.5},
    "data parallel": prefixed("module."),
    "compiled": prefixed("_orig_mod."),
    "both": {"state_dict": prefixed("module._orig_mod.")},
    "twice": {"model": {"state_dict": prefixed("module.")}},
}


@pytest.mark.parametrize("kind", WRAPPED)
def test_wrappers_and_prefixes_are_taken_off(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save(WRAPPED[kind], path)
    for state in (load_weights(path).state, read_published(path)):
        assert list(state) == list(STATE)
        assert all(torch.equal(state[name], STATE[name]) for name in STATE)


def test_a_prefix_of_some_names_only_belongs_to_them() -> None:
    state = {"module.a": torch.zeros(1), "b": torch.zeros(1)}
    assert plain_state(state) == state
    for nothing in ({}, [], None, {"state_dict": 3}, {"epoch": 1}, {"a": {"b": STATE}}):
        assert plain_state(nothing) is None


def test_the_default_network_takes_weights_of_a_parallel_run(tmp_path: Path) -> None:
    model = load_model("fcn-cls", runtime="torch", device="cpu")
    state = {f"module.{name}": tensor for name, tensor in model.network.state_dict().items()}
    for name in ("w.pth", "w.safetensors"):
        path = tmp_path / name
        if name.endswith(".pth"):
            torch.save({"epoch": 1, "state_dict": state}, path)
        else:
            save_file(state, path)
        again = load_model("fcn-cls", weights=path, runtime="torch", device="cpu")
        for key, tensor in model.network.state_dict().items():
            assert torch.equal(again.network.state_dict()[key], tensor)


def archive(*names: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as made:
        for name in names:
            made.writestr(name, b"x")
    return data.getvalue()


def saved() -> bytes:
    data = io.BytesIO()
    torch.save(STATE, data)
    return data.getvalue()


def saved_with_more() -> bytes:
    data = io.BytesIO()
    torch.save({"state_dict": STATE, "from": PurePosixPath("a")}, data)
    return data.getvalue()


def array() -> bytes:
    data = io.BytesIO()
    np.save(data, np.zeros(3))
    return data.getvalue()


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 54\n"
PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body></body></html>"


@pytest.mark.parametrize(
    ("content", "words", "remedy"),
    [
        (b"", "empty", "again"),
        (POINTER, "git-lfs pointer", "git lfs pull"),
        (PAGE, "web page", "sign in"),
        (saved()[:300], "cut off", "again"),
        (save(STATE)[:20], "a safetensors file that is cut off or damaged", "again"),
        (pickle.dumps({"a": PurePosixPath("b")}), "a pickle that is damaged or holds", "tensors"),
        (saved_with_more(), "a PyTorch file that is damaged or holds more than", "tensors"),
        (archive("photo.jpg"), "zip archive of other things", "Unpack"),
        (archive("m/data.pkl", "m/constants.pkl", "m/code/x.py"), "TorchScript", "state dict"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 99, "HDF5", "state dict"),
        (array(), "NumPy array", "state dict"),
        (b"%PDF-1.7\n", "PDF", "state dict"),
        (b"GGUF" + b"\0" * 99, "GGUF", "state dict"),
    ],
)
@pytest.mark.parametrize("suffix", [".pth", ".model", ".safetensors"])
def test_what_is_no_weights_is_named(
    content: bytes, words: str, remedy: str, suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsError) as told:
        load_weights(path)
    assert words in told.value.cause and remedy in told.value.remedy
