"""Workers on a cluster, by Ray: the same groups, made wherever there is room.

A group is one task. Ray runs it again elsewhere when its worker or machine dies; as a shard appears
whole or not at all, each video is packed exactly once. Videos and output must be on storage that all
machines reach: a shared disk, or an address that fsspec knows.
"""

from __future__ import annotations

import logging
import socket
from collections import deque
from collections.abc import Iterable, Iterator

from synctool.data.processed import ShardReport
from synctool.errors import MissingError, SyncToolError
from synctool.prepare.shards import ShardJob, make_shard, without_killer

_KNOCK_S = 10.0
RETRIES = 3
"""A group whose worker died is begun so many times again before a video in it is suspected."""


def on_ray(jobs: Iterable[ShardJob], *, address: str | None, workers: int) -> Iterator[ShardReport]:
    """Make shards on a Ray cluster.

    Args:
        jobs: The groups.
        address: The cluster, ``auto`` for the one that this machine belongs to; None starts one on
            this machine.
        workers: Most groups under way at a time; 0: as many as the cluster has cores. On a
            cluster of its own, its number of cores.

    Yields:
        Reports, in the order in which the groups are finished.

    Raises:
        MissingError: No cluster answers.
        OutputError: The output cannot be written.
    """
    import ray

    own = {} if address else {"num_cpus": workers or None, "include_dashboard": False}
    try:
        _reach(address)
        quiet = {"log_to_driver": False, "logging_level": logging.WARNING}
        ray.init(address=address, **quiet, **own)
    except (OSError, ValueError, RuntimeError) as error:
        raise MissingError(
            f"no Ray cluster answers at {address}: {' '.join(str(error).split())}",
            remedy="Start one with: ray start --head, and give --address auto on a machine of it. From "
            "elsewhere, RAY_AUTH_MODE=token and the cluster's token are needed.",
        ) from error
    try:
        yield from _on_cluster(ray, jobs, workers or int(ray.cluster_resources().get("CPU", 1)))
    finally:
        ray.shutdown()


def _reach(address: str | None) -> None:
    """Knock at HOST:PORT: Ray itself would wait for minutes."""
    host, colon, port = (address or "").rpartition("://")[2].rpartition(":")
    if colon:
        socket.create_connection((host, int(port)), timeout=_KNOCK_S).close()


def _on_cluster(ray, jobs: Iterable[ShardJob], workers: int) -> Iterator[ShardReport]:
    task = ray.remote(num_cpus=1, max_retries=RETRIES)(make_shard)
    waiting, under_way = deque(jobs), {}
    while waiting or under_way:
        while waiting and len(under_way) < 2 * workers:
            job = waiting.popleft()
            retries = 0 if job.careful else RETRIES
            under_way[task.options(max_retries=retries).remote(job)] = job
        done, _ = ray.wait(list(under_way), num_returns=1)
        for reference in done:
            job = under_way.pop(reference)
            try:
                report = ray.get(reference)
            except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError):
                waiting.append(without_killer(job))
                continue
            except ray.exceptions.RayTaskError as error:
                raise _understood(error) from error
            yield report


def _understood(error) -> SyncToolError:
    """What a task raised, as an error of ours."""
    cause = error.cause
    if isinstance(cause, SyncToolError):
        return cause
    told = str(cause).strip().splitlines() or [type(cause).__name__]
    return SyncToolError(
        f"a worker of the cluster failed: {told[-1]}",
        remedy="The same synctool, with the same plugins, must be installed on every machine of it.",
    )
