"""Tensors of files: plain numbers that are there, finite, and of the kind that a network has."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from synctool.untrusted.documents import parse_json, typed
from synctool.untrusted.origin import MalformedError

_PLAIN = {
    *{torch.float16, torch.bfloat16, torch.float32, torch.float64},
    *{torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool},
}
_ARCHIVE = b"PK\x03\x04"
_MOST_MEMBERS = 100_000
LARGEST_HEADER = 100_000_000
"""That of the safetensors library."""


def load_pytorch(data: bytes) -> Any:
    """What a PyTorch file holds, read without running anything in it.

    An archive is written anew from the members that were checked, so that PyTorch's reader of archives, which
    is another than the one that checks, cannot find anything else in it. The older form, which is no archive,
    is read as it is.

    Args:
        data: The file.

    Raises:
        MalformedError: Its members are packed, twice there, damaged, or more than the file.
        Exception: It is damaged or holds more than tensors and plain values; the kinds are PyTorch's.
    """
    source = _checked_archive(data) if data.startswith(_ARCHIVE) else io.BytesIO(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what matters is raised
        # From memory PyTorch never reads its oldest form, a tar file that it unpacks to the disk.
        return torch.load(source, map_location="cpu", weights_only=True)


def load_safetensors(data: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a safetensors file, and the strings of its header.

    Args:
        data: The file.

    Raises:
        MalformedError: The strings of its header are none.
        Exception: It is damaged; the kinds are the library's.
    """
    from safetensors.torch import load

    state = load(data)
    header = parse_json(data[8 : 8 + int.from_bytes(data[:8], "little")], most=LARGEST_HEADER)
    return state, typed(header.get("__metadata__", {}), dict[str, str])


def is_safetensors(data: bytes) -> bool:
    """Whether a file begins as safetensors do: with the length of its header, and this header.

    Args:
        data: The file.
    """
    return data[8:9] == b"{" and int.from_bytes(data[:8], "little") <= len(data) - 8


def _checked_archive(data: bytes) -> io.BytesIO:
    """An archive of the same members, if all are as PyTorch writes them: not packed, each once."""
    made = io.BytesIO()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(made, "w") as new:
            members = old.infolist()
            # PyTorch stores its members as they are; what is packed could become anything.
            packed = any(m.compress_type != zipfile.ZIP_STORED or m.flag_bits & 1 for m in members)
            claimed = sum(member.file_size for member in members)
            if packed or len(members) > _MOST_MEMBERS or claimed > len(data):
                raise MalformedError(
                    f"its {len(members):,} members are packed, or say that they hold {claimed:,} bytes"
                )
            if len({member.filename for member in members}) != len(members):
                raise MalformedError("it has members of the same name")
            for member in members:
                new.writestr(zipfile.ZipInfo(member.filename), old.read(member))
    except MalformedError:
        raise
    except Exception as error:  # zipfile raises a dozen kinds for a damaged archive
        raise MalformedError(f"it is cut off or damaged: {error}") from error
    made.seek(0)
    return made


def check_tensors(state: Mapping[str, Tensor]) -> None:
    """Refuse tensors that cannot be a network's.

    float64 is accepted: some programs save it, and the network takes it as its own kind of number.

    Raises:
        MalformedError: One is complex, quantised, sparse, larger than what the file holds of it, or has
            numbers that are not finite; or all are whole numbers.
    """
    for name, tensor in state.items():
        if tensor.dtype not in _PLAIN or tensor.layout != torch.strided or tensor.is_meta:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise MalformedError(f"{name[:80]} is of the kind {kind}, which no weights are")
        # A view may repeat few numbers without end.
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise MalformedError(f"{name[:80]} says that it has {tensor.numel():,} numbers")
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise MalformedError(f"{name[:80]} has numbers that are not finite")
    if state and not any(tensor.is_floating_point() for tensor in state.values()):
        raise MalformedError("all its tensors are whole numbers")


def check_kinds(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    """Refuse tensors of other kinds of numbers than a network's.

    Args:
        state: Tensors by name, past :func:`check_tensors`.
        own: The network's.

    Raises:
        MalformedError: One has whole numbers in place of others or the other way round, or numbers too
            large for the network's.
    """
    for name, mine in own.items():
        if name not in state:
            continue
        theirs = state[name]
        if theirs.is_floating_point() != mine.is_floating_point():
            kinds = (str(t.dtype).removeprefix("torch.") for t in (theirs, mine))
            raise MalformedError("{} is {} in place of {}".format(name[:80], *kinds))
        if theirs.dtype != mine.dtype and not bool(torch.isfinite(theirs.to(mine.dtype)).all()):
            raise MalformedError(f"{name[:80]} has numbers that are too large")
