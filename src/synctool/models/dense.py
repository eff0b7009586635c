"""Published 3-D networks made dense: a row for every frame, with the values of the strided network.

A layer that steps over frames is made to step frame by frame, and the layers behind it look at rows as
far apart as they did before: dilation in place of stride, as the "à trous" algorithm has it (Chen et
al., "DeepLab", arXiv:1606.00915). The weights stay what they are and where they are.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

_LENGTHS = (480, 960)
"""Frames of two inputs; what they differ by has many divisors, as strides are."""


def clip_shape(frames: int) -> Tensor:
    """A colour clip without content, ``[1, 3, T, 64, 64]``."""
    return torch.empty(1, 3, frames, 64, 64, device="meta")


def make_dense(network: nn.Module, example: Callable[[int], Any] = clip_shape) -> None:
    """Turn the temporal strides of a network into dilation, in place.

    How many frames lie between two rows at a layer is seen by running the network on shapes alone, so
    shortcuts, parallel branches and inputs at several rates need no description.

    Row t looks as far back as ahead. A kernel or a pool of an even number of rows looks one row
    further back than ahead, so that what is behind it stands for half of that row's distance earlier.
    Where the published padding is half the kernel, rounded down (``k // 2``), dense row ``s * j`` is row
    j of the network of stride s; with less padding the published rows come as much later.

    Args:
        network: Gives ``[B, D, T', H, W]``, or a list of these. Its three-dimensional convolutions and
            its maximum and average pools are changed.
        example: Frames to an input for the published network on the device ``meta``: a tensor, or a
            list of tensors of which some are at a lower rate. The dense network takes all of them at
            the full rate.

    Raises:
        ValueError: A layer cannot be made dense, or the network steps over frames in another way.
    """
    for name, rate in _rates(network, example).items():
        layer = network.get_submodule(name)
        if isinstance(layer, nn.Conv3d):
            _dilate(name, layer, rate)
        elif isinstance(layer, (nn.MaxPool3d, nn.AvgPool3d)):
            parent, _, child = name.rpartition(".")
            setattr(network.get_submodule(parent), child, DensePool(layer, rate=rate))
    frames = _LENGTHS[0]
    given = [x.new_empty(*x.shape[:2], frames, *x.shape[3:]) for x in _tensors(example(frames))]
    for rows in _tensors(_run(network, given if len(given) > 1 else given[0])):
        if rows.shape[2] != frames:
            raise ValueError(f"the network gives {rows.shape[2]} rows for {frames} frames")


def reach(network: nn.Module) -> tuple[int, int]:
    """Frames that a row of a dense network looks at before and after its own.

    Args:
        network: Dense layers one after the other. Of parallel branches, all but one must look at one
            row only, as shortcuts do.

    Returns:
        Frames before, frames after.
    """
    before = after = 0
    for layer in network.modules():
        if isinstance(layer, (nn.Conv3d, DensePool)):
            rows = layer.kernel_size[0] - 1
            before += layer.dilation[0] * (rows - rows // 2)
            after += layer.dilation[0] * (rows // 2)
    return before, after


class DensePool(nn.Module):
    """A three-dimensional pool that gives a row for every frame.

    Args:
        pool: ``nn.MaxPool3d`` or ``nn.AvgPool3d``, as it is in the published network.
        rate: Frames between two rows of its input.

    Raises:
        ValueError: It returns indices, or divides by a number of its own.
    """

    def __init__(self, pool: nn.MaxPool3d | nn.AvgPool3d, *, rate: int) -> None:
        super().__init__()
        if getattr(pool, "return_indices", False) or getattr(pool, "divisor_override", None):
            raise ValueError(f"{pool} has no dense form")
        kernel, stride, padding = (_three(v) for v in (pool.kernel_size, pool.stride, pool.padding))
        spread = _three(getattr(pool, "dilation", 1))
        self.kernel_size = (kernel[0], 1, 1)
        self.dilation = (rate * spread[0], 1, 1)
        space = {
            "kernel_size": (1, *kernel[1:]),
            "stride": (1, *stride[1:]),
            "padding": (0, *padding[1:]),
            "ceil_mode": pool.ceil_mode,
        }
        if isinstance(pool, nn.MaxPool3d):
            self.largest = self.count_all = True
            self.space = nn.MaxPool3d(**space, dilation=(1, *spread[1:]))
        else:
            self.largest, self.count_all = False, pool.count_include_pad and padding[0] > 0
            self.space = nn.AvgPool3d(**space, count_include_pad=pool.count_include_pad)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, T, H, W] -> [B, C, T, H', W']``; beyond the ends is nothing, or the pool's zeros."""
        x = self.space(x)
        if self.largest:
            return self._over_time(x, torch.maximum, float("-inf"))
        total = self._over_time(x, torch.add, 0.0)
        if self.count_all:
            return total / self.kernel_size[0]
        ones = torch.ones_like(x[:1, :1, :, :1, :1])
        return total / self._over_time(ones, torch.add, 0.0)

    def _over_time(self, x: Tensor, joined: Callable[..., Tensor], beyond: float) -> Tensor:
        rows, apart, frames = self.kernel_size[0], self.dilation[0], x.shape[2]
        before, after = apart * (rows // 2), apart * ((rows - 1) // 2)
        padded = F.pad(x, (0, 0, 0, 0, before, after), value=beyond)
        result = padded[:, :, :frames]
        for start in range(apart, apart * rows, apart):
            result = joined(result, padded[:, :, start : start + frames])
        return result


class _PadTime:
    """Zeros around the frames before a convolution, which itself can only pad both ends alike."""

    def __init__(self, before: int, after: int) -> None:
        self.sides = (0, 0, 0, 0, before, after)

    def __call__(self, module: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor]:
        return (F.pad(given[0], self.sides),)


def _dilate(name: str, conv: nn.Conv3d, rate: int) -> None:
    if isinstance(conv.padding, str) or conv.padding_mode != "zeros":
        raise ValueError(f"{name} pads with {conv.padding_mode} {conv.padding!r}: no dense form")
    rows, apart = conv.kernel_size[0] - 1, rate * conv.dilation[0]
    conv.stride = (1, *conv.stride[1:])
    conv.dilation = (apart, *conv.dilation[1:])
    if rows % 2:
        conv.padding = (0, *conv.padding[1:])
        conv.register_forward_pre_hook(_PadTime(apart * (rows - rows // 2), apart * (rows // 2)))
    else:
        conv.padding = (apart * rows // 2, *conv.padding[1:])


def _rates(network: nn.Module, example: Callable[[int], Any]) -> dict[str, int]:
    """Frames between two rows at the input of each layer that looks at or steps over several."""
    short, long = (_lengths(network, example(frames)) for frames in _LENGTHS)
    rates = {}
    for name, before in short.items():
        more, grown = _LENGTHS[1] - _LENGTHS[0], long[name] - before
        if grown < 1 or more % grown:
            raise ValueError(f"{name} gets {grown} rows for {more} frames")
        rates[name] = more // grown
    return rates


def _lengths(network: nn.Module, given: Any) -> dict[str, int]:
    """Rows at the input of each such layer."""
    found: dict[str, int] = {}

    def looking(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def look(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            rows = inputs[0].shape[2]
            if found.setdefault(name, rows) != rows:
                raise ValueError(f"{name} is used at several rates")

        return look

    hooks = [
        layer.register_forward_pre_hook(looking(name))
        for name, layer in network.named_modules()
        if isinstance(layer, (nn.Conv3d, nn.MaxPool3d, nn.AvgPool3d))
        and (_three(layer.kernel_size)[0] > 1 or _three(layer.stride)[0] > 1)
    ]
    try:
        _run(network, given)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _run(network: nn.Module, given: Any) -> Any:
    """What the network gives for shapes."""
    state = chain(network.named_parameters(), network.named_buffers())
    modes = {module: module.training for module in network.modules()}
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    network.eval()  # a single row would be refused by normalisations in training
    for norm in norms:  # which change no shape, and take the most time of all layers without values
        norm.forward = _unchanged
    try:
        with torch.no_grad():
            return functional_call(network, {k: v.to("meta") for k, v in state}, (given,))
    finally:
        for norm in norms:
            del norm.forward
        for module, training in modes.items():
            module.training = training


def _unchanged(input: Tensor) -> Tensor:
    return input


def _tensors(given: Any) -> list[Tensor]:
    return [given] if isinstance(given, Tensor) else list(given)


def _three(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return (value,) * 3 if isinstance(value, int) else tuple(value)
