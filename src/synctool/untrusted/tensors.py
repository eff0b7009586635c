"""Tensors of files: plain numbers that are there, finite, and of the kind that a network has."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from synctool.untrusted.origin import MalformedError

_PLAIN = {
    *{torch.float16, torch.bfloat16, torch.float32, torch.float64},
    *{torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool},
}
_MOST_MEMBERS = 100_000


def check_archive(path: Path) -> None:
    """Refuse a PyTorch file whose members say that they hold more than the file; one of the older form,
    which is no archive, is let through.

    Raises:
        OSError: It cannot be read.
        MalformedError: Its members are compressed, or more than the file.
    """
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return  # the reader of weights says what it is
    # PyTorch stores its members as they are; what is packed could become anything.
    packed = any(member.compress_type != zipfile.ZIP_STORED for member in members)
    claimed = sum(member.file_size for member in members)
    if packed or len(members) > _MOST_MEMBERS or claimed > path.stat().st_size:
        raise MalformedError(
            f"its {len(members):,} members are packed, or say that they hold {claimed:,} bytes"
        )


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
