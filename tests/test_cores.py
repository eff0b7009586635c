"""How many cores are really there: affinity and the quotas of control groups."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from synctool import cores


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of 16 cores, with control groups to be filled in."""
    monkeypatch.setattr(cores, "_CGROUPS", tmp_path)
    monkeypatch.setattr(cores, "_OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(cores, "_allowed", lambda: 16)
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_affinity_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cores, "_OWN_GROUPS", tmp_path / "none")
    monkeypatch.delattr(os, "process_cpu_count", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 7, 9}, raising=False)
    assert cores.usable_cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    assert cores.usable_cores() == 64


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ("max 100000", 16),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("10000 100000", 1),
        ("9900000 100000", 16),
        ("nonsense", 16),
        ("", 16),
        ("100000 0", 16),
    ],
)
def test_the_quota_of_a_container_counts(groups: Path, quota: str, expected: int) -> None:
    write(groups / "own", "0::/\n")
    write(groups / "cpu.max", quota)
    assert cores.usable_cores() == expected


def test_the_least_quota_on_the_way_up_holds(groups: Path) -> None:
    write(groups / "own", "0::/user/job\n")
    write(groups / "user/job/cpu.max", "max 100000")
    write(groups / "user/cpu.max", "300000 100000")
    assert cores.usable_cores() == 3


@pytest.mark.parametrize("folder", ["cpu,cpuacct", "cpu"])
def test_control_groups_of_the_first_version(groups: Path, folder: str) -> None:
    write(groups / "own", "5:memory:/x\n4:cpu,cpuacct:/docker/abc\nbroken\n")
    write(groups / folder / "docker/abc/cpu.cfs_quota_us", "-1\n")
    write(groups / folder / "docker/abc/cpu.cfs_period_us", "100000\n")
    write(groups / folder / "cpu.cfs_quota_us", "400000\n")
    write(groups / folder / "cpu.cfs_period_us", "100000\n")
    assert cores.usable_cores() == 4


def test_no_other_place_counts_cores() -> None:
    package = Path(cores.__file__).parent
    asking = [p for p in package.rglob("*.py") if "cpu_count" in p.read_text("utf-8")]
    assert asking == [Path(cores.__file__)]
