"""A network cut into graphs: what the writers of all formats are given.

Axes are numbers, or texts for those that may have any length: a name such as ``frames``, or a whole
multiple of one, such as ``4*frames``. Inputs of one graph that share a name have that length in common.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

Axis = int | str


@dataclass(frozen=True)
class GraphInput:
    """One input of a graph.

    Attributes:
        name: Its name in the file.
        example: float32 values of a typical shape.
        axes: One for each axis of ``example``.
    """

    name: str
    example: Tensor
    axes: tuple[Axis, ...]


@dataclass(frozen=True)
class GraphPart:
    """One graph to be written.

    Attributes:
        name: ``video``, ``audio``, ``head``, or ``model`` for all in one.
        module: Called with the inputs in order, gives a tensor or a tuple of tensors; in evaluation mode,
            on the CPU, float32.
        inputs: Its inputs.
        outputs: Names of its outputs.
    """

    name: str
    module: nn.Module
    inputs: tuple[GraphInput, ...]
    outputs: tuple[str, ...]
