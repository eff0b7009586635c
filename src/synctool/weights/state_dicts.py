"""The tensors in what training programs save: a state dict, wrapped or with prefixed names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

WRAPPERS = ("model_state", "state_dict", "model_state_dict", "model", "net", "network", "weights")
"""Where training programs keep a network's tensors beside an epoch, an optimizer and the like."""
_PREFIXES = ("module.", "_orig_mod.")
"""Put before every name by DataParallel and DistributedDataParallel, and by ``torch.compile``."""
_DEEPEST = 4


def plain_state(saved: Any) -> dict[str, Tensor] | None:
    """The tensors by name, without wrappers and prefixes; None where there are none.

    Args:
        saved: What a weight file holds.
    """
    for _ in range(_DEEPEST):
        if _is_state(saved) or not isinstance(saved, Mapping):
            break
        saved = next(
            (saved[name] for name in WRAPPERS if isinstance(saved.get(name), Mapping)), None
        )
    if not _is_state(saved):
        return None
    state = dict(saved)
    while prefix := next((p for p in _PREFIXES if all(k.startswith(p) for k in state)), None):
        state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


def _is_state(saved: Any) -> bool:
    return (
        isinstance(saved, Mapping)
        and bool(saved)
        and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in saved.items())
    )
