"""An ONNX file of one graph made smaller: weights in 16 bits, or weights and sums in 8.

Eight bits as of Jacob et al. 2018 (arXiv:1712.05877), by onnxruntime's own tools: a range for each output
channel of the weights, one for each tensor between the layers. Only what multiplies by weights becomes
whole numbers, and what lies between two such layers; normalisations, attention and the outputs stay
float32. A graph with outputs ``*_features`` is made smaller up to these, and its head is left alone.

The file is replaced whole or not at all. It keeps its texts, its inputs and outputs and their names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from synctool.errors import ExportError
from synctool.exporting.formats.failures import explained
from synctool.files import write_bytes
from synctool.onnxruntime_import import onnxruntime_module
from synctool.temporaries import scratch_folder

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

_LEAST_VALUES = 1024
"""Smaller tensors, such as biases and the statistics of norms, weigh nothing and stay exact."""
_HALF_STEP = 2.0**-11
"""Rounding to float16 changes a number by no more than this share of it, unless it is too large or too
small for float16."""
_WITH_WEIGHTS = ("Conv", "Gemm", "MatMul")
_TITLE = "ONNX in 8 bits"


def to_float16_weights(path: Path) -> None:
    """Keep the weights in 16 bits; they are turned back when the file is loaded, and computing stays float32.

    Weights whose range float16 does not cover stay as they are. Those that are float16 numbers already
    come back to the last bit: for that, batch norms must not have been folded into them.

    Args:
        path: The file.

    Raises:
        OutputError: It cannot be written.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(path)
    given = {entry.name for entry in model.graph.input}
    casts = []
    for weights in model.graph.initializer:
        if weights.data_type != TensorProto.FLOAT or weights.name in given:
            continue
        half = _halved(numpy_helper.to_array(weights))
        if half is None:
            continue
        name = weights.name
        weights.CopyFrom(numpy_helper.from_array(half, f"{name}.float16"))
        casts.append(
            helper.make_node(
                "Cast", [weights.name], [name], name=f"{name}.float32", to=TensorProto.FLOAT
            )
        )
    _set_nodes(model.graph, [*casts, *model.graph.node])
    write_bytes(path, model.SerializeToString())


def quantize_static(path: Path, clips: Sequence[tuple[np.ndarray, ...]]) -> None:
    """Compute in 8 bits, with ranges that are found now: the largest and smallest values of real clips.

    Weights have 7 bits: with 8, the sums of x86 processors without VNNI instructions may overflow.

    Args:
        path: The file.
        clips: Inputs of the graph in its order, float32 and with the axis of the batch; the lengths of
            clips may differ. Read once, one by one.

    Raises:
        ValueError: There are no clips.
        ExportError: It cannot be done with this graph.
        OutputError: The file cannot be written.
    """
    tools = onnxruntime_module("quantization")
    if not len(clips):
        raise ValueError("no clips to find ranges with")
    with _quantized(path) as work:
        tools.quantize_static(
            work.source,
            work.target,
            _Feeds(work.inputs, clips),
            quant_format=tools.QuantFormat.QDQ,
            op_types_to_quantize=[*_WITH_WEIGHTS, "Relu", "Add"],
            nodes_to_quantize=sorted(work.chosen),
            per_channel=True,
            reduce_range=True,
            activation_type=tools.QuantType.QUInt8,
            weight_type=tools.QuantType.QInt8,
            extra_options={
                "MatMulConstBOnly": True,
                "OpTypesToExcludeOutputQuantization": ["Gemm", "MatMul"],
            },
        )


def quantize_dynamic(path: Path) -> None:
    """Compute in 8 bits, with ranges that are found anew in every input; needs no clips, and is slower.

    A frame's result then depends a little on all others that go through the graph with it.

    Args:
        path: The file.

    Raises:
        ExportError: It cannot be done with this graph.
        OutputError: The file cannot be written.
    """
    tools = onnxruntime_module("quantization")
    with _quantized(path) as work:
        # Unsigned weights: onnxruntime's convolution is three times as slow with signed ones.
        tools.quantize_dynamic(
            work.source,
            work.target,
            op_types_to_quantize=["Conv", "MatMul"],
            nodes_to_exclude=sorted(work.spared),
            per_channel=True,
            weight_type=tools.QuantType.QUInt8,
        )


@dataclass(frozen=True)
class _Work:
    """A graph that is ready to be quantised.

    Attributes:
        source: The prepared file.
        target: Where the result belongs.
        inputs: Names.
        chosen: Names of the nodes to quantise.
        spared: Names of the nodes with weights that must stay as they are, also as onnxruntime calls them
            after taking Gemm apart.
    """

    source: Path
    target: Path
    inputs: list[str]
    chosen: set[str]
    spared: set[str]


class _Feeds:
    """Clips one by one, as onnxruntime asks for them (``CalibrationDataReader``)."""

    def __init__(self, names: Sequence[str], clips: Sequence[tuple[np.ndarray, ...]]) -> None:
        self._names, self._clips = names, iter(clips)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next clip, None after the last."""
        clip = next(self._clips, None)
        return None if clip is None else dict(zip(self._names, clip))


@contextmanager
def _quantized(path: Path) -> Iterator[_Work]:
    """Prepare a graph; what the block makes of it takes the file's place once it is known to load."""
    import onnx

    before = onnx.load(path)
    with explained(part=before.graph.name, format=_TITLE), scratch_folder() as folder:
        work = _prepared(before, folder)
        yield work
        after = onnx.load(work.target)
        _take_over(before, after)
        data = after.SerializeToString()
        _load(data)
    write_bytes(path, data)


def _prepared(model: ModelProto, folder: Path) -> _Work:
    """Norms folded into convolutions, shapes inferred, and the nodes chosen."""
    import onnx

    tools = onnxruntime_module("quantization.shape_inference")
    source = folder / "prepared.onnx"
    ready = onnx.ModelProto()
    ready.CopyFrom(model)
    _measure_behind_norms(ready.graph)
    # The shapes that PyTorch noted are of no use here, and stale ones lead the tools astray.
    del ready.graph.value_info[:]
    onnx.save(ready, source)
    # Its inference of symbolic shapes gives up at some operators; onnx's own is enough.
    tools.quant_pre_process(source, source, skip_symbolic_shape=True)
    ready = onnx.load(source)
    graph = ready.graph
    names = {weights.name for weights in graph.initializer}
    shapes = [entry for entry in graph.value_info if entry.name not in names]
    del graph.value_info[:]
    graph.value_info.extend(shapes)
    for i, node in enumerate(graph.node):
        node.name = f"{node.op_type}_{i}"  # some have none, and nodes are chosen by name
    _give_each_its_own(graph)
    onnx.save(ready, source)
    chosen, spared = _chosen(graph)
    if not chosen:
        raise ExportError(
            f"the graph {model.graph.name} cannot be written as {_TITLE}: no Conv, Gemm or MatMul in it "
            "multiplies by weights of its own",
            remedy="Export it with --half, or as it is.",
        )
    inputs = [entry.name for entry in graph.input if entry.name not in names]
    return _Work(source, folder / "small.onnx", inputs, chosen, spared)


def _chosen(graph: GraphProto) -> tuple[set[str], set[str]]:
    """Names of the nodes to quantise, none where there is nothing to gain, and of those to leave alone."""
    weights = {entry.name for entry in graph.initializer}
    wanted = _leading_to(graph, [o.name for o in graph.output if o.name.endswith("_features")])
    chosen: set[str] = set()
    spared: set[str] = set()
    whole: set[str] = set()  # tensors that are there as whole numbers
    gain = False
    for node in graph.node:
        if node.op_type in _WITH_WEIGHTS:
            fits = node.name in wanted and node.input[1] in weights
            gain |= fits
            if not fits:
                spared |= {node.name, f"{node.name}_MatMul"}
        else:
            # A sum with something that is float32 would lose more than it saves.
            fits = node.op_type in ("Relu", "Add") and whole.issuperset(node.input)
        if fits:
            chosen.add(node.name)
            if node.op_type not in ("Gemm", "MatMul"):
                whole.update(node.output)
    return (chosen if gain else set()), spared


def _leading_to(graph: GraphProto, outputs: Sequence[str]) -> set[str]:
    """Names of the nodes that outputs depend on; of all nodes where none is asked for."""
    if not outputs:
        return {node.name for node in graph.node}
    needed, found = set(outputs), set()
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            found.add(node.name)
            needed.update(node.input)
    return found


def _measure_behind_norms(graph: GraphProto) -> None:
    """Let nodes that ask for the shape before a batch norm or a Relu ask for the one behind it, which is
    the same: a convolution whose output is used twice is not joined with what follows. onnxruntime mends
    the order of the nodes."""
    same = ("BatchNormalization", "Relu")
    behind = {node.input[0]: node.output[0] for node in graph.node if node.op_type in same}
    for node in graph.node:
        while node.op_type == "Shape" and node.input[0] in behind:
            node.input[0] = behind[node.input[0]]


def _give_each_its_own(graph: GraphProto) -> None:
    """Copy weights that several nodes share: onnxruntime transposes those of a Gemm in their place."""
    weights = {entry.name: entry for entry in graph.initializer}
    used: set[str] = set()
    for node in graph.node:
        for i, name in enumerate(node.input):
            if node.op_type in _WITH_WEIGHTS and name in used and name in weights:
                copy = graph.initializer.add()
                copy.CopyFrom(weights[name])
                copy.name = f"{name}.{node.name}"
                node.input[i] = copy.name
            used.add(name)


def _take_over(before: ModelProto, after: ModelProto) -> None:
    """Give a quantised graph the texts, inputs and outputs of the one it was made of."""
    for kept, made in (
        (before.metadata_props, after.metadata_props),
        (before.graph.input, after.graph.input),
        (before.graph.output, after.graph.output),
    ):
        del made[:]
        cast(Any, made).extend(kept)
    after.graph.name = before.graph.name
    after.ir_version = before.ir_version
    # onnxruntime names all operator sets that it knows, and notes shapes that it infers anyway.
    domains = {node.domain for node in after.graph.node} | {""}
    known = [entry for entry in after.opset_import if entry.domain in domains]
    del after.opset_import[:]
    after.opset_import.extend(known)
    del after.graph.value_info[:]


def _load(data: bytes) -> None:
    """Make sure that onnxruntime has all operators of a file on a CPU."""
    onnxruntime = onnxruntime_module()
    onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])


def _halved(values: np.ndarray) -> np.ndarray | None:
    """Values in float16, None where they are few or float16 does not cover their range."""
    if values.size < _LEAST_VALUES:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        half = values.astype(np.float16)
        lost = np.abs(half.astype(np.float32) - values).max()
    return half if lost <= _HALF_STEP * np.abs(values).max() else None


def _set_nodes(graph: GraphProto, nodes: Iterable[NodeProto]) -> None:
    nodes = list(nodes)
    del graph.node[:]
    graph.node.extend(nodes)
