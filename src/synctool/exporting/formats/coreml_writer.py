"""Graphs as Core ML packages ("ML programs"), for macOS 14, iOS 17 and later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from synctool._version import __version__
from synctool.errors import ExportError
from synctool.exporting.formats.failures import explained
from synctool.exporting.formats.plain_operators import PlainOperators
from synctool.types import Precision

if TYPE_CHECKING:
    from synctool.exporting.formats.graph import GraphInput, GraphPart

LONGEST = 16384
"""Frames, and audio frames, that a graph takes at most; Core ML wants to be told."""
LARGEST_BATCH = 256
"""Clips that a graph takes at once."""


def write(
    part: GraphPart,
    path: Path,
    *,
    precision: Precision,
    metadata: Mapping[str, str],
    clips: Sequence[tuple[np.ndarray, ...]] | None,
) -> None:
    """Write a graph, for any batch and length up to ``LARGEST_BATCH`` and ``LONGEST``.

    Core ML itself exists on Apple's systems only: elsewhere nothing can run what is written.

    Args:
        part: The graph.
        path: The new package, a folder; its name must end in ``.mlpackage``.
        precision: ``float16`` computes in 16 bits too, as Apple's neural engine does.
        metadata: Kept as the package's user-defined metadata.
        clips: Not used.

    Raises:
        ExportError: The network, or an operator of it, has no form there.
    """
    with explained(part=part.name, format="Core ML"):
        import coremltools as ct

        exact = precision == "float32"
        model: Any = ct.convert(
            _traced(part),
            convert_to="mlprogram",
            inputs=[_input(entry) for entry in part.inputs],
            outputs=[ct.TensorType(name=name, dtype=np.float32) for name in part.outputs],
            minimum_deployment_target=ct.target.iOS17,
            compute_precision=ct.precision.FLOAT32 if exact else ct.precision.FLOAT16,
            pass_pipeline=_passes(),
            skip_model_load=True,
        )
        model.version = __version__
        model.short_description = f"{part.name} graph of a lip-sync network"
        model.user_defined_metadata.update(metadata)
        model.save(str(path))


def _passes() -> Any:
    """All but the one that keeps lengths in 16 bits, where those of long clips have no room."""
    import coremltools as ct

    passes = ct.PassPipeline()
    passes.remove_passes({"common::add_int16_cast"})
    return passes


def _input(entry: GraphInput) -> Any:
    import coremltools as ct

    shape = [
        axis if isinstance(axis, int) else _range(axis, int(size))
        for axis, size in zip(entry.axes, entry.example.shape)
    ]
    return ct.TensorType(name=entry.name, shape=tuple(shape), dtype=np.float32)


def _range(axis: str, typical: int) -> Any:
    import coremltools as ct

    if axis == "batch":
        return ct.RangeDim(1, LARGEST_BATCH, 1)
    factor = int(axis.rpartition("*")[0] or 1)
    return ct.RangeDim(factor, factor * LONGEST, typical)


def _traced(part: GraphPart) -> torch.jit.ScriptModule:
    """The network as TorchScript, from which alone coremltools can take lengths of any multiple.

    Tracing records one run, and a loop over a length would silently be recorded as it ran. So what
    was recorded is compared with the network at other lengths.
    """
    network = PlainOperators(part.module).eval()
    examples = tuple(entry.example for entry in part.inputs)
    with torch.no_grad():
        traced: Any = torch.jit.trace(network, examples, check_trace=False)
        for other in (_resized(part, -3), _resized(part, 7)):
            try:
                expected, found = (_tensors(run(*other)) for run in (part.module, traced))
            except RuntimeError as error:
                raise _tied(part) from error
            for a, b in zip(expected, found):
                if a.shape != b.shape or not torch.allclose(a, b, rtol=1e-4, atol=1e-4):
                    raise _tied(part)
    return traced


def _resized(part: GraphPart, more: int) -> tuple[torch.Tensor, ...]:
    """Inputs of so many more frames, and of another batch."""
    found = []
    for entry in part.inputs:
        x = entry.example
        for axis, length in enumerate(entry.axes):
            if isinstance(length, int):
                continue
            factor, _, name = length.rpartition("*")
            size = 1 if name == "batch" else x.shape[axis] + more * int(factor or 1)
            x = x.index_select(axis, torch.arange(size) % x.shape[axis])
        found.append(x)
    return tuple(found)


def _tensors(given: Any) -> list[torch.Tensor]:
    return [given] if isinstance(given, torch.Tensor) else list(given)


def _tied(part: GraphPart) -> ExportError:
    return ExportError(
        f"the graph {part.name} cannot be written as Core ML: what it does depends on the length "
        "of its input in a way that a recording of one run does not hold",
        remedy="Export it to another --format, such as onnx.",
    )
