"""The tensors in what training programs save: a state dict, wrapped, among plain values, or with prefixed
names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

WRAPPERS = (
    *("model_state", "state_dict", "model_state_dict", "model", "net", "network", "weights"),
    *("module", "params"),
)
"""Where training programs keep a network's tensors beside an epoch, an optimizer and the like."""
_PREFIXES = ("module.", "_orig_mod.")
"""Put before every name by DataParallel and DistributedDataParallel, and by ``torch.compile``."""
_DEEPEST = 4


def plain_state(saved: Any) -> dict[str, Tensor] | None:
    """The tensors by name, without wrappers and prefixes; None where there are none.

    What lies beside them (an epoch, an optimizer's state, settings) is left out.

    Args:
        saved: What a weight file holds.
    """
    state = _tensors(saved, _DEEPEST)
    if state is None:
        return None
    while prefix := next((p for p in _PREFIXES if all(k.startswith(p) for k in state)), None):
        state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


def _tensors(saved: Any, deepest: int) -> dict[str, Tensor] | None:
    """Those in the first wrapper that has any; else those of this level."""
    if not isinstance(saved, Mapping):
        return None
    for name in WRAPPERS if deepest else ():
        if (found := _tensors(saved.get(name), deepest - 1)) is not None:
            return found
    return {k: v for k, v in saved.items() if isinstance(k, str) and isinstance(v, Tensor)} or None
