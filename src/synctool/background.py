"""Work handed to a thread of its own, so that whoever hands it over never waits."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from synctool.errors import described

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class BackgroundQueue(Generic[_T]):
    """Hands things one after the other to a function, in a thread.

    Args:
        handle: Given one thing at a time. What it raises is logged, and the next one comes.
        name: What it does, for the log and the thread.
        most: At most so many things wait; further ones are dropped, and counted.

    Attributes:
        dropped: How many were dropped because too many waited.
        failed: How many ``handle`` raised an error for.
    """

    def __init__(self, handle: Callable[[_T], object], *, name: str, most: int = 1000) -> None:
        self._handle = handle
        self._name = name
        self._queue: queue.Queue[_T | None] = queue.Queue(most)
        self._closing = threading.Event()
        self.dropped = self.failed = 0
        self._told: str | None = None
        self._thread = threading.Thread(target=self._work, name=f"synctool-{name}", daemon=True)
        self._thread.start()

    def put(self, thing: _T) -> bool:
        """Hand something over; never waits.

        Returns:
            Whether there was room.
        """
        try:
            self._queue.put_nowait(thing)
        except queue.Full:
            self.dropped += 1
            if self.dropped == 1:
                _log.warning("%s: too slow, and some of it is left out", self._name)
            return False
        return True

    def close(self, *, wait_s: float = 5.0) -> None:
        """Let what waits be done for a while, and give up the rest."""
        until = time.monotonic() + wait_s
        try:
            self._queue.put(None, timeout=wait_s)
        except queue.Full:
            pass
        self._thread.join(max(until - time.monotonic(), 0.0))
        if self._thread.is_alive():
            self._closing.set()
            _log.warning("%s: not everything was done before the end", self._name)

    @property
    def closing(self) -> threading.Event:
        """Set once nobody waits for the rest: who sleeps in ``handle`` should wake up and return."""
        return self._closing

    def _work(self) -> None:
        while (thing := self._queue.get()) is not None and not self._closing.is_set():
            try:
                self._handle(thing)
                self._told = None
            except Exception as error:
                self.failed += 1
                words = described(error)
                if words != self._told:  # a full disk is told once, not every second
                    self._told = words
                    _log.warning("%s: %s", self._name, words)
