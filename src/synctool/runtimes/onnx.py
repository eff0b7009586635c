"""Exported ONNX graphs in onnxruntime, on the CPU; PyTorch is not needed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from synctool.errors import MissingError, WeightsError


class OnnxGraph:
    """One graph in onnxruntime.

    Args:
        path: The file.
        threads: Threads that it computes with.

    Raises:
        MissingError: There is no such file.
        WeightsError: It is damaged, or no ONNX graph.
    """

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        # Idle threads must sleep, not spin: decoding goes on on the same cores.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if not path.is_file():
            raise MissingError(f"{path} is not there", remedy="Export the model again.")
        try:
            self._session = onnxruntime.InferenceSession(
                os.fspath(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's own errors share no base with each other
            raise WeightsError(
                f"{path} cannot be read as an ONNX graph: {_first_line(error)}",
                remedy="Export the model again.",
            ) from error
        self._names = [entry.name for entry in self._session.get_inputs()]

    def __call__(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """See ``synctool.runtimes.protocol.Graph``."""
        given = {
            name: np.ascontiguousarray(x, dtype=np.float32)
            for name, x in zip(self._names, inputs, strict=True)
        }
        return self._session.run(None, given)


def read(path: Path, *, threads: int = 1) -> OnnxGraph:
    """Load a graph.

    Args:
        path: The file.
        threads: Threads that it computes with.

    Raises:
        MissingError: There is no such file.
        WeightsError: It is damaged, or no ONNX graph.
    """
    return OnnxGraph(path, threads=threads)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
