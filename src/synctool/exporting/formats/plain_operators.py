"""Operators that some converters do not know, said in others that all of them do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


class PlainOperators(nn.Module):
    """A network that gives the same numbers without the operators that mobile converters refuse.

    ``Tensor.unfold`` becomes a stack of slices, which also keeps every tensor at five axes or fewer.
    Padding by a number that is known only when the network runs becomes a concatenation, and what
    only has another name (``movedim``, ``unflatten``, ``|``) gets the common one.

    Args:
        network: Any; it is not changed.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> Any:
        """What the network gives."""
        with _Replacing():
            return self.network(*inputs)


class _Replacing(TorchFunctionMode):
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        return _PLAIN.get(func, func)(*args, **(kwargs or {}))


def _unfold(x: Tensor, dimension: int, size: int, step: int) -> Tensor:
    if type(size) is not int or type(step) is not int:
        return x.unfold(dimension, size, step)
    at = dimension % x.dim()
    count = (x.shape[at] - size) // step + 1
    slices = []
    for first in range(size):
        # Where it can be, the end is said as a constant distance from the end of the input.
        end = (first - size + 1 or None) if step == 1 else first + (count - 1) * step + 1
        slices.append(x[(slice(None),) * at + (slice(first, end, step),)])
    return torch.stack(slices, -1)


def _unflatten(x: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    at = dim % x.dim()
    return x.reshape(*x.shape[:at], *sizes, *x.shape[at + 1 :])


def _movedim(x: Tensor, source: int, destination: int) -> Tensor:
    if not isinstance(source, int):
        return x.movedim(source, destination)
    order = [axis for axis in range(x.dim()) if axis != source % x.dim()]
    order.insert(destination % x.dim(), source % x.dim())
    return x.permute(order)


def _or(x: Tensor, y: Any) -> Tensor:
    return torch.logical_or(x, y) if x.dtype == torch.bool else x.__or__(y)


def _pad(
    x: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    if mode != "constant" or all(type(amount) is int for amount in pad):
        return F.pad(x, pad, mode, value)
    for i in range(0, len(pad), 2):
        axis = x.dim() - 1 - i // 2
        sides = []
        for amount in pad[i : i + 2]:
            shape = [*x.shape[:axis], amount, *x.shape[axis + 1 :]]
            nothing = type(amount) is int and amount == 0
            sides.append([] if nothing else [x.new_full(shape, value or 0.0)])
        x = torch.cat([*sides[0], x, *sides[1]], axis)
    return x


_PLAIN: dict[Callable[..., Any], Callable[..., Tensor]] = {
    torch.Tensor.unfold: _unfold,
    torch.Tensor.unflatten: _unflatten,
    torch.Tensor.movedim: _movedim,
    torch.movedim: _movedim,
    torch.Tensor.__or__: _or,
    F.pad: _pad,
}
