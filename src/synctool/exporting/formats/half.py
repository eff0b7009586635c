"""Weights in 16 bits that are computed with in 32."""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils import parametrize

from synctool.exporting.formats.graph import GraphPart


class _Widened(nn.Module):
    def forward(self, half: Tensor) -> Tensor:
        """float16 to float32."""
        return half.float()


def half_weights(part: GraphPart) -> GraphPart:
    """The same graph with the weights of its layers in 16 bits, each brought to 32 where it is used.

    Biases and normalisations, which are few, stay as they are, and so do weights that float16 has no
    numbers for.

    Args:
        part: What to write; it is not changed.
    """
    module = copy.deepcopy(part.module)
    for layer in list(module.modules()):
        weight = layer._parameters.get("weight")
        if isinstance(layer, (nn.Linear, nn.Embedding, _ConvNd)) and weight is not None:
            half = weight.data.half()
            if torch.isfinite(half).all():
                weight.data = half
                parametrize.register_parametrization(layer, "weight", _Widened(), unsafe=True)
    return replace(part, module=module.eval().requires_grad_(False))
