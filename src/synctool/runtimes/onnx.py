"""Exported ONNX graphs in onnxruntime, on the CPU; PyTorch is not needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from synctool.errors import WeightsError
from synctool.onnxruntime_import import onnxruntime_module
from synctool.runtimes.onnx_check import checked_onnx
from synctool.weights.graph_files import GraphFiles, read_graph_files


class OnnxGraph:
    """One graph in onnxruntime.

    Args:
        files: The file, in memory.
        threads: Threads that it computes with.

    Raises:
        WeightsError: It is damaged, no ONNX graph, or has custom operators or outside data.
    """

    def __init__(self, files: GraphFiles, *, threads: int = 1) -> None:
        onnxruntime = onnxruntime_module()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        # Idle threads must sleep, not spin: decoding goes on on the same cores.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Without this it would ask the bytes, and take them for its own format if they say so.
        options.add_session_config_entry("session.load_model_format", "ONNX")
        graph = checked_onnx(files.data, files.path)
        try:
            self._session = onnxruntime.InferenceSession(
                graph, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's own errors share no base with each other
            raise WeightsError(
                f"{files.path} cannot be read as an ONNX graph: {_first_line(error)}",
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


def read(source: Path | GraphFiles, *, threads: int = 1) -> OnnxGraph:
    """Load a graph.

    Args:
        source: The file, or its bytes.
        threads: Threads that it computes with.

    Raises:
        MissingError: There is no such file.
        WeightsError: It is damaged, no ONNX graph, or has custom operators or outside data.
    """
    files = read_graph_files(source) if isinstance(source, Path) else source
    return OnnxGraph(files, threads=threads)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
