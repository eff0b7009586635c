"""Where the time goes: by stage, and by model."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any


class Stopwatch:
    """Seconds spent by stage of the work."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._name = ""
        self._since = time.perf_counter()

    def now(self, name: str) -> None:
        """From here on the time belongs to ``name``; "" stops it."""
        at = time.perf_counter()
        if self._name:
            self.seconds[self._name] = self.seconds.get(self._name, 0.0) + at - self._since
        self._name, self._since = name, at


def network_clock(device: str) -> Callable[[], float]:
    """A clock in seconds for the work of a model, to be read before and after in the same thread.

    On the processor it is that thread's own time, without the time that it waits for a core which the
    decoder or another program holds, so that models can be compared on a busy machine. Elsewhere
    the thread waits while the device works, and the time of day counts.

    Args:
        device: Kind of device: ``cpu``, ``cuda`` ...
    """
    return time.thread_time if device == "cpu" else time.perf_counter


class TimedExecutor(Executor):
    """Hands work on to a pool of one thread, and adds up the time that it takes there.

    Args:
        pool: The pool.
        device: Kind of device that the work runs on; see ``network_clock``.
    """

    def __init__(self, pool: Executor, *, device: str) -> None:
        self._pool = pool
        self._now = network_clock(device)
        self.seconds = 0.0

    def submit(self, work: Callable[..., Any], /, *given: Any, **named: Any) -> Future[Any]:
        """Hand work on; its time counts when it is done."""

        def timed() -> Any:
            began = self._now()
            try:
                return work(*given, **named)
            finally:
                self.seconds += self._now() - began

        return self._pool.submit(timed)
