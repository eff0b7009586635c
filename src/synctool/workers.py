"""A pool of worker processes that keep what is costly to make, such as models, between tasks.

Why not a library: ``concurrent.futures`` and ``loky`` give up the whole pool when a process dies and do
not say which task killed it; ``pebble`` says so, and has no channel for progress that a killed process
cannot block. Each worker here has a pipe of its own, so the task that kills it is known and no other is
lost. Such a task is tried again after all others, alone: the memory may have gone to its neighbours.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

from synctool.cores import usable_cores
from synctool.errors import SyncToolError, described

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")
Tell = Callable[[Any], None]
"""Reports progress; what it is given is pickled."""
Work = Callable[[_Task, Tell], _Result]
"""Does a task; task and result are pickled."""
KILLED = "the process reading it was killed (out of memory, or a crash in a decoder)"
"""Said of a video that took its worker with it."""
TRIES = 2
_END_S = 5.0


@dataclass(frozen=True)
class Died:
    """The worker died with this task each time, or was ended since the task took too long.

    Attributes:
        reason: In words.
    """

    reason: str


def core_share(workers: int) -> int:
    """Threads for each of so many workers: together they use the cores of this process once."""
    return max(1, usable_cores() // max(1, workers))


def limit_torch(threads: int) -> None:
    """Let PyTorch compute with so many threads, if anything has loaded it."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(threads)


def twice(task: _Task, deaths: int) -> _Task | None:
    """The task again, until it has killed ``TRIES`` workers."""
    return task if deaths < TRIES else None


def in_workers(
    make: Callable[[], Work[_Task, _Result]],
    tasks: Iterable[_Task],
    *,
    workers: int,
    on_told: Callable[[_Task, Any], None] = lambda task, told: None,
    ahead: int | None = None,
    retry: Callable[[_Task, int], _Task | None] = twice,
    time_limit_s: float | None = None,
) -> Iterator[tuple[_Task, _Result | Died]]:
    """Do tasks in processes of their own, which are gone when the iteration ends in whatever way.

    Args:
        make: Makes what does the work, once in each process; it is pickled.
        tasks: The tasks.
        workers: Processes.
        on_told: Called with a task and what its worker tells.
        ahead: A task is begun only when all but so many of those before it are done, so that few
            results wait where they are wanted in order; None for no limit.
        retry: Given a task and how many workers it has killed: the task to try again, None to give up.
        time_limit_s: Longest that a task may take; its worker is ended then. None for no limit.

    Yields:
        Each task and its result or ``Died``, in the order in which they are done; see ``in_order``.

    Raises:
        SyncToolError: No worker can begin, or one says that the work cannot go on.
    """
    given = list(tasks)
    queue = deque(enumerate(given))
    suspects: deque[tuple[int, _Task]] = deque()
    done, deaths, oldest = [False] * len(given), [0] * len(given), 0
    pool = [_Worker(make) for _ in range(max(1, min(workers, len(given))))] if given else []
    try:
        while queue or suspects or any(worker.task for worker in pool):
            for worker in pool:
                if not worker.idle:
                    continue
                if queue and (ahead is None or queue[0][0] < oldest + ahead):
                    worker.give(queue.popleft(), time_limit_s)
                elif suspects and not any(other.task for other in pool):
                    worker.give(suspects.popleft(), time_limit_s)
            for worker in _ready_workers(pool):
                task, message = worker.task, worker.listen()
                if message is not None and message[0] == "cannot":
                    raise message[1]
                if message is None:
                    pool.remove(worker)
                    worker.end()
                    if task is None:  # while it started
                        if not pool:
                            raise _no_worker()
                        continue
                    pool.append(_Worker(make))
                    number = task[0]
                    if worker.overdue:
                        message = ("done", Died(f"it took longer than {time_limit_s:g} s"))
                    else:
                        deaths[number] += 1
                        if (again := retry(task[1], deaths[number])) is not None:
                            suspects.append((number, again))
                            continue
                        message = ("done", Died(KILLED))
                kind, value = message
                if task is None:
                    continue
                number = task[0]
                if kind == "told":
                    on_told(given[number], value)
                else:
                    done[number] = True
                    while oldest < len(done) and done[oldest]:
                        oldest += 1
                    yield given[number], value
    finally:
        for worker in pool:
            worker.end()


def in_order(
    tasks: Iterable[_Task], done: Iterator[tuple[_Task, _Result]]
) -> Iterator[tuple[_Task, _Result]]:
    """Results in the order of their tasks, which can be hashed, as soon as that is possible."""
    held: dict[_Task, _Result] = {}
    for task in tasks:
        while task not in held:
            finished, result = next(done)
            held[finished] = result
        yield task, held.pop(task)


class _Worker(Generic[_Task]):
    """One process and the pipe to it."""

    def __init__(self, make: Callable[[], Work[_Task, Any]]) -> None:
        context = multiprocessing.get_context("spawn")  # runtimes have threads of their own
        self.pipe, theirs = context.Pipe()
        self.task: tuple[int, _Task] | None = None
        self._ready = False
        self._deadline = float("inf")
        self._process: BaseProcess = context.Process(
            target=_serve, args=(theirs, make), daemon=True
        )
        with _interrupts_ignored():
            self._process.start()
        theirs.close()  # or its end would not be noticed

    @property
    def idle(self) -> bool:
        """Whether it waits for a task."""
        return self._ready and self.task is None

    @property
    def left_s(self) -> float:
        """How long its task may still take, in seconds."""
        return max(0.0, self._deadline - time.monotonic())

    @property
    def overdue(self) -> bool:
        """Whether its task has taken too long."""
        return self.left_s == 0.0

    def give(self, task: tuple[int, _Task], time_limit_s: float | None) -> None:
        """Begin a task; if the process has died meanwhile, that is noticed later."""
        self.task = task
        if time_limit_s is not None:
            self._deadline = time.monotonic() + time_limit_s
        with suppress(OSError):
            self.pipe.send(task[1])

    def listen(self) -> tuple[str, Any] | None:
        """What it says; None if it has died or its time is up."""
        try:
            if self.overdue and not self.pipe.poll():
                return None
            kind, value = self.pipe.recv()
        except (EOFError, OSError):
            return None
        self._ready = True
        if kind == "done":
            self.task, self._deadline = None, float("inf")
        return kind, value

    def end(self) -> None:
        """Stop it, whatever it does."""
        self._process.terminate()
        self._process.join(_END_S)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
        self.pipe.close()


def _ready_workers(pool: Sequence[_Worker[Any]]) -> list[_Worker[Any]]:
    """The workers that have something to say or whose time is up, as soon as there is one."""
    left_s = min(worker.left_s for worker in pool)
    ready = wait([worker.pipe for worker in pool], None if left_s == float("inf") else left_s)
    return [worker for worker in pool if worker.pipe in ready or worker.overdue]


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """A worker leaves Ctrl-C to the program from its first moment on."""
    try:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    except ValueError:  # only the main thread may
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _serve(pipe: Connection, make: Callable[[], Work[Any, Any]]) -> None:
    """What a worker does, until it is ended."""
    _settle()
    try:
        work = make()
        pipe.send(("ready", None))
        while True:
            task = pipe.recv()
            pipe.send(("done", work(task, lambda told: pipe.send(("told", told)))))
    except EOFError:
        return
    except SyncToolError as error:
        pipe.send(("cannot", error))
    except Exception as error:  # not every error can be pickled
        pipe.send(("cannot", SyncToolError(f"a worker cannot go on: {described(error)}")))


def _settle() -> None:
    """A worker ignores Ctrl-C, ends with the program, and lets OpenCV use one thread."""
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _no_worker() -> SyncToolError:
    return SyncToolError(
        "no worker could begin: each died while it started",
        remedy="Free some memory or use fewer jobs; a script must call synctool below "
        'if __name__ == "__main__".',
    )
