"""Checkpoints: weights as safetensors, the rest of a run's state beside them; never a pickle."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from synctool.errors import WeightsError
from synctool.files import write_bytes
from synctool.tensor_files import write_tensors
from synctool.untrusted.regular import read_regular
from synctool.untrusted.tensors import load_pytorch

WEIGHTS = "last.safetensors"
BEST = "best.safetensors"
STATE = "last.state.pt"
_LARGEST_STATE_BYTES = 64 << 30
_ANEW = (
    "Delete it to begin the run anew; --init with the .safetensors file beside it keeps what was "
    "learned."
)


def save_weights(path: Path, state: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write weights atomically.

    Args:
        path: Target file.
        state: Tensors by name.
        metadata: Strings stored in the file's header.

    Raises:
        OutputError: They cannot be written; what was there stays.
    """
    from safetensors.torch import save

    write_tensors(path, save({k: v.contiguous().cpu() for k, v in state.items()}, metadata))


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write optimizer state and counters: tensors and plain values only.

    Raises:
        OutputError: They cannot be written; what was there stays.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_bytes(path, buffer.getvalue())


def load_state(path: Path) -> dict[str, Any]:
    """Read what ``save_state`` wrote, without unpickling objects.

    Raises:
        WeightsError: The file is damaged or holds something else.
    """
    try:
        state = load_pytorch(read_regular(path, most=_LARGEST_STATE_BYTES))
    except Exception as error:
        raise damaged_state(path, error) from error
    if not isinstance(state, dict):
        raise damaged_state(path, TypeError("no set of values"))
    return state


def damaged_state(path: Path, error: Exception) -> WeightsError:
    """What to say of a state that cannot be taken up."""
    return WeightsError(f"{path} is not a training state: {type(error).__name__}", remedy=_ANEW)


def random_state(device: torch.device) -> dict[str, Any]:
    """Where all sources of randomness of this process stand, as plain values and tensors."""
    name, keys, position, has_gauss, cached = np.random.get_state()
    state = {
        "python": random.getstate(),
        "numpy": (
            name,
            torch.from_numpy(np.asarray(keys).astype(np.int64)),
            position,
            has_gauss,
            cached,
        ),
        "torch": torch.get_rng_state(),
    }
    if device.type == "cuda":
        state["device"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        state["device"] = torch.mps.get_rng_state()
    return state


def set_random_state(state: dict[str, Any], device: torch.device) -> None:
    """Put the sources of randomness where ``random_state`` found them; on another device its own stays.

    Raises:
        KeyError: A source is missing.
        TypeError: A state is damaged.
    """
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    if "device" in state and device.type == "cuda":
        torch.cuda.set_rng_state(state["device"], device)
    elif "device" in state and device.type == "mps":
        torch.mps.set_rng_state(state["device"])


def metadata(facts: dict[str, Any]) -> dict[str, str]:
    """Facts as the strings that a safetensors header takes."""
    return {k: v if isinstance(v, str) else json.dumps(v) for k, v in facts.items()}
