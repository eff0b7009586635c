"""Where the time goes."""

from __future__ import annotations

import time


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
