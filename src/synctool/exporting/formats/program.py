"""Networks as PyTorch's own graphs, from which the formats are made."""

from __future__ import annotations

import inspect
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.export import Dim, ExportedProgram, export
from torch.export.graph_signature import ExportGraphSignature, InputKind
from torch.utils._sympy.value_ranges import ValueRanges

from synctool.exporting.formats.failures import explained
from synctool.exporting.formats.graph import GraphInput, GraphPart

_SHORTEST = 2
"""PyTorch asks at many places whether a length is 1, to lay out memory, and would bind the graph to the
answer. The graph computes the same for 1, as the tests of all networks show."""
_STATE = (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR)


def export_program(part: GraphPart) -> ExportedProgram:
    """The graph of a part, for any length of the axes that may have any.

    It holds the tensors that it uses, and none of the rest of the network.

    Args:
        part: What to write.

    Raises:
        ExportError: It cannot be recorded, or not for any length.
    """
    lengths: dict[str, Dim] = {}
    shapes: tuple[Any, ...] = tuple(_dimensions(entry, lengths) for entry in part.inputs)
    taken = inspect.signature(part.module.forward).parameters.values()
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in taken):
        shapes = (shapes,)
    inputs = tuple(entry.example for entry in part.inputs)
    with explained(part=part.name, format="a graph of PyTorch"), torch.no_grad(), _any_length():
        return _cleared(export(part.module, inputs, dynamic_shapes=shapes))


def _dimensions(entry: GraphInput, lengths: dict[str, Dim]) -> dict[int, Dim]:
    found = {}
    for axis, length in enumerate(entry.axes):
        if isinstance(length, str):
            factor, _, name = length.rpartition("*")
            dim = lengths.setdefault(name, Dim(name, min=_SHORTEST))
            found[axis] = int(factor) * dim if factor else dim
    return found


def _any_length() -> AbstractContextManager[object]:
    """Lengths 0 and 1 are no cases of their own: a video may have one frame.

    The setting is the one that ``torch.onnx`` itself exports with.
    """
    import torch.fx.experimental._config

    _config: Any = torch.fx.experimental._config
    if not hasattr(_config, "backed_size_oblivious"):
        return nullcontext()
    return _config.patch(backed_size_oblivious=True)


def _from_one(length: Any, bounds: ValueRanges) -> ValueRanges:
    """The bounds of a length, or of a multiple of one, where the length itself may be 1."""
    lengths = length.free_symbols
    if len(lengths) == 1 and bounds.lower == length.xreplace({next(iter(lengths)): _SHORTEST}):
        return ValueRanges(bounds.lower // _SHORTEST, bounds.upper)
    return bounds


def _cleared(program: ExportedProgram) -> ExportedProgram:
    """Without the tensors that the graph does not use, those of the network's other graphs, and
    without the refusal of a length of 1."""
    signature, graph = program.graph_signature, program.graph_module.graph
    nodes = {node.name: node for node in graph.nodes if node.op == "placeholder"}
    unused = {
        spec.arg.name
        for spec in signature.input_specs
        if spec.kind in _STATE and not nodes[spec.arg.name].users
    }
    for name in unused:
        graph.erase_node(nodes[name])
    for node in graph.nodes:
        node.meta.pop("stack_trace", None)  # names of folders of this machine
    program.graph_module.recompile()
    kept = [spec for spec in signature.input_specs if spec.arg.name not in unused]
    targets = {spec.target for spec in kept}
    return ExportedProgram(
        root=program.graph_module,
        graph=graph,
        graph_signature=ExportGraphSignature(kept, signature.output_specs),
        state_dict={k: v for k, v in program.state_dict.items() if k in targets},
        range_constraints={k: _from_one(k, v) for k, v in program.range_constraints.items()},
        module_call_graph=program.module_call_graph,
        example_inputs=None,  # they would be a part of the file
        constants={k: v for k, v in program.constants.items() if k in targets},
        verifiers=[program.verifier],
    )
