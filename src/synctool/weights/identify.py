"""What a file is that was given for weights and cannot be read as such, and what to do about it."""

from __future__ import annotations

import io
import pickle
import re
import zipfile
from pathlib import Path

from synctool.untrusted.origin import MalformedError
from synctool.untrusted.tensors import LARGEST_HEADER
from synctool.weights.protobuf_kinds import protobuf_kind

AGAIN = "Get the file again, and compare its size and checksum with the publisher's."
_CODE = (
    "A file that is damaged, or holds more than tensors, is never loaded. "
    "Get it again, or save its tensors as safetensors."
)
_TENSORS = "Give a state dict of PyTorch or a safetensors file."
_EXPORTED = "Give the folder that synctool export wrote, or a state dict."
_FOLDER = (
    "Give the weight file itself, or the folder that synctool export wrote, with its synctool.json."
)
_UNPACK = f"Unpack it. {_TENSORS}"
_SIGNATURES: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"version https://git-lfs", "a git-lfs pointer, which only names the weights", "lfs"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file, such as Keras writes", _TENSORS),
    (0, b"\x93NUMPY", "a NumPy array", _TENSORS),
    (0, b"GGUF", "a GGUF file", _TENSORS),
    (0, b"PK\x05\x06", "an empty zip archive", AGAIN),
    (4, b"TFL3", "a TensorFlow Lite (LiteRT) graph", _EXPORTED),
    (4, b"ORTM", "a graph of ONNX Runtime", _EXPORTED),
    (0, b"ftrt", "a TensorRT engine", _EXPORTED),
    (4, b"ftyp", "a video or another media file (MP4)", _TENSORS),
    (0, b"\x1a\x45\xdf\xa3", "a video or another media file (Matroska)", _TENSORS),
    (0, b"RIFF", "a media file (RIFF)", _TENSORS),
)
"""Where, what stands there, what it is, what to do."""
_REMEDIES = {"lfs": "Fetch them: git lfs pull."}
_OPENVINO = re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?<net\b")
_TABLE_END = bytes.fromhex("57fb808b247547db")
"""Ends the index of a checkpoint of TensorFlow."""
_LEAST_SAFETENSORS = 10
"""Bytes: the length of the header, and an empty header."""
_PICKLE = re.compile(rb"\x80[\x02-\x05]")
"""The protocols that name themselves."""
_SHARD = re.compile(r"\.data-\d+-of-\d+$")
_PROTOBUF = {
    "onnx": ("an ONNX graph", _EXPORTED),
    "saved-model": ("a TensorFlow SavedModel", _TENSORS),
    "graph-def": ("a frozen graph of TensorFlow", _TENSORS),
    "coreml": ("a Core ML model", _EXPORTED),
}


def not_weights(path: Path, data: bytes, error: Exception) -> tuple[str, str]:
    """Why a file cannot be read as weights.

    Args:
        path: The file, for its name.
        data: Its content.
        error: What its reader raised.

    Returns:
        Words that continue ``NAME cannot be read as weights: ``, and the remedy.
    """
    if not data:
        return "it is empty (0 bytes)", AGAIN
    if data.startswith(b"PK\x03\x04"):
        return _archive(data) or _of_pytorch(error) or _told(error)
    named = _by_signature(data) or _of_tensorflow(path, data) or _by_content(path, data)
    return named or _of_tensors(path, data) or _told(error)


def _of_tensors(path: Path, data: bytes) -> tuple[str, str] | None:
    """What is wrong with a file of safetensors, or a pickle; None if it is neither."""
    begun = data[8:9] == b"{" and int.from_bytes(data[:8], "little") <= LARGEST_HEADER
    if begun or (path.suffix == ".safetensors" and len(data) < _LEAST_SAFETENSORS):
        return "it is a safetensors file that is cut off or damaged", AGAIN
    if _PICKLE.match(data):
        return "it is a pickle that is damaged or holds more than tensors", _CODE
    return None


def _of_pytorch(error: Exception) -> tuple[str, str] | None:
    if isinstance(error, pickle.UnpicklingError):
        return "it is a PyTorch file that is damaged or holds more than tensors", _CODE
    return None


def _told(error: Exception) -> tuple[str, str]:
    return (str(error), AGAIN) if isinstance(error, MalformedError) else (_kind(error), _CODE)


def _kind(error: Exception) -> str:
    return type(error).__name__


def folder_in_place_of_weights(folder: Path) -> tuple[str, str]:
    """What a folder is that was given for a weight file, and what to do about it.

    Args:
        folder: The folder.

    Returns:
        Words that continue ``it is ``, and the remedy.
    """
    if (folder / "saved_model.pb").is_file():
        return "a TensorFlow SavedModel", _TENSORS
    if folder.suffix.lower() in (".mlpackage", ".mlmodelc"):
        return "a Core ML model", _EXPORTED
    if (folder / "config.json").is_file():
        return "the folder of a published network", "Give the weight file in it."
    return "a folder without synctool.json", _FOLDER


def _by_signature(data: bytes) -> tuple[str, str] | None:
    for at, signature, words, remedy in _SIGNATURES:
        if data[at : at + len(signature)] == signature:
            return f"it is {words}", _REMEDIES.get(remedy, remedy)
    return None


def _of_tensorflow(path: Path, data: bytes) -> tuple[str, str] | None:
    if data.endswith(_TABLE_END) or _SHARD.search(path.name):
        return "it is a part of a checkpoint of TensorFlow", _TENSORS
    return None


def _by_content(path: Path, data: bytes) -> tuple[str, str] | None:
    from synctool.media.filetypes import (  # training reads no media
        HEAD_BYTES,
        certainly,
        image_kind,
        probably,
    )

    head = data[:HEAD_BYTES]
    if _OPENVINO.match(head):
        return "it is an OpenVINO model", _EXPORTED
    if (kind := protobuf_kind(data)) is not None:
        words, remedy = _PROTOBUF[kind]
        return f"it is {words}", remedy
    found = certainly(head) or image_kind(head) or probably(head, path.name)
    if found is None:
        return None
    remedy = _TENSORS
    if "HTML" in found.words:
        remedy = "Download the weights again: sign in or follow its link."
    elif "archive" in found.words or "compressed" in found.words:
        remedy = _UNPACK
    elif "unfinished download" in found.words:
        remedy = AGAIN
    return f"it is {found.words}", remedy


def _archive(data: bytes) -> tuple[str, str] | None:
    """What is wrong with a file that begins as PyTorch's archives do; None if it is one of these."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
    except Exception:  # zipfile raises a dozen kinds for a damaged archive
        return "it is cut off or damaged", AGAIN
    inside = {name.rpartition("/")[2] for name in names}
    if "archive_format" in inside or any(name.endswith("models/model.json") for name in names):
        return "it is an exported program of PyTorch, which is not run", _EXPORTED
    if "constants.pkl" in inside or any("/code/" in name for name in names):
        return "it is a TorchScript program, which is never run", _TENSORS
    if "data.pkl" in inside:
        return None
    if "model.weights.h5" in inside:
        return "it is a Keras model", _TENSORS
    if inside and all(name.endswith(".npy") for name in inside):
        return "it is a NumPy archive (.npz)", _TENSORS
    return "it is a zip archive of other things", _UNPACK
