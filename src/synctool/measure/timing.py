"""Where the time goes."""

from __future__ import annotations

import time
from collections.abc import Callable


class Stopwatch:
    """Seconds spent by part of the work."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._name = ""
        self._since = time.perf_counter()

    def now(self, name: str) -> None:
        """From here on the time belongs to ``name``; "" stops the watch."""
        at = time.perf_counter()
        if self._name:
            self.seconds[self._name] = self.seconds.get(self._name, 0.0) + at - self._since
        self._name, self._since = name, at


def network_clock(device: str) -> Callable[[], float]:
    """A clock in seconds for the work of a network, to be read before and after in the same thread.

    On the processor it is that thread's own time, without the time that it waits for a core which the
    decoder or another program holds, so that networks can be compared on a busy machine. Elsewhere
    the thread waits while the device works, and the time of day counts.

    Args:
        device: Kind of device: ``cpu``, ``cuda`` ...
    """
    return time.thread_time if device == "cpu" else time.perf_counter
