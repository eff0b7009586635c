"""The moving average of a network's tensors, which is what is validated and kept."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class Average:
    """Exponential moving average of a network's tensors (Polyak & Juditsky 1992).

    Args:
        model: The network.
        decay: Share kept per step; it grows from 0 so that early averages are not stale. With 0
            the average is the network itself.
    """

    def __init__(self, model: nn.Module, *, decay: float = 0.998) -> None:
        self.decay = decay
        self.steps = 0
        self._values = {k: v.detach().clone() for k, v in model.state_dict().items()}

    @property
    def values(self) -> dict[str, Tensor]:
        """The averaged tensors by name."""
        return self._values

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move towards the network's present tensors."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        average_into(self._values, model, decay=decay)

    def load(self, values: dict[str, Tensor], *, steps: int) -> None:
        """Load the average of an earlier run.

        Raises:
            KeyError: A tensor is missing.
        """
        for name, value in self._values.items():
            value.copy_(values[name])
        self.steps = steps


@torch.no_grad()
def average_into(values: Mapping[str, Tensor], model: nn.Module, *, decay: float) -> None:
    """Move averaged tensors towards a network's present ones; those that are no fractions are copied.

    Args:
        values: The averaged tensors by name, written to.
        model: The network.
        decay: Share that is kept.
    """
    own: list[Tensor] = []
    new: list[Tensor] = []
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            own.append(values[name])
            new.append(value)
        else:
            values[name].copy_(value)
    # One call for all: hundreds of small ones cost milliseconds a step.
    torch._foreach_lerp_(own, new, 1 - decay)  # pyright: ignore[reportPrivateImportUsage]
