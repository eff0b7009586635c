"""Computes what a saved Core ML package says, with PyTorch: Core ML itself is on Apple's systems only.

It reads the operators of the file as https://apple.github.io/coremltools/docs-guides documents them, so it
shows that the conversion is right, and nothing about Core ML's own arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def evaluate(package: Path, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The outputs of a package, by name."""
    import coremltools as ct
    from coremltools.converters.mil.frontend.milproto.load import load

    spec = ct.utils.load_spec(str(package))
    weights = str(package / "Data" / "com.apple.CoreML" / "weights")
    function = load(spec, spec.specificationVersion, weights).functions["main"]
    known: dict[Any, Any] = {
        function.inputs[name]: torch.as_tensor(x) for name, x in inputs.items()
    }

    def value(of: Any) -> Any:
        if isinstance(of, (list, tuple)):
            return [value(one) for one in of]
        if of in known:
            return known[of]
        return torch.as_tensor(of.val) if isinstance(of.val, (np.ndarray, np.generic)) else of.val

    for op in function.operations:
        if op.op_type == "const":
            continue
        given = {key: value(of) for key, of in op.inputs.items() if of is not None}
        found = OPERATORS[op.op_type](**given)
        known.update(zip(op.outputs, found if isinstance(found, tuple) else (found,)))
    return {out.name: np.asarray(known[out]) for out in function.outputs}


def _ints(x: Any) -> list[int]:
    return [int(n) for n in torch.as_tensor(x).flatten()]


def _slice(x: Tensor, begin: Tensor, end: Tensor, **more: Any) -> Tensor:
    none = [False] * x.dim()
    strides = _ints(more.get("stride", torch.ones(x.dim())))
    masks = [
        list(map(bool, more.get(f"{name}_mask", none))) for name in ("begin", "end", "squeeze")
    ]
    places: list[Any] = []
    rows = zip(_ints(begin), _ints(end), strides, *masks)
    for first, last, stride, from_start, to_end, squeezed in rows:
        assert stride > 0
        if squeezed:
            places.append(first)
        else:
            places.append(slice(None if from_start else first, None if to_end else last, stride))
    return x[tuple(places)]


def _conv(x: Tensor, weight: Tensor, pad_type: str, **more: Any) -> Tensor:
    assert pad_type in {"valid", "custom"}
    axes = x.dim() - 2
    pads = _ints(more["pad"]) if pad_type == "custom" else [0] * 2 * axes
    sides = [pads[2 * axis + side] for axis in reversed(range(axes)) for side in (0, 1)]
    convolve = (F.conv1d, F.conv2d, F.conv3d)[axes - 1]
    strides, dilations = _ints(more["strides"]), _ints(more["dilations"])
    return convolve(
        F.pad(x, sides), weight, more.get("bias"), strides, 0, dilations, int(more["groups"])
    )


def _pad(x: Tensor, pad: Tensor, mode: str, constant_val: float = 0.0) -> Tensor:
    sides = _ints(pad)
    flat = [sides[i + side] for i in reversed(range(0, len(sides), 2)) for side in (0, 1)]
    while flat[-2:] == [0, 0]:
        del flat[-2:]
    return F.pad(x, flat, mode, float(constant_val) if mode == "constant" else None)


def _divided(x: Tensor, y: Tensor) -> Tensor:
    """Of integers, an integer."""
    whole = not torch.is_floating_point(torch.as_tensor(x))
    return torch.div(x, y, rounding_mode="floor" if whole else None)


def _cast(x: Tensor, dtype: str) -> Tensor:
    kinds = {"fp32": torch.float32, "fp16": torch.float16, "int32": torch.int32, "bool": torch.bool}
    return x.to(kinds[dtype])


def _reduced(x: Tensor, axes: Tensor, keep_dims: bool, by: Callable[..., Tensor]) -> Tensor:
    return by(x, dim=tuple(_ints(axes)), keepdim=bool(keep_dims))


def _reshaped(x: Tensor, shape: Tensor) -> Tensor:
    sizes = [x.shape[i] if size == 0 else size for i, size in enumerate(_ints(shape))]
    return x.reshape(sizes)


def _joined(values: list[Tensor], axis: Tensor, interleave: bool) -> Tensor:
    assert not interleave
    return torch.cat([torch.atleast_1d(torch.as_tensor(v)) for v in values], int(axis))


def _gathered(x: Tensor, indices: Tensor, axis: Tensor, **_: Any) -> Tensor:
    where = torch.as_tensor(indices).long()
    found = x.index_select(int(axis), where.flatten())
    return found.reshape([*x.shape[: int(axis)], *where.shape, *x.shape[int(axis) + 1 :]])


def _normalised(x: Tensor, mean: Tensor, variance: Tensor, **more: Any) -> Tensor:
    return F.batch_norm(
        x, mean, variance, more.get("gamma"), more.get("beta"), eps=float(more["epsilon"])
    )


def _multiplied(x: Tensor, y: Tensor, transpose_x: bool, transpose_y: bool) -> Tensor:
    a, b = (z.mT if flip else z for z, flip in ((x, transpose_x), (y, transpose_y)))
    return a @ b


def _split(x: Tensor, axis: Tensor, **more: Any) -> tuple[Tensor, ...]:
    if "split_sizes" in more:
        return x.split(_ints(more["split_sizes"]), int(axis))
    return x.chunk(int(more["num_splits"]), int(axis))


def _pooled(x: Tensor, kernel_sizes: Tensor, strides: Tensor, pad_type: str, **more: Any) -> Tensor:
    assert pad_type in {"valid", "custom"} and not more.get("ceil_mode", False)
    pads = _ints(more["pad"]) if pad_type == "custom" else [0] * 2 * (x.dim() - 2)
    assert pads[::2] == pads[1::2]
    pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[x.dim() - 3]
    return pool(x, _ints(kernel_sizes), _ints(strides), pads[::2])


def _expanded(x: Tensor, axes: Tensor) -> Tensor:
    for axis in sorted(_ints(axes)):
        x = x.unsqueeze(axis)
    return x


OPERATORS: dict[str, Callable[..., Any]] = {
    "add": lambda x, y: x + y,
    "batch_norm": _normalised,
    "cast": _cast,
    "concat": _joined,
    "conv": _conv,
    "equal": lambda x, y: x == y,
    "exp": lambda x: x.exp(),
    "expand_dims": _expanded,
    "fill": lambda shape, value: torch.full(_ints(shape), value.item(), dtype=value.dtype),
    "fill_like": lambda ref_tensor, value: torch.full_like(ref_tensor, value.item()),
    "floor_div": lambda x, y: torch.div(x, y, rounding_mode="floor"),
    "gather": _gathered,
    "gelu": lambda x, mode: F.gelu(x),
    "greater": lambda x, y: x > y,
    "greater_equal": lambda x, y: x >= y,
    "less": lambda x, y: x < y,
    "linear": lambda x, weight, bias=None: F.linear(x, weight, bias),
    "logical_and": lambda x, y: x & y,
    "logical_not": lambda x: ~x,
    "matmul": _multiplied,
    "maximum": lambda x, y: torch.maximum(x, torch.as_tensor(y, dtype=x.dtype)),
    "max_pool": _pooled,
    "minimum": lambda x, y: torch.minimum(x, torch.as_tensor(y, dtype=x.dtype)),
    "mul": lambda x, y: x * y,
    "pad": _pad,
    "range_1d": lambda start, end, step: torch.arange(int(start), int(end), int(step)),
    "real_div": _divided,
    "reduce_l2_norm": lambda x, axes, keep_dims: _reduced(
        x, axes, keep_dims, torch.linalg.vector_norm
    ),
    "reduce_mean": lambda x, axes, keep_dims: _reduced(x, axes, keep_dims, torch.mean),
    "reduce_sum": lambda x, axes, keep_dims: _reduced(x, axes, keep_dims, torch.sum),
    "relu": lambda x: x.relu(),
    "reshape": _reshaped,
    "reverse": lambda x, axes: x.flip(_ints(axes)),
    "select": lambda cond, a, b: torch.where(cond, a, b),
    "shape": lambda x: torch.tensor(x.shape, dtype=torch.int32),
    "sigmoid": lambda x: x.sigmoid(),
    "slice_by_index": _slice,
    "softmax": lambda x, axis: x.softmax(int(axis)),
    "split": _split,
    "sqrt": lambda x: x.sqrt(),
    "square": lambda x: x.square(),
    "squeeze": lambda x, axes: x.squeeze(tuple(_ints(axes))),
    "stack": lambda values, axis: torch.stack([torch.as_tensor(v) for v in values], int(axis)),
    "sub": lambda x, y: x - y,
    "tile": lambda x, reps: x.tile(_ints(reps)),
    "transpose": lambda x, perm: x.permute(_ints(perm)),
}
