"""The cores that models compute on while a video is decoded beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from synctool.cores import usable_cores
from synctool.runtimes.protocol import Runtime


@contextmanager
def sharing_cores(*runtimes: Runtime) -> Iterator[None]:
    """Leave half of the cores to the rest of the work: threads of a model that wait for a taken core
    cost several times what they give.

    Scores depend in their last digits on the number of threads, so everything that encodes or scores
    does it in here.
    """
    most = max(1, usable_cores() // 2)
    # Those of one kind share their setting: each is asked before any is changed.
    before = [runtime.threads for runtime in runtimes]
    _use(runtimes, [min(most, count) for count in before])
    try:
        yield
    finally:
        _use(runtimes, before)


@contextmanager
def encoding_pool(*runtimes: Runtime) -> Iterator[ThreadPoolExecutor]:
    """A pool of one thread in which models encode, on their half of the cores."""
    with sharing_cores(*runtimes):
        counts = [runtime.threads for runtime in runtimes]  # a new thread has settings of its own
        pool = ThreadPoolExecutor(1, initializer=_use, initargs=(runtimes, counts))
        try:
            yield pool
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _use(runtimes: Sequence[Runtime], counts: Sequence[int]) -> None:
    for runtime, count in zip(runtimes, counts):
        if runtime.threads != count:
            runtime.threads = count
