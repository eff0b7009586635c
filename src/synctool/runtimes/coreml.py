"""Graphs as Core ML packages, run on a Mac."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from synctool.errors import MissingError, WeightsError
from synctool.runtimes.trust import admit
from synctool.weights.graph_files import GraphFiles


class CoreMLGraph:
    """A ``Graph``.

    Args:
        model: A ``coremltools.models.MLModel``.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        description = model.get_spec().description
        self._inputs = [entry.name for entry in description.input]
        self._outputs = [entry.name for entry in description.output]

    def __call__(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """See ``Graph``."""
        given = {name: np.asarray(x, np.float32) for name, x in zip(self._inputs, inputs)}
        found = self._model.predict(given)
        return [np.asarray(found[name], np.float32) for name in self._outputs]


def read(
    source: Path | GraphFiles, *, threads: int, trust: str | Iterable[str] | None = None
) -> CoreMLGraph:
    """Load a graph for the processor; an application of your own may choose the neural engine.

    Args:
        source: The package, a folder, or its bytes.
        threads: Core ML decides by itself.
        trust: Checksums that are trusted from now on: a package may name layers with code of their own.

    Raises:
        MissingError: This is not a Mac, or there is no such folder.
        UntrustedError: It is not trusted.
        WeightsError: It is damaged.
    """
    if platform.system() != "Darwin":
        raise MissingError(
            "Core ML runs on Apple's systems only",
            remedy="Export to another --format to run it here, such as onnx.",
        )
    files = admit(source, format="coreml", trust=trust)
    import coremltools

    try:
        with files.private_copy() as path:
            model = coremltools.models.MLModel(
                str(path), compute_units=coremltools.ComputeUnit.CPU_ONLY
            )
            return CoreMLGraph(model)
    except Exception as error:  # of Core ML, of protobuf, of the file system
        raise WeightsError(
            f"{files.path} cannot be read by Core ML: {error}", remedy="Export it again."
        ) from error
