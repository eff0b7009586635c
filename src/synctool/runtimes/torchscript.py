"""Exported TorchScript graphs in PyTorch.

A TorchScript file is a program: loading it runs what its ``__setstate__`` says, which may write files. So
it is opened only if its checksum is trusted (``synctool.runtimes.trust``), and what is loaded are the bytes
that it was taken of.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable
from pathlib import Path

import torch

from synctool.errors import WeightsError
from synctool.runtimes.torch_graph import TorchGraph
from synctool.runtimes.trust import admit
from synctool.weights.graph_files import GraphFiles

FORMAT = "torchscript"


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
        WeightsError: It is damaged, or no TorchScript.
    """
    files = admit(source, format=FORMAT, trust=trust)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecated, says PyTorch
            script = torch.jit.load(io.BytesIO(files.data), map_location="cpu").eval()
            # Weights kept in 16 bits are widened here, once.
            frozen = torch.jit.freeze(script) if hasattr(script, "training") else script
    except WeightsError:
        raise
    except Exception as error:  # a damaged file fails in any way
        raise WeightsError(
            f"{files.path} cannot be read as TorchScript: {(str(error) or '?').splitlines()[0]}",
            remedy="Export the model again.",
        ) from error
    return TorchGraph(frozen, threads=threads)
