"""Progress for who listens, as server-sent events: the latest state of each job, and none in between where a
listener is slow. What waits for a listener is never more than the names of the jobs that have changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

BEAT_S = 15.0
"""A comment is sent where nothing else was for so long, so that nobody takes the connection for dead."""
_PAUSE_S = 0.2
"""Between two events of one listener."""


class Listener:
    """One who listens to the jobs of an owner, or to one of them."""

    def __init__(self, owner: str, id: str | None) -> None:
        self.owner, self.id = owner, id
        self.changed: dict[str, None] = {}
        self.woken = asyncio.Event()

    def hears(self, owner: str, id: str) -> bool:
        """Whether a change is of interest."""
        return owner == self.owner and self.id in (None, id)


class Events:
    """Tells listeners, in the event loop, what threads have changed."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    def attach(self) -> None:
        """Belong to the event loop that runs now."""
        self._loop = asyncio.get_running_loop()

    def changed(self, owner: str, id: str) -> None:
        """Tell of a change; any thread may."""
        if self._loop is not None:
            with suppress(RuntimeError):  # it is closed already
                self._loop.call_soon_threadsafe(self._tell, owner, id)

    def close(self) -> None:
        """End all streams; any thread may, and a handler of a signal."""
        self._closed = True
        if self._loop is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._wake)

    async def stream(
        self, owner: str, id: str | None, said: Callable[[str], tuple[str, bool]]
    ) -> AsyncIterator[str]:
        """The events of one listener.

        Args:
            owner: Whose jobs.
            id: The job; None for all of the owner's.
            said: Gives the event for a job, and whether it is its last one.
        """
        listener = Listener(owner, id)
        self._listeners.add(listener)
        try:
            yield ": synctool\n\n"
            if id is not None:
                listener.changed[id] = None
                listener.woken.set()
            while not self._closed:
                try:
                    await asyncio.wait_for(listener.woken.wait(), BEAT_S)
                except asyncio.TimeoutError:
                    yield ": still here\n\n"
                    continue
                listener.woken.clear()
                changed, listener.changed = listener.changed, {}
                for job in changed:
                    event, last = await asyncio.to_thread(said, job)
                    yield event
                    if last and id is not None:
                        return
                await asyncio.sleep(_PAUSE_S)
        finally:
            self._listeners.discard(listener)

    @property
    def count(self) -> int:
        """How many listen."""
        return len(self._listeners)

    def _tell(self, owner: str, id: str) -> None:
        for listener in self._listeners:
            if listener.hears(owner, id):
                listener.changed[id] = None
                listener.woken.set()

    def _wake(self) -> None:
        for listener in self._listeners:
            listener.woken.set()
