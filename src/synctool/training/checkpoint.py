"""Checkpoints: weights as safetensors, the rest of a run's state beside them; never a pickle."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from synctool.errors import WeightsError
from synctool.files import write_bytes

WEIGHTS = "last.safetensors"
BEST = "best.safetensors"
STATE = "last.state.pt"


def save_weights(path: Path, state: dict[str, torch.Tensor], metadata: dict[str, str]) -> None:
    """Write weights atomically.

    Args:
        path: Target file.
        state: Tensors by name.
        metadata: Strings stored in the file's header.
    """
    from safetensors.torch import save

    write_bytes(path, save({k: v.contiguous().cpu() for k, v in state.items()}, metadata))


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write optimizer state and counters: tensors and plain values only."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_bytes(path, buffer.getvalue())


def load_state(path: Path) -> dict[str, Any]:
    """Read what ``save_state`` wrote, without unpickling objects.

    Raises:
        WeightsError: The file is damaged or holds something else.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise WeightsError(
            f"{path} is not a training state: {type(error).__name__}",
            remedy="Delete it to start the run anew from its weights.",
        ) from error


class Average:
    """Exponential moving average of a network's tensors (Polyak & Juditsky 1992).

    Args:
        model: The network.
        decay: Share kept per step; it grows from 0 so that early averages are not stale.
    """

    def __init__(self, model: nn.Module, *, decay: float = 0.998) -> None:
        self.decay = decay
        self.steps = 0
        self.values = {k: v.detach().clone() for k, v in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move towards the network's present tensors."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                self.values[name].lerp_(value, 1 - decay)
            else:
                self.values[name].copy_(value)


def metadata(facts: dict[str, Any]) -> dict[str, str]:
    """Facts as the strings that a safetensors header takes."""
    return {k: v if isinstance(v, str) else json.dumps(v) for k, v in facts.items()}
