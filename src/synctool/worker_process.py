"""A worker process: keeps what is costly to make, such as models, between tasks, and can be killed.

``workers`` does a list of tasks with several of them; ``job_pool`` does tasks that come one after the other.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

from synctool.errors import SyncToolError, described

Task = TypeVar("Task")
Result = TypeVar("Result")
Tell = Callable[[Any], None]
"""Reports progress; what it is given is pickled."""
Work = Callable[[Task, Tell], Result]
"""Does a task; task and result are pickled."""
_END_S = 5.0


class WorkerProcess(Generic[Task]):
    """One process and the pipe to it."""

    def __init__(self, make: Callable[[], Work[Task, Any]]) -> None:
        context = multiprocessing.get_context("spawn")  # runtimes have threads of their own
        self.pipe, theirs = context.Pipe()
        self.task: tuple[int, Task] | None = None
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

    def give(self, task: tuple[int, Task], time_limit_s: float | None) -> None:
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

    def kill(self) -> None:
        """End the process at once; any thread may, and the one that listens finds it dead."""
        self._process.kill()

    def end(self) -> None:
        """Stop it, whatever it does."""
        self._process.terminate()
        self._process.join(_END_S)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
        self.pipe.close()


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """A worker leaves Ctrl-C to the program from its first moment on."""
    if threading.current_thread() is not threading.main_thread():  # only that one has handlers
        with _interrupts_blocked():
            yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """A process inherits what the thread that starts it has blocked."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


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


def no_worker() -> SyncToolError:
    """The error for workers that die before they begin."""
    return SyncToolError(
        "no worker could begin: each died while it started",
        remedy="Free some memory or use fewer jobs; a script must call synctool below "
        'if __name__ == "__main__".',
    )
