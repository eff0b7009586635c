"""What a file is that was given for weights and cannot be read as such, and what to do about it."""

from __future__ import annotations

import zipfile
from pathlib import Path

_AGAIN = "Get the file again, and compare its size and checksum with the publisher's."
_CODE = (
    "It is damaged, or holds more than tensors, which is never loaded. "
    "Get it again, or save its tensors as safetensors."
)
_LFS = b"version https://git-lfs"
_SIGNATURES = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, such as Keras writes"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"GGUF", "a GGUF file"),
    (b"PK\x05\x06", "an empty zip archive"),
)
_TENSORS = "Give a state dict of PyTorch or a safetensors file."


def not_weights(path: Path, error: Exception) -> tuple[str, str]:
    """Why a file cannot be read as weights.

    Args:
        path: The file.
        error: What its reader raised.

    Returns:
        Words that continue ``NAME cannot be read as weights: ``, and the remedy.
    """
    from synctool.media.filetypes import HEAD_BYTES, certainly  # training reads no media

    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        head = b" "
    if not head:
        return "it is empty (0 bytes)", _AGAIN
    if head.startswith(_LFS):
        return "it is a git-lfs pointer, which only names the weights", "Fetch them: git lfs pull."
    kind = next((words for begin, words in _SIGNATURES if head.startswith(begin)), None)
    if kind is not None:
        return f"it is {kind}", _TENSORS
    if head.startswith(b"PK\x03\x04"):
        return _archive(path, error)
    if path.suffix.lower() == ".onnx" or b"onnx" in head[:512].lower():
        return "it is an ONNX graph", "Give the folder that synctool export wrote, or a state dict."
    found = certainly(head)
    if found is not None:
        remedy = (
            "Download the weights again: sign in or follow its link."
            if "HTML" in found.words
            else _TENSORS
        )
        return f"it is {found.words}", remedy
    return type(error).__name__, _CODE


def _archive(path: Path, error: Exception) -> tuple[str, str]:
    """What is wrong with a file that begins as PyTorch's archives do."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        return "it is cut off or damaged", _AGAIN
    inside = {name.rpartition("/")[2] for name in names}
    if "data.pkl" not in inside:
        return "it is a zip archive of other things", f"Unpack it. {_TENSORS}"
    if "constants.pkl" in inside or any("/code/" in name for name in names):
        return "it is a TorchScript program, which is never run", _TENSORS
    return type(error).__name__, _CODE
