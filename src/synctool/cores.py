"""How many processor cores this process may use. Standard library only."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")


def usable_cores() -> int:
    """Cores that this process may use, at least one.

    The machine may have more: the affinity of the process (``taskset``, a batch system) and the quota
    of its control group (a container) both limit what is really there. A quota of a part of a core
    counts as a whole one.
    """
    count = _allowed()
    quota = _least_quota(_CGROUPS, _OWN_GROUPS)
    return max(1, min(count, math.ceil(quota))) if quota < math.inf else count


def machine_cores() -> int:
    """Cores of the whole machine, whatever this process may use of them."""
    return os.cpu_count() or 1


def _allowed() -> int:
    counted = getattr(os, "process_cpu_count", None)  # Python 3.13; it heeds PYTHON_CPU_COUNT, too
    if counted is not None:
        return counted() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return machine_cores()


@lru_cache(maxsize=1)
def _least_quota(groups: Path, own: Path) -> float:
    """Cores, infinite without a quota. Read once: this is asked at every score."""
    return min(_quotas(groups, own), default=math.inf)


def _quotas(groups: Path, own: Path) -> Iterator[float]:
    """The quotas of the control groups that this process is in, in cores; Linux has them."""
    try:
        lines = own.read_text("utf-8").splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        _, controllers, group = [*line.split(":", 2), "", ""][:3]
        if not controllers:
            yield from _of_version_2(groups, group)
            yield from _of_version_2(groups / "unified", group)
        elif "cpu" in controllers.split(","):
            for root in (groups / controllers, groups / "cpu"):
                yield from _of_version_1(root, group)


def _of_version_2(root: Path, group: str) -> Iterator[float]:
    for folder in _upwards(root, group):
        quota, _, period = _read(folder / "cpu.max").partition(" ")
        yield from _cores(quota, period)


def _of_version_1(root: Path, group: str) -> Iterator[float]:
    for folder in _upwards(root, group):
        yield from _cores(_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us"))


def _upwards(root: Path, group: str) -> Iterator[Path]:
    """The folder of a group and those above it: the least quota of them holds.

    A container may see its own group as the root, whatever it is called outside.
    """
    folder = root / group.strip("/")
    yield folder
    while folder != root and root in folder.parents:
        folder = folder.parent
        yield folder


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, ValueError):
        return ""


def _cores(quota: str, period: str) -> Iterator[float]:
    if quota.isdigit() and period.isdigit() and int(quota) > 0 and int(period) > 0:
        yield int(quota) / int(period)
