"""Reading weight files safely: safetensors, or PyTorch files restricted to tensors."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from synctool.cache import cache_folder
from synctool.errors import MissingError, WeightsError
from synctool.plugins.specs import WeightsSpec
from synctool.untrusted.origin import MalformedError, Origin
from synctool.untrusted.regular import read_regular
from synctool.untrusted.tensors import (
    check_kinds,
    check_tensors,
    is_safetensors,
    load_pytorch,
    load_safetensors,
)
from synctool.weights.identify import AGAIN, folder_in_place_of_weights, not_weights
from synctool.weights.locate import located
from synctool.weights.state_dicts import plain_state

LARGEST_WEIGHTS_BYTES = 8 << 30
"""Most bytes of a weight file."""


@dataclass(frozen=True)
class LoadedWeights:
    """Tensors and where they came from.

    Attributes:
        state: Tensors by name.
        label: Name and beginning of the checksum, as results show it.
        metadata: Strings of the file's header.
    """

    state: dict[str, Tensor]
    label: str
    metadata: dict[str, str]


def find_weights(spec: WeightsSpec | None, *, backbone: str) -> Path:
    """The file of a backbone's weights.

    Args:
        spec: Weights of the backbone, None if it has none.
        backbone: Its name, for the message.

    Raises:
        MissingError: There are no weights, or not here; the remedy says how to get them.
    """
    if spec is None:
        raise MissingError(
            f"{backbone} has no trained weights",
            remedy=f"Train it with: synctool train --backbone {backbone} --data PROCESSED, "
            "then give the result with --weights FILE.",
        )
    found = located(spec)
    if found is not None:
        return found
    if not spec.file_name:
        raise MissingError(
            f"the weights of {backbone} are not here", remedy="Install synctool again."
        )
    remedy = f"Put the published file at {cache_folder() / spec.file_name}"
    if spec.catalogue:
        remedy = f"Fetch them with: synctool download {spec.catalogue}"
    raise MissingError(
        f"the weights of {backbone} ({spec.file_name}) are not here",
        remedy=f"{remedy}, or give a copy with --weights FILE.",
    )


def load_weights(path: Path, *, name: str | None = None) -> LoadedWeights:
    """Read a weight file.

    Args:
        path: ``.safetensors``, or a PyTorch file that holds nothing but tensors and plain data; the tensors
            may lie in a ``state_dict`` or the like, and have the prefix ``module.``.
        name: Name for the label; None takes the file's.

    Raises:
        MissingError: No such file.
        WeightsError: It is damaged, no weights, or would have to run code.
    """
    data = _content(path)
    saved, metadata = _parsed(path, data)
    state = plain_state(saved)
    if state is None:
        raise WeightsError(
            f"{path.name} holds no plain set of tensors",
            remedy="Give a state dict: tensors by name.",
        )
    with _origin(path).checked():
        check_tensors(state)
    checksum = hashlib.sha256(data).hexdigest()
    return LoadedWeights(state, f"{name or path.stem} sha256:{checksum[:16]}", metadata)


def read_tensors(path: Path) -> tuple[Any, dict[str, str]]:
    """What a weight file holds, and the strings of its header; nothing in it is ever run.

    The file is read once, and everything else happens in memory: what is checked is what is loaded.

    Args:
        path: ``.safetensors``, or a PyTorch file that holds nothing but tensors and plain data.

    Raises:
        MissingError: No such file.
        WeightsError: It is damaged, or would have to run code.
    """
    return _parsed(path, _content(path))


def _content(path: Path) -> bytes:
    if path.is_dir():
        words, remedy = folder_in_place_of_weights(path)
        raise MissingError(f"no such weights: {path} is {words}, not a file", remedy=remedy)
    with _origin(path).reading("weights", path, missing="Give the file itself; check its path."):
        return read_regular(path, most=LARGEST_WEIGHTS_BYTES)


def _parsed(path: Path, data: bytes) -> tuple[Any, dict[str, str]]:
    try:
        # Their content tells the two kinds apart, whatever the name says.
        if is_safetensors(data):
            return load_safetensors(data)
        if path.suffix.lower() == ".safetensors" and data[:1] not in (b"\x80", b"P"):
            raise MalformedError("it is cut off or damaged: it has no header of safetensors")
        return load_pytorch(data), {}
    except Exception as error:
        words, remedy = not_weights(path, data, error)
        raise WeightsError(
            f"{path.name} cannot be read as weights: {words}", remedy=remedy
        ) from error


def _origin(path: Path) -> Origin:
    return Origin(path.name, AGAIN, "cannot be read as weights", WeightsError)


def fit(model: torch.nn.Module, weights: LoadedWeights, *, backbone: str) -> None:
    """Put weights into a network.

    Raises:
        WeightsError: They are another network's; the message names keys and shapes.
    """
    own = model.state_dict()
    missing = [k for k in own if k not in weights.state]
    foreign = [k for k in weights.state if k not in own]
    shapes = [k for k in own if k in weights.state and own[k].shape != weights.state[k].shape]
    # Counters of batch normalisation play no part in inference and older files lack them.
    missing = [k for k in missing if not k.endswith("num_batches_tracked")]
    if missing or foreign or shapes:
        what = listed(missing=missing, foreign=foreign, shapes=shapes)
        raise WeightsError(
            f"these weights do not fit {backbone} ({what})",
            remedy="They belong to another backbone or to other options; choose that with --backbone.",
        )
    remedy = "Get the file again, or save its tensors in the network's own kinds of numbers."
    with Origin(f"{weights.label} for {backbone}", remedy, error=WeightsError).checked():
        check_kinds(weights.state, own)
    model.load_state_dict(weights.state, strict=False)


def listed(*, missing: list[str], foreign: list[str], shapes: list[str]) -> str:
    """What is wrong with a set of tensors, in a few words."""
    return "; ".join(
        f"{label}: {', '.join(keys[:3])}{' ...' if len(keys) > 3 else ''} ({len(keys)})"
        for label, keys in (
            ("missing", missing),
            ("not its own", foreign),
            ("other shape", shapes),
        )
        if keys
    )
