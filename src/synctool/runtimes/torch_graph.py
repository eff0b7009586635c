"""Graphs that PyTorch runs: between the arrays of a caller and tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor


class TorchGraph:
    """One graph that PyTorch runs on the CPU.

    Args:
        module: The graph, from tensors to one tensor or several.
        threads: Threads that it computes with.
    """

    def __init__(self, module: Callable[..., Tensor | Sequence[Tensor]], *, threads: int) -> None:
        self._module = module
        self._threads = threads

    def __call__(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """See ``synctool.runtimes.protocol.Graph``."""
        with torch.inference_mode(), with_threads(self._threads):
            return arrays(self._module(*tensors(inputs)))


def tensors(inputs: Sequence[np.ndarray]) -> list[Tensor]:
    """float32 arrays as tensors on the CPU."""
    return [torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32)) for x in inputs]


def arrays(outputs: Tensor | Sequence[Tensor]) -> list[np.ndarray]:
    """One tensor or several as float32 arrays."""
    found = [outputs] if isinstance(outputs, Tensor) else outputs
    return [x.detach().float().numpy() for x in found]


@contextmanager
def with_threads(count: int) -> Iterator[None]:
    """Compute with so many threads meanwhile; the number is the calling thread's own."""
    before = torch.get_num_threads()
    if before != count:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        if before != count:
            torch.set_num_threads(before)
