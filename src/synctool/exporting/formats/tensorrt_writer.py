"""Graphs as TensorRT engines, for the kind of NVIDIA card that they are made on.

An engine is only good for the version of TensorRT and the kind of card that made it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from synctool.errors import ExportError
from synctool.exporting.formats.failures import explained
from synctool.exporting.formats.graph import GraphInput, GraphPart
from synctool.exporting.formats.onnx_writer import write as write_onnx
from synctool.runtimes.tensorrt import tensorrt_module
from synctool.temporaries import scratch_folder
from synctool.types import Precision

LARGEST_BATCH = 16
"""Clips that an engine takes at once."""
LONGEST = 2048
"""Frames, and audio frames, that it takes at most."""


def write(
    part: GraphPart,
    path: Path,
    *,
    precision: Precision,
    metadata: Mapping[str, str],
    clips: Sequence[tuple[np.ndarray, ...]] | None,
) -> None:
    """Write a graph, for any batch and length up to ``LARGEST_BATCH`` and ``LONGEST``.

    It is fastest at the lengths of the part's examples.

    Args:
        part: The graph.
        path: The new file.
        precision: ``float16`` computes the encoders in 16 bits. Of the head it changes nothing: that is
            small, and its numbers are large.
        metadata: Not used; an engine has no room for texts.
        clips: Not used.

    Raises:
        MissingError: There is no NVIDIA card, without which no engine can be built.
        ExportError: The network cannot be written as ONNX, or TensorRT cannot build that, or ``float16``
            is asked for a graph of encoders and head together.
    """
    trt = tensorrt_module()
    if precision == "float16":
        part = _halved(part)
    with scratch_folder() as folder:
        graph = folder / "graph.onnx"
        write_onnx(part, graph, precision="float32", metadata={}, clips=None)
        with explained(part=part.name, format="TensorRT"):
            path.write_bytes(_built(trt, part, graph.read_bytes()))


def _halved(part: GraphPart) -> GraphPart:
    if part.name == "head":
        return part
    if part.name not in {"video", "audio"}:
        raise ExportError(
            f"the graph {part.name} cannot be written as TensorRT in float16: its scores are too "
            "large for that",
            remedy="Export it with --parts video,audio,head, which keeps the head in float32.",
        )
    return replace(part, module=_Half(part.module).eval())


class _Half(nn.Module):
    """An encoder that computes in 16 bits, with inputs and outputs of 32."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).half()

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.network(*(x.half() for x in inputs)).float()


def _built(trt: Any, part: GraphPart, graph: bytes) -> bytes:
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    # The graph says which type each number has; from TensorRT 11 on there is nothing else.
    typed = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(typed)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(graph):
        raise _unread(part, [parser.get_error(i) for i in range(parser.num_errors)])
    config = builder.create_builder_config()
    # TF32 keeps 10 bits of what it multiplies: that is no float32.
    config.clear_flag(trt.BuilderFlag.TF32)
    config.set_flag(trt.BuilderFlag.DISABLE_TIMING_CACHE)
    profile = builder.create_optimization_profile()
    for entry in part.inputs:
        profile.set_shape(entry.name, *(_shape(entry, which) for which in range(3)))
    config.add_optimization_profile(profile)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise ExportError(
            f"the graph {part.name} cannot be written as TensorRT: it built no engine",
            remedy="Look whether other programs fill the card's memory, or try --format onnx.",
        )
    return bytes(engine)


def _shape(entry: GraphInput, which: int) -> tuple[int, ...]:
    """The smallest, the usual and the largest shape of an input."""
    sizes = []
    for axis, typical in zip(entry.axes, entry.example.shape):
        if isinstance(axis, int):
            sizes.append(axis)
        elif axis == "batch":
            sizes.append((1, 1, LARGEST_BATCH)[which])
        else:
            factor = int(axis.rpartition("*")[0] or 1)
            sizes.append((factor, int(typical), factor * LONGEST)[which])
    return tuple(sizes)


def _unread(part: GraphPart, errors: Sequence[Any]) -> ExportError:
    """What the parser said, of the first node that it could not read."""
    why = "its parser gives no reason"
    if errors:
        operator = errors[0].node_operator()
        at = f"the operator {operator}: " if operator else ""
        why = f"{at}{errors[0].desc()}"
    return ExportError(
        f"the graph {part.name} cannot be written as TensorRT: {why}",
        remedy="Try --format onnx, which onnxruntime runs on NVIDIA cards too.",
    )
