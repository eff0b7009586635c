"""Exported TorchScript graphs in PyTorch.

A TorchScript file is a program. Loading it runs no Python and unpickles nothing but what TorchScript's own
reader knows, and still it is code of whoever made it: the engine opens only files whose checksum is in the
manifest, and a manifest is to be trusted no more than where it came from.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from synctool.errors import MissingError, WeightsError
from synctool.runtimes.torch_arrays import arrays, tensors, with_threads


class TorchScriptGraph:
    """One traced graph.

    Args:
        path: The file.
        threads: Threads that it computes with.

    Raises:
        MissingError: There is no such file.
        WeightsError: It is damaged, or no TorchScript.
    """

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        if not path.is_file():
            raise MissingError(f"{path} is not there", remedy="Export the model again.")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # deprecated, says PyTorch
                script = torch.jit.load(str(path), map_location="cpu").eval()
                # Weights kept in 16 bits are widened here, once.
                self._script = torch.jit.freeze(script) if hasattr(script, "training") else script
        except (RuntimeError, ValueError, EOFError) as error:
            raise WeightsError(
                f"{path} cannot be read as TorchScript: {str(error).splitlines()[0]}",
                remedy="Export the model again.",
            ) from error
        self._threads = threads

    def __call__(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """See ``synctool.runtimes.protocol.Graph``."""
        with torch.inference_mode(), with_threads(self._threads):
            return arrays(self._script(*tensors(inputs)))


def read(path: Path, *, threads: int = 1) -> TorchScriptGraph:
    """Load a graph.

    Args:
        path: The file.
        threads: Threads that it computes with.

    Raises:
        MissingError: There is no such file.
        WeightsError: It is damaged, or no TorchScript.
    """
    return TorchScriptGraph(path, threads=threads)
