"""Between the arrays of a graph's caller and the tensors of PyTorch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor


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
