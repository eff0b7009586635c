"""Reading weight files safely: safetensors, or PyTorch files restricted to tensors."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from synctool.downloads.places import cache_folder
from synctool.errors import MissingError, WeightsError
from synctool.files import sha256
from synctool.types import WeightsSpec
from synctool.untrusted.origin import MalformedError, Origin
from synctool.untrusted.regular import check_regular
from synctool.untrusted.tensors import check_archive, check_kinds, check_tensors
from synctool.weights.identify import not_weights
from synctool.weights.locate import located
from synctool.weights.state_dicts import plain_state


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
    saved, metadata = read_tensors(path)
    state = plain_state(saved)
    if state is None:
        raise WeightsError(
            f"{path.name} holds no plain set of tensors",
            remedy="Give a state dict: tensors by name.",
        )
    with _origin(path).checked():
        check_tensors(state)
    try:
        label = f"{name or path.stem} sha256:{sha256(path)[:16]}"
    except OSError as error:
        raise _unreadable(path, error) from error
    return LoadedWeights(state, label, metadata)


def read_tensors(path: Path) -> tuple[Any, dict[str, str]]:
    """What a weight file holds, and the strings of its header; nothing in it is ever run.

    Args:
        path: ``.safetensors``, or a PyTorch file that holds nothing but tensors and plain data.

    Raises:
        MissingError: No such file.
        WeightsError: It is damaged, or would have to run code.
    """
    if not path.is_file():
        raise MissingError(
            f"no such weights: {path}", remedy="Give the file itself; check its path."
        )
    try:
        check_regular(path)
        check_archive(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    except MalformedError as error:
        raise _origin(path).wrong(error) from error
    metadata: dict[str, str] = {}
    try:
        if path.suffix.lower() == ".safetensors":
            from safetensors import safe_open

            with safe_open(str(path), "pt") as file:
                metadata = dict(file.metadata() or {})
                state = {key: file.get_tensor(key) for key in file.keys()}
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what matters is raised
                state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        words, remedy = not_weights(path, error)
        raise WeightsError(
            f"{path.name} cannot be read as weights: {words}", remedy=remedy
        ) from error
    return state, metadata


def _origin(path: Path) -> Origin:
    remedy = "Get the file again, and compare its size and checksum with the publisher's."
    return Origin(path.name, remedy, "cannot be read as weights", WeightsError)


def _unreadable(path: Path, error: OSError) -> MissingError:
    return MissingError(f"cannot read {path}: {error.strerror}", remedy="Check its permissions.")


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
