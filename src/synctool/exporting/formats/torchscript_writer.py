"""TorchScript files, for programs in C++ and for phones that run LibTorch.

PyTorch calls the format deprecated, and still writes and reads it. A graph is traced: the operations of one
run are written down, and any length that was a plain number in that run would be one for ever. So the
written graph is run with other lengths and compared.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from synctool.errors import ExportError
from synctool.exporting.formats.failures import explained
from synctool.exporting.formats.graph import GraphPart
from synctool.exporting.formats.half import half_weights
from synctool.exporting.formats.program import export_program
from synctool.files import atomic_path
from synctool.types import Precision

_TRACED_FRAMES = 5
_CHECKED = ((1, 1), (2, 8))
"""Batch and frames of the runs that are compared."""
_TOLERANCE = 1e-3


def write(
    part: GraphPart,
    path: Path,
    *,
    precision: Precision = "float32",
    metadata: Mapping[str, str],
    clips: Sequence[tuple[np.ndarray, ...]] | None = None,
) -> None:
    """Write a graph as a TorchScript file.

    Args:
        part: What to write.
        path: The new file.
        precision: ``float32``, or ``float16`` for weights in 16 bits.
        metadata: Texts, kept as files of these names inside.
        clips: Not used.

    Raises:
        ExportError: It cannot be traced, or not for any length.
        OutputError: The file cannot be written.
    """
    used = set(export_program(part).state_dict)
    part = replace(part, module=_trimmed(part.module, used))
    if precision == "float16":
        part = half_weights(part)
    with explained(part=part.name, format="torchscript"), torch.no_grad():
        inputs = shortened(part, batch=2, frames=_TRACED_FRAMES)
        script: Any = torch.jit.trace(part.module, inputs, check_trace=False)
        script = script.eval()
        if precision == "float32":
            script = torch.jit.freeze(script)  # would widen weights for good
        _compare(part, script)
    with atomic_path(path) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(script, str(temporary), _extra_files=dict(metadata))


def shortened(part: GraphPart, *, batch: int, frames: int) -> tuple[Tensor, ...]:
    """The example inputs with fewer clips of fewer frames.

    Args:
        part: What they are for.
        batch: Clips, as many as the examples have at most.
        frames: Video frames, as many as the examples have at most.
    """
    whole = {
        axis: entry.example.shape[n]
        for entry in part.inputs
        for n, axis in enumerate(entry.axes)
        if isinstance(axis, str) and "*" not in axis
    }
    scaled = next((entry for entry in part.inputs if entry.name == "audio"), None)
    if "frames" not in whole and scaled is not None:
        whole["frames"] = scaled.example.shape[-1] // int(str(scaled.axes[-1]).split("*")[0])
    left_out = whole["frames"] - frames
    lengths = {"batch": batch, "frames": frames, "sounds": whole.get("sounds", 0) - left_out}
    found = []
    for entry in part.inputs:
        x = entry.example
        for n, axis in enumerate(entry.axes):
            if isinstance(axis, str):
                factor, _, name = axis.rpartition("*")
                x = x.narrow(n, 0, int(factor or 1) * lengths[name])
        found.append(x.contiguous())
    return tuple(found)


def _trimmed(module: nn.Module, used: set[str]) -> nn.Module:
    """A copy without the layers that the graph does not use: those of the network's other graphs."""
    module = copy.deepcopy(module)
    for name, layer in list(module.named_modules()):
        tensors = [f"{name}.{key}" for key in layer.state_dict()]
        if name and tensors and not used.intersection(tensors):
            parent, _, child = name.rpartition(".")
            setattr(module.get_submodule(parent), child, nn.Identity())
    return module


def _compare(part: GraphPart, script: torch.jit.ScriptModule) -> None:
    for batch, frames in _CHECKED:
        inputs = shortened(part, batch=batch, frames=frames)
        for got, wanted in zip(_outputs(script(*inputs)), _outputs(part.module(*inputs))):
            if got.shape != wanted.shape or not torch.allclose(
                got, wanted, rtol=_TOLERANCE, atol=_TOLERANCE
            ):
                raise ExportError(
                    f"the graph {part.name} cannot be written as torchscript: traced with "
                    f"{_TRACED_FRAMES} frames, it gives something else for {frames}",
                    remedy="Try --format exported-program or onnx.",
                )


def _outputs(given: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (given,) if isinstance(given, Tensor) else given
