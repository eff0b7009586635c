"""ONNX files: opset 18, which the runtimes of 2023 and later read, in browsers too."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synctool.errors import ExportError
from synctool.exporting.formats.failures import explained
from synctool.exporting.formats.graph import GraphPart
from synctool.exporting.formats.program import export_program
from synctool.files import write_bytes
from synctool.types import Precision

if TYPE_CHECKING:
    import onnx

OPSET = 18
IR_VERSION = 8
"""Version of the file format that belongs to this opset."""
_LARGEST = (1 << 31) - (1 << 20)
_SYMBOL = re.compile(r"[a-z]+\d+")


def write(
    part: GraphPart,
    path: Path,
    *,
    precision: Precision = "float32",
    metadata: Mapping[str, str],
    clips: Sequence[tuple[np.ndarray, ...]] | None = None,
) -> None:
    """Write a graph as an ONNX file.

    Args:
        part: What to write.
        path: The new file.
        precision: How its numbers are kept.
        metadata: Texts for the file's ``metadata_props``.
        clips: Inputs to find the ranges of ``int8-static`` with.

    Raises:
        ExportError: It cannot be written as ONNX, or is too large for one file.
        OutputError: The file cannot be written.
    """
    program = export_program(part)
    stored = sum(t.numel() * t.element_size() for t in program.state_dict.values())
    if stored > _LARGEST:
        raise ExportError(
            f"the graph {part.name} is too large for ONNX: {stored / 1e9:.1f} GB of weights, "
            "and one file holds 2 GB",
            remedy="Try --format exported-program.",
        )
    with explained(part=part.name, format="onnx"):
        model = _converted(part, program, fold_norms=precision != "float16")
        for key, value in metadata.items():
            model.metadata_props.add(key=key, value=value)
        data = model.SerializeToString()
    write_bytes(path, data)
    if precision != "float32":
        with explained(part=part.name, format=f"onnx in {precision}"):
            _reduce(path, precision, clips)


def _reduce(
    path: Path, precision: Precision, clips: Sequence[tuple[np.ndarray, ...]] | None
) -> None:
    from synctool.exporting.formats import onnx_precision

    if precision == "float16":
        onnx_precision.to_float16_weights(path)
    elif precision == "int8-dynamic":
        onnx_precision.quantize_dynamic(path)
    else:
        onnx_precision.quantize_static(path, clips or ())


def _converted(part: GraphPart, program: Any, *, fold_norms: bool) -> onnx.ModelProto:
    """The file's content; with batch norms kept, weights that are float16 numbers stay so, and
    onnxruntime folds the norms when it loads the file."""
    import torch

    with _translations_read_once():
        written: Any = torch.onnx.export(
            program,
            dynamo=True,
            opset_version=OPSET,
            input_names=[entry.name for entry in part.inputs],
            output_names=list(part.outputs),
            optimize=fold_norms,
            verbose=False,
        )
    if not fold_norms:
        _fold_shapes(written.model)
    model = written.model_proto
    model.ir_version = IR_VERSION
    model.producer_name = "synctool"
    _tidy(model, part)
    return model


@contextmanager
def _translations_read_once() -> Iterator[None]:
    """PyTorch parses the source of its 500 translations for every graph, for a second and more.

    A version in which they lie elsewhere does so still.
    """
    try:
        from torch.onnx._internal.exporter._registration import ONNXRegistry

        original = ONNXRegistry.__dict__["from_torchlib"]
    except (ImportError, AttributeError, KeyError):
        yield
        return
    ONNXRegistry.from_torchlib = staticmethod(_translations(original.__get__(None, ONNXRegistry)))  # type: ignore[method-assign]
    try:
        yield
    finally:
        ONNXRegistry.from_torchlib = original


@cache
def _translations(read: Any) -> Any:
    return cache(read)


def _fold_shapes(model: Any) -> None:
    """What the exporter's optimiser does, without its folding of batch norms (``onnx_ir.Model``)."""
    from onnxscript import optimizer, rewriter
    from onnxscript.rewriter.rules.common import remove_optional_bias_from_conv_rule

    optimizer.inline(model)
    optimizer.fold_constants(model)
    # PyTorch writes zeros of a wrong shape as the bias of a 3-D convolution that has none.
    rewriter.rewrite(model, [remove_optional_bias_from_conv_rule])
    optimizer.remove_unused_nodes(model)


def _tidy(model: onnx.ModelProto, part: GraphPart) -> None:
    """Give the axes their names, and take out where on this machine each node came from."""
    graph = model.graph
    graph.name = part.name
    for holder in (*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del holder.metadata_props[:]
        holder.doc_string = ""
    del graph.metadata_props[:]
    del graph.value_info[:]  # shapes within, under names that PyTorch made up
    names: dict[str, str] = {}
    for value, entry in zip(graph.input, part.inputs, strict=True):
        for dim, length in zip(value.type.tensor_type.shape.dim, entry.axes, strict=True):
            if isinstance(length, str):
                names.update(dict.fromkeys(_SYMBOL.findall(dim.dim_param), length.split("*")[-1]))
                dim.dim_param = length
    for value in graph.output:
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            if dim.dim_param:
                named = _SYMBOL.sub(lambda m: names.get(m[0], m[0]), dim.dim_param)
                unnamed = set(_SYMBOL.findall(named))
                dim.dim_param = f"{value.name}_axis_{axis}" if unnamed else named
