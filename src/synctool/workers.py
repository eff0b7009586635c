"""A pool of worker processes that keep what is costly to make, such as models, between tasks.

Why not a library: ``concurrent.futures`` and ``loky`` give up the whole pool when a process dies and do
not say which task killed it; ``pebble`` says so, and has no channel for progress that a killed process
cannot block. Each worker here has a pipe of its own, so the task that kills it is known and no other is
lost. Such a task is tried again after all others, alone: the memory may have gone to its neighbours.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any

from synctool.cores import usable_cores
from synctool.worker_process import Result, Task, Tell, Work, WorkerProcess, no_worker

__all__ = [
    "KILLED",
    "TRIES",
    "Died",
    "Tell",
    "Work",
    "core_share",
    "in_order",
    "in_workers",
    "limit_torch",
    "ready_workers",
]
KILLED = "the process reading it was killed (out of memory, or a crash in a decoder)"
"""Said of a video that took its worker with it."""
TRIES = 2


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


def twice(task: Task, deaths: int) -> Task | None:
    """The task again, until it has killed ``TRIES`` workers."""
    return task if deaths < TRIES else None


def in_workers(
    make: Callable[[], Work[Task, Result]],
    tasks: Iterable[Task],
    *,
    workers: int,
    on_told: Callable[[Task, Any], None] = lambda task, told: None,
    ahead: int | None = None,
    retry: Callable[[Task, int], Task | None] = twice,
    time_limit_s: float | None = None,
) -> Iterator[tuple[Task, Result | Died]]:
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
    suspects: deque[tuple[int, Task]] = deque()
    done, deaths, oldest = [False] * len(given), [0] * len(given), 0
    pool = [WorkerProcess(make) for _ in range(max(1, min(workers, len(given))))] if given else []
    try:
        while queue or suspects or any(worker.task for worker in pool):
            for worker in pool:
                if not worker.idle:
                    continue
                if queue and (ahead is None or queue[0][0] < oldest + ahead):
                    worker.give(queue.popleft(), time_limit_s)
                elif suspects and not any(other.task for other in pool):
                    worker.give(suspects.popleft(), time_limit_s)
            for worker in ready_workers(pool):
                task, message = worker.task, worker.listen()
                if message is not None and message[0] == "cannot":
                    raise message[1]
                if message is None:
                    pool.remove(worker)
                    worker.end()
                    if task is None:  # while it started
                        if not pool:
                            raise no_worker()
                        continue
                    pool.append(WorkerProcess(make))
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
    tasks: Iterable[Task], done: Iterator[tuple[Task, Result]]
) -> Iterator[tuple[Task, Result]]:
    """Results in the order of their tasks, which can be hashed, as soon as that is possible."""
    held: dict[Task, Result] = {}
    for task in tasks:
        while task not in held:
            finished, result = next(done)
            held[finished] = result
        yield task, held.pop(task)


def ready_workers(pool: Sequence[WorkerProcess[Any]]) -> list[WorkerProcess[Any]]:
    """The workers that have something to say or whose time is up, as soon as there is one."""
    left_s = min(worker.left_s for worker in pool)
    ready = wait([worker.pipe for worker in pool], None if left_s == float("inf") else left_s)
    return [worker for worker in pool if worker.pipe in ready or worker.overdue]
