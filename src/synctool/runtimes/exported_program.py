"""Exported programs of ``torch.export`` in PyTorch.

The archive holds a graph of PyTorch's operators as JSON and tensors as plain bytes. Nothing else in it is
ever loaded (``synctool.runtimes.program_archive``). Even so PyTorch evaluates the expressions that stand
for lengths in the graph, so that a file is opened only if its checksum is trusted
(``synctool.runtimes.trust``).
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterable
from pathlib import Path

import torch

from synctool.errors import WeightsError
from synctool.runtimes.program_archive import checked_archive
from synctool.runtimes.torch_graph import TorchGraph
from synctool.runtimes.trust import admit
from synctool.weights.graph_files import GraphFiles

FORMAT = "exported-program"
_AGAIN = "Export the model again."


def read(
    source: Path | GraphFiles, *, threads: int = 1, trust: str | Iterable[str] | None = None
) -> TorchGraph:
    """Load a graph.

    Args:
        source: The file, or its bytes.
        threads: Threads that it computes with.
        trust: Checksums that are trusted from now on.

    Raises:
        MissingError: There is no such file.
        UntrustedError: It is not trusted.
        WeightsError: It is damaged, no exported program, or holds pickled objects or libraries.
    """
    files = admit(source, format=FORMAT, trust=trust)
    archive = checked_archive(files.data, files.path)
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.load(io.BytesIO(archive))
            return TorchGraph(program.module(), threads=threads)
    except Exception as error:  # a damaged graph fails in any way
        raise WeightsError(
            f"{files.path} cannot be read as an exported program: "
            f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
            remedy=_AGAIN,
        ) from error
    finally:
        logging.disable(before)
