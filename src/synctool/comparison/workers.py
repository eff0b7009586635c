"""Worker processes that keep what is dear to make, such as networks, from one film to the next.

Each worker has a pipe of its own, so the film that kills a worker is known and no other film is lost.
It is tried once more by a new worker, since the reason may have been another's hunger for memory.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from synctool.errors import SyncToolError
from synctool.worker_process import KILLED, settle

Work = Callable[[int, Callable[[Any], None]], Any]
"""Takes the number of a film and something to tell progress to; gives what the film gave."""
_TRIES = 2
_END_S = 5.0


@dataclass(frozen=True)
class Died:
    """The worker died with this film, each time.

    Attributes:
        reason: In words.
    """

    reason: str


def in_workers(
    make: Callable[[], Work],
    tasks: Sequence[int],
    *,
    workers: int,
    ahead: int,
    on_told: Callable[[int, Any], None],
) -> Iterator[tuple[int, Any]]:
    """Do tasks in processes of their own, which are gone when the iteration ends in whatever way.

    Args:
        make: Makes what does the work, once in each process; it is pickled.
        tasks: Numbers of films.
        workers: Processes.
        ahead: A film is begun only when all but so many of those before it are done.
        on_told: Told the number of a film and what its worker tells.

    Yields:
        The number of each film and its result or ``Died``, in the order in which they are done.

    Raises:
        SyncToolError: No worker can begin, or one says that the work cannot go on.
    """
    crew = [_Worker(make) for _ in range(workers)]
    position = {task: i for i, task in enumerate(tasks)}
    queue, done, tries = deque(tasks), [False] * len(tasks), dict.fromkeys(tasks, 0)
    oldest = 0
    try:
        while queue or any(worker.task is not None for worker in crew):
            for worker in crew:
                if worker.idle and queue and position[queue[0]] < oldest + ahead:
                    worker.give(queue.popleft())
            for worker in _heard(crew):
                task, message = worker.task, worker.listen()
                if message is None:
                    crew.remove(worker)
                    worker.end()
                    if task is None:  # while it made ready
                        if not crew:
                            raise _no_worker()
                        continue
                    crew.append(_Worker(make))
                    tries[task] += 1
                    if tries[task] < _TRIES:
                        queue.appendleft(task)
                        continue
                    message = ("done", Died(KILLED))
                kind, value = message
                if kind == "cannot":
                    raise value
                if kind == "told" and task is not None:
                    on_told(task, value)
                elif kind == "done" and task is not None:
                    done[position[task]] = True
                    while oldest < len(done) and done[oldest]:
                        oldest += 1
                    yield task, value
    finally:
        for worker in crew:
            worker.end()


class _Worker:
    """One process and the pipe to it."""

    def __init__(self, make: Callable[[], Work]) -> None:
        context = multiprocessing.get_context("spawn")  # runtimes have threads of their own
        self.pipe, theirs = context.Pipe()
        self.ready = False
        self.task: int | None = None
        self._process: BaseProcess = context.Process(
            target=_serve, args=(theirs, make), daemon=True
        )
        with _deaf():
            self._process.start()
        theirs.close()  # or its end would not be heard

    @property
    def idle(self) -> bool:
        """Whether it waits for a film."""
        return self.ready and self.task is None

    def give(self, task: int) -> None:
        """Begin a film; if it has died meanwhile, that is heard later."""
        self.task = task
        with suppress(OSError):
            self.pipe.send(task)

    def listen(self) -> tuple[str, Any] | None:
        """What it says; None if it has died."""
        try:
            kind, value = self.pipe.recv()
        except (EOFError, OSError):
            return None
        self.ready = True
        if kind == "done":
            self.task = None
        return kind, value

    def end(self) -> None:
        """Stop it, whatever it does."""
        self._process.terminate()
        self._process.join(_END_S)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
        self.pipe.close()


@contextmanager
def _deaf() -> Iterator[None]:
    """Ctrl-C is left to the program from a worker's first moment on."""
    try:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    except ValueError:  # only the main thread may
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _heard(crew: Sequence[_Worker]) -> list[_Worker]:
    """The workers that have something to say, as soon as one has."""
    heard = wait([worker.pipe for worker in crew])
    return [worker for worker in crew if worker.pipe in heard]


def _serve(pipe: Connection, make: Callable[[], Work]) -> None:
    """What a worker does, until it is ended."""
    settle()
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
    except Exception as error:  # not every error can be sent
        words = " ".join(f"{type(error).__name__}: {error}".split())
        pipe.send(("cannot", SyncToolError(f"a worker cannot go on: {words}")))


def _no_worker() -> SyncToolError:
    return SyncToolError(
        "no worker could begin: each died while it loaded the networks",
        remedy="Free some memory or use fewer --jobs; a script must call compare below "
        'if __name__ == "__main__".',
    )
