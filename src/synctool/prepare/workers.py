"""Worker processes on this machine: bounded, restarted when one dies, and gone when the program goes.

A worker that dies takes its pool with it (out of memory, a crash in a decoder). The groups that were
under way are then made one at a time, each by a worker that says which film it reads; the film that
kills it again is left out, with the reason, and everything else goes on.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from synctool.data.processed import ShardReport
from synctool.data.storage import storage
from synctool.errors import SyncToolError
from synctool.prepare.shards import NOW, ShardJob, make_shard
from synctool.worker_process import KILLED, settle

_POLL_S = 0.3


def on_this_machine(
    jobs: Iterable[ShardJob],
    *,
    workers: int,
    on_film: Callable[[float], None] | None = None,
) -> Iterator[ShardReport]:
    """Make shards in worker processes.

    Args:
        jobs: The groups.
        workers: Processes.
        on_film: Told the seconds of each film that is done, as soon as it is.

    Yields:
        Reports, in the order in which the groups are finished.

    Raises:
        OutputError: The output cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="synctool-") as folder:
        heard = _Heard(Path(folder), on_film)
        waiting, suspects = deque(jobs), deque[ShardJob]()
        while waiting or suspects:
            alone = bool(suspects)
            queue, many = (suspects, 1) if alone else (waiting, workers)
            under_way: dict[Future[ShardReport], ShardJob] = {}
            try:
                with _pool(many) as pool:
                    while queue or under_way:
                        while queue and len(under_way) < many + (not alone):
                            job = queue.popleft()
                            under_way[pool.submit(_work, job, folder)] = job
                        done, _ = wait(under_way, timeout=_POLL_S, return_when=FIRST_COMPLETED)
                        heard.listen()
                        for future in done:
                            report = future.result()
                            del under_way[future]
                            yield report
            except BrokenProcessPool:
                # A future that was done may be among them: making its shard again changes nothing.
                suspects.extend(without_killer(job) for job in under_way.values())
            heard.listen()


def without_killer(job: ShardJob) -> ShardJob:
    """The job again after its worker died: careful from now on, and without a film that is proven
    to kill workers.

    Raises:
        SyncToolError: No film can be blamed.
    """
    if not job.careful:
        return replace(job, careful=True)
    output, film = storage(job.output), None
    if output.exists(job.name + NOW):
        film = output.read(job.name + NOW).decode("utf-8", "surrogateescape")
    if film is None or film in job.skip:
        raise SyncToolError(
            "workers die again and again, whatever they read",
            remedy="Free some memory, or use fewer --workers, and run again.",
        )
    return replace(job, skip={**job.skip, film: KILLED})


class _Heard:
    """Adds up what the workers write into one file each: a killed worker cannot block it."""

    def __init__(self, folder: Path, on_film: Callable[[float], None] | None) -> None:
        self._folder = folder
        self._on_film = on_film
        self._read: dict[Path, int] = {}

    def listen(self) -> None:
        if self._on_film is None:
            return
        for path in sorted(self._folder.iterdir()):
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                lines = file.read()
            whole = lines[: lines.rfind(b"\n") + 1]
            self._read[path] = self._read.get(path, 0) + len(whole)
            for line in whole.split():
                self._on_film(float(line))


def _work(job: ShardJob, folder: str) -> ShardReport:
    with (Path(folder) / f"{os.getpid()}").open("a") as told:

        def tell(seconds: float) -> None:
            told.write(f"{seconds}\n")
            told.flush()

        return make_shard(job, tell)


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    context = multiprocessing.get_context(
        "spawn"
    )  # decoders and runtimes have threads of their own
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=settle)
    try:
        yield pool
    except BaseException:
        _end(pool)
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _end(pool: ProcessPoolExecutor) -> None:
    """Stop the workers at once: what they have half done is never seen, and is made again."""
    for process in list((pool._processes or {}).values()):
        process.terminate()
