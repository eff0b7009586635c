"""Batches from worker processes beside the training, in order."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from synctool.data.windows import WindowBatch, WindowStream

_AHEAD = 3
"""Batches that a worker makes ahead."""


def batches(stream: WindowStream, *, start: int, workers: int) -> Iterator[WindowBatch]:
    """The batches of a stream from a number on, without end.

    Args:
        stream: Where they come from; it shares them out to the workers itself.
        start: Number of the first.
        workers: Processes that make them; 0 for this one.
    """
    stream.start_at(start)
    pack: Any = _as_arrays if workers else None
    loader = DataLoader(
        stream,
        batch_size=None,
        num_workers=workers,
        prefetch_factor=_AHEAD if workers else None,
        worker_init_fn=_settle,
        collate_fn=pack,
        # One of its own: the program's random state must not depend on when a run was continued.
        generator=torch.Generator().manual_seed(0),
    )
    return (_as_tensors(batch) for batch in loader) if workers else iter(loader)


def _as_arrays(batch: WindowBatch) -> dict[str, Any]:
    """The fields of a batch, for the way from a worker.

    Arrays go through the pipe. Tensors would go through shared memory, of which containers have
    little, and which a thread of the worker hands out: there it has hung.
    """
    fields = {f.name: getattr(batch, f.name) for f in dataclasses.fields(batch)}
    return {n: v.numpy() if isinstance(v, torch.Tensor) else v for n, v in fields.items()}


def _as_tensors(fields: dict[str, Any]) -> WindowBatch:
    made: dict[str, Any] = {
        n: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for n, v in fields.items()
    }
    return WindowBatch(**made)


def _settle(_: int) -> None:
    from threadpoolctl import threadpool_limits

    # Ctrl-C is the training's affair, which still wants the batch that is being made.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The worker's small matrix products must not fight the training for the cores.
    threadpool_limits(1)
