"""Graphs for LiteRT, which used to be TensorFlow Lite: clips of one length, one at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from synctool.exporting.formats.failures import explained
from synctool.exporting.formats.graph import Axis, GraphPart
from synctool.exporting.formats.plain_operators import PlainOperators
from synctool.runtimes.tflite import silent_terminal
from synctool.types import Precision


def write(
    part: GraphPart,
    path: Path,
    *,
    precision: Precision,
    metadata: Mapping[str, str],
    clips: Sequence[tuple[np.ndarray, ...]] | None,
) -> dict[str, tuple[Axis, ...]]:
    """Write a graph for one clip of exactly the lengths of the part's examples.

    The converter has no dependable form of lengths that are known only when a network runs.

    Args:
        part: The graph.
        path: The new file.
        precision: ``float16`` keeps the weights in 16 bits and computes in 32.
        metadata: Kept as the file's own metadata, one entry each.
        clips: Not used.

    Returns:
        The axes of the inputs by name, all numbers.

    Raises:
        ExportError: The network, or an operator of it, has no form there.
    """
    named = {entry.name: _single(entry.example, entry.axes) for entry in part.inputs}
    with explained(part=part.name, format="TensorFlow Lite"), silent_terminal():
        import litert_torch  # pyright: ignore[reportMissingImports]

        network = _Named(part).eval()
        data = litert_torch.convert(network, sample_kwargs=named).model_content()
        if precision == "float16":
            data = _halved(data)
        data = _with_metadata(data, metadata)
    path.write_bytes(data)
    return {name: tuple(x.shape) for name, x in named.items()}


class _Named(nn.Module):
    """A graph with inputs and outputs by name, from which the converter takes their names."""

    def __init__(self, part: GraphPart) -> None:
        super().__init__()
        self.network = PlainOperators(part.module)
        self.inputs = [entry.name for entry in part.inputs]
        self.outputs = part.outputs

    def forward(self, **given: Tensor) -> dict[str, Tensor]:
        found = self.network(*(given[name] for name in self.inputs))
        return dict(zip(self.outputs, (found,) if isinstance(found, Tensor) else found))


def _single(example: Tensor, axes: Sequence[Axis]) -> Tensor:
    """The first clip of a batch."""
    for axis, length in enumerate(axes):
        if length == "batch":
            example = example.narrow(axis, 0, 1)
    return example.contiguous()


def _halved(data: bytes) -> bytes:
    """With its weights in 16 bits."""
    from ai_edge_quantizer import qtyping, quantizer  # pyright: ignore[reportMissingImports]
    from ai_edge_quantizer.algorithm_manager import AlgorithmName  # pyright: ignore[reportMissingImports]

    work = quantizer.Quantizer(bytearray(data))
    work.update_quantization_recipe(
        regex=".*",
        operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
        op_config=qtyping.OpQuantizationConfig(
            weight_tensor_config=qtyping.TensorQuantizationConfig(
                num_bits=16, dtype=qtyping.TensorDataType.FLOAT
            ),
            compute_precision=qtyping.ComputePrecision.FLOAT,
            explicit_dequantize=True,
        ),
        algorithm_key=AlgorithmName.FLOAT_CASTING,
    )
    return bytes(work.quantize().quantized_model)


def _with_metadata(data: bytes, metadata: Mapping[str, str]) -> bytes:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema  # pyright: ignore[reportMissingImports]

    model = schema.ModelT.InitFromPackedBuf(bytearray(data), 0)
    model.metadata = list(model.metadata or [])
    for key, text in metadata.items():
        buffer = schema.BufferT(data=np.frombuffer(text.encode(), np.uint8))
        model.metadata.append(schema.MetadataT(name=key, buffer=len(model.buffers)))
        model.buffers.append(buffer)
    builder = flatbuffers.Builder(len(data) + (1 << 16))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())
