"""PyTorch's own exported programs, ``.pt2``: for PyTorch without this package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from synctool.exporting.formats.failures import explained
from synctool.exporting.formats.graph import GraphPart
from synctool.exporting.formats.half import half_weights
from synctool.exporting.formats.program import export_program
from synctool.files import atomic_path
from synctool.types import Precision


def write(
    part: GraphPart,
    path: Path,
    *,
    precision: Precision = "float32",
    metadata: Mapping[str, str],
    clips: Sequence[tuple[np.ndarray, ...]] | None = None,
) -> None:
    """Write a graph as a ``torch.export`` archive.

    Args:
        part: What to write.
        path: The new file.
        precision: ``float32``, or ``float16`` for weights in 16 bits.
        metadata: Texts, kept as extra files of these names inside.
        clips: Not used.

    Raises:
        ExportError: It cannot be recorded, or not for any length.
        OutputError: The file cannot be written.
    """
    program = export_program(half_weights(part) if precision == "float16" else part)
    with (
        atomic_path(path) as temporary,
        explained(part=part.name, format="exported-program"),
    ):
        torch.export.save(program, temporary, extra_files=dict(metadata))
