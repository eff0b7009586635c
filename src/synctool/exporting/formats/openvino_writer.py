"""Graphs in OpenVINO's own format, made of the ONNX ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from synctool.exporting.formats.failures import explained
from synctool.exporting.formats.graph import GraphPart
from synctool.exporting.formats.onnx_writer import write as write_onnx
from synctool.exporting.formats.quiet import quiet
from synctool.runtimes.openvino import openvino_module
from synctool.runtimes.openvino_check import GRAPH_FILE
from synctool.temporaries import scratch_folder
from synctool.types import Precision


def write(
    part: GraphPart,
    path: Path,
    *,
    precision: Precision,
    metadata: Mapping[str, str],
    clips: Sequence[tuple[np.ndarray, ...]] | None,
) -> None:
    """Write a graph as a folder that holds ``model.xml`` and ``model.bin``, for any batch and length.

    Args:
        part: The graph.
        path: The new folder.
        precision: ``float16`` keeps the weights in 16 bits and computes in 32.
        metadata: Kept under ``rt_info`` in ``model.xml``.
        clips: Not used.

    Raises:
        ExportError: The network cannot be written as ONNX, or OpenVINO cannot read that.
    """
    with quiet():
        openvino = openvino_module()
    with scratch_folder() as folder:
        graph = folder / "graph.onnx"
        # float16 is left to OpenVINO, which knows the numbers that are too large for it.
        write_onnx(part, graph, precision="float32", metadata={}, clips=None)
        with explained(part=part.name, format="OpenVINO"):
            # Not convert_model: that is the part of OpenVINO that tells its makers.
            model = openvino.Core().read_model(str(graph))
            for key, text in metadata.items():
                model.set_rt_info(text, [key])
            path.mkdir()
            openvino.save_model(
                model, str(path / GRAPH_FILE), compress_to_fp16=precision == "float16"
            )
