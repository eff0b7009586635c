"""A PyTorch network whose dropout stays on, as several models that each draw anew."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from synctool.errors import UsageError
from synctool.networks.loaded import LoadedModel

_SEED = 0


def dropout_passes(model: LoadedModel, count: int) -> list[LoadedModel]:
    """So many models that differ only in what their dropout draws, batch by batch.

    Args:
        model: The model; its own network changes.
        count: How many.

    Raises:
        UsageError: It is no PyTorch network, or drops nothing.
    """
    layers = [layer for layer in model.network.modules() if _drops(layer)]
    if not layers:
        raise UsageError(
            f"{model.spec.full_name} has no dropout, so all its passes are the same",
            remedy="Leave --mc-dropout out, or choose another model.",
        )
    for layer in layers:
        layer.training = True
    torch.manual_seed(_SEED)
    return [replace(model, weights=f"{model.weights} dropout {n + 1}") for n in range(count)]


def _drops(layer: nn.Module) -> bool:
    if isinstance(layer, _DropoutNd):
        return layer.p > 0
    return isinstance(layer, nn.MultiheadAttention) and layer.dropout > 0
