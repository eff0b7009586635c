"""A pool of workers for jobs that come one after the other, for as long as the program runs.

``workers`` does the same for a list that is known from the beginning. Each worker process is served by a
thread of its own: it takes the next job, hands it over, and listens until it is done, has taken too long, or
is cancelled. A job that kills its process is tried again while nothing else runs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic

from synctool.errors import SyncToolError
from synctool.worker_process import Result, Task, Work, WorkerProcess, no_worker
from synctool.workers import KILLED, TRIES, Died, ready_workers

CANCELLED = Died("it was cancelled")
"""What becomes of a job that was cancelled."""


class JobPool(Generic[Task, Result]):
    """Threads that do jobs in processes which can be killed.

    Args:
        make: Makes what does the work, once in each process; it is pickled.
        workers: Processes.
        take: Gives the next job; waits for one. None ends a worker. Called by several threads.
        on_told: Called with a job and what its worker tells.
        on_done: Called with a job, and its result or ``Died``.
        time_limit_s: Longest that a job may take; its process is ended then. None for no limit.
    """

    def __init__(
        self,
        make: Callable[[], Work[Task, Result]],
        *,
        workers: int,
        take: Callable[[], Task | None],
        on_told: Callable[[Task, Any], None],
        on_done: Callable[[Task, Result | Died], None],
        time_limit_s: float | None = None,
    ) -> None:
        self._make, self._take = make, take
        self._on_told, self._on_done = on_told, on_done
        self._time_limit_s = time_limit_s
        self._alone = _Alone()
        self._lock = threading.Lock()
        self._running: dict[Task, WorkerProcess[Task]] = {}
        self._cancelled: set[Task] = set()
        self._stopped = False
        self._threads = [
            threading.Thread(target=self._serve, name=f"synctool-job-{n}", daemon=True)
            for n in range(max(1, workers))
        ]
        self._first: WorkerProcess[Task] | None = None

    def start(self) -> None:
        """Begin; returns when a worker is ready.

        Raises:
            SyncToolError: No worker can begin.
        """
        self._first = self._begun()
        for thread in self._threads:
            thread.start()

    def cancel(self, job: Task) -> bool:
        """End a job that runs; returns whether it does. It is done with ``CANCELLED`` then."""
        with self._lock:
            worker = self._running.get(job)
            if worker is None:
                return False
            self._cancelled.add(job)
            worker.kill()
            return True

    def stop(self) -> None:
        """End all processes, whatever they do; ``take`` must give None from now on.

        Jobs that run then are neither done nor told of any more.
        """
        with self._lock:
            self._stopped = True
            for worker in self._running.values():
                worker.kill()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        if self._first is not None:
            self._first.end()

    def _begun(self) -> WorkerProcess[Task]:
        """A worker that is ready.

        Raises:
            SyncToolError: It cannot begin.
        """
        worker: WorkerProcess[Task] = WorkerProcess(self._make)
        message = worker.listen()
        if message is not None and message[0] == "ready":
            return worker
        worker.end()
        raise message[1] if message is not None else no_worker()

    def _serve(self) -> None:
        worker: WorkerProcess[Task] | None = None
        with self._lock:
            worker, self._first = self._first, None
        while (job := self._take()) is not None:
            deaths = 0
            while True:
                with self._alone.kept(deaths > 0):
                    try:
                        worker = worker or self._begun()
                        result = self._done(worker, job)
                    except SyncToolError as error:
                        worker, result = None, Died(str(error))
                if not isinstance(result, Died):
                    break
                if worker is not None:
                    worker.end()
                worker = None
                deaths += result.reason == KILLED
                if result.reason != KILLED or deaths >= TRIES or self._stopped:
                    break
            if self._stopped:
                break
            self._on_done(job, result)
        if worker is not None:
            worker.end()

    def _done(self, worker: WorkerProcess[Task], job: Task) -> Result | Died:
        """Do a job; the worker is dead or of no use where it returns ``Died``.

        Raises:
            SyncToolError: The worker says that it cannot go on.
        """
        with self._lock:
            if self._stopped:
                return CANCELLED
            self._running[job] = worker
            worker.give((0, job), self._time_limit_s)
        try:
            while True:
                ready_workers([worker])
                message = worker.listen()
                if message is None:
                    return self._death(worker, job)
                kind, value = message
                if kind == "cannot":
                    raise value
                if kind == "done":
                    return value
                if kind == "told":
                    self._on_told(job, value)
        finally:
            with self._lock:
                self._running.pop(job, None)
                self._cancelled.discard(job)

    def _death(self, worker: WorkerProcess[Task], job: Task) -> Died:
        if job in self._cancelled:
            return CANCELLED
        if worker.overdue:
            return Died(f"it took longer than {self._time_limit_s:g} s")
        return Died(KILLED)


class _Alone:
    """Lets one job run while no other does; else any number of them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._others = 0
        self._alone = False

    @contextmanager
    def kept(self, alone: bool) -> Iterator[None]:
        """Wait until a job may run; it runs in the block."""
        with self._changed:
            if alone:
                self._changed.wait_for(lambda: not self._alone)
                self._alone = True
                self._changed.wait_for(lambda: not self._others)
            else:
                self._changed.wait_for(lambda: not self._alone)
                self._others += 1
        try:
            yield
        finally:
            with self._changed:
                if alone:
                    self._alone = False
                else:
                    self._others -= 1
                self._changed.notify_all()
