"""Which layers of a transformer an embedding is taken from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from synctool.errors import UsageError


class LayerMix(nn.Module):
    """Mean of hidden states with learned weights, as in SUPERB (Yang et al. 2021).

    Deeper layers of speech transformers hold what was said, shallower ones how it sounded; what a task
    needs is learned. At the start all weights are equal.

    Args:
        states: How many hidden states are mixed: the layers and the input of the first.
    """

    def __init__(self, *, states: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(states))

    def forward(self, states: Sequence[Tensor]) -> Tensor:
        """States of one shape, in order ``->`` their weighted mean, of that shape."""
        shares = self.weights.softmax(0)
        weighted = (share * state for share, state in zip(shares, states, strict=True))
        return cast("Tensor", sum(weighted))


def chosen_layer(layer: int, *, layers: int) -> int:
    """How many layers a transformer needs so that its output is the chosen hidden state.

    Args:
        layer: Hidden state: 0 is the input of the first layer, ``layers`` or -1 the output of the last.
        layers: How many layers the published network has.

    Returns:
        0 to ``layers``.

    Raises:
        UsageError: There is no such layer.
    """
    found = layer + layers + 1 if layer < 0 else layer
    if not 0 <= found <= layers:
        raise UsageError(
            f"no layer {layer} in a network of {layers} layers",
            remedy=f"Layers go from 0, the input of the first, to {layers}; -1 is the last.",
        )
    return found
