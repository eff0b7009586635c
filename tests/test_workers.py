"""Worker processes: each video once, none lost, whatever becomes of a worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from synctool.errors import MissingError, SyncToolError
from synctool.workers import KILLED, Died, in_order, in_workers

pytestmark = pytest.mark.integration

unix = pytest.mark.skipif(sys.platform == "win32", reason="signals as Unix has them")


def working(folder: str, deadly: dict[int, int], number: int, tell: Callable[[Any], None]) -> int:
    """Squares a number; dies as often as it says there, with videos that are deadly."""
    path = Path(folder) / f"{number}"
    with path.open("a") as notes:
        notes.write(f"{os.getpid()}\n")
    if len(path.read_text().split()) <= deadly.get(number, 0):
        os.kill(os.getpid(), signal.SIGKILL)
    tell(number)
    return number * number


def make(folder: Path, deadly: dict[int, int] | None = None) -> Callable[[], Any]:
    return partial(partial, working, str(folder), deadly or {})


def broken() -> Any:
    raise MissingError("no weights", remedy="Get them.")


def odd() -> Any:
    raise ZeroDivisionError("odd")


def dead() -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def sleepy() -> Any:
    return _sleep


def _sleep(number: int, tell: Callable[[Any], None]) -> int:
    tell(os.getpid())
    if number <= 0:
        time.sleep(60)
    return number


def run(work: Callable[[], Any], tasks: list[int], **more: Any) -> dict[int, Any]:
    found: dict[int, Any] = {}
    settings = {"workers": 2, "ahead": 10, "on_told": lambda *_: None, **more}
    for number, result in in_workers(work, tasks, **settings):
        assert number not in found
        found[number] = result
    return found


def test_each_video_is_done_once_by_workers_that_stay(tmp_path: Path) -> None:
    told: list[tuple[int, Any]] = []
    found = run(make(tmp_path), [3, 1, 4, 9], on_told=lambda *what: told.append(what))
    assert found == {3: 9, 1: 1, 4: 16, 9: 81}
    assert sorted(told) == [(1, 1), (3, 3), (4, 4), (9, 9)]
    workers = {(tmp_path / f"{n}").read_text() for n in found}
    assert len(workers) <= 2
    assert f"{os.getpid()}\n" not in workers


@unix
def test_a_video_that_kills_its_worker_costs_no_other(tmp_path: Path) -> None:
    found = run(make(tmp_path, {1: 9, 2: 1}), [0, 1, 2, 3])
    assert found == {0: 0, 1: Died(KILLED), 2: 4, 3: 9}
    tries = {n: len((tmp_path / f"{n}").read_text().split()) for n in found}
    assert tries == {0: 1, 1: 2, 2: 2, 3: 1}


def test_what_a_worker_cannot_begin_with_is_raised() -> None:
    with pytest.raises(MissingError) as caught:
        run(broken, [0, 1])
    assert (caught.value.cause, caught.value.remedy) == ("no weights", "Get them.")
    with pytest.raises(SyncToolError, match="ZeroDivisionError: odd"):
        run(odd, [0])


@unix
def test_workers_that_die_before_they_begin_are_not_made_for_ever() -> None:
    with pytest.raises(SyncToolError, match="no worker could begin"):
        run(dead, [0, 1, 2])


@unix
def test_nobody_runs_too_far_ahead_and_leaving_ends_the_workers() -> None:
    seen: dict[int, int] = {}
    videos = in_workers(
        sleepy, list(range(9)), workers=2, ahead=3, on_told=lambda n, pid: seen.update({n: pid})
    )
    assert [next(videos)[0], next(videos)[0]] == [1, 2]
    videos.close()
    assert set(seen) == {0, 1, 2}, "video 0 holds up all but two"
    for pid in set(seen.values()):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_task_that_takes_too_long_costs_no_other() -> None:
    found = run(sleepy, [1, 0, 2], time_limit_s=2.0)
    assert found == {1: 1, 0: Died("it took longer than 2 s"), 2: 2}


@unix
def test_a_killing_task_may_come_back_as_another(tmp_path: Path) -> None:
    """A group of videos without the one that kills, for example; what came of it counts for the first."""
    found = run(make(tmp_path, {1: 9}), [0, 1], retry=lambda task, deaths: 5 if deaths else task)
    assert found == {0: 0, 1: 25}


def test_results_come_in_the_order_of_their_tasks() -> None:
    done = iter([("c", 3), ("a", 1), ("b", 2)])
    assert list(in_order("abc", done)) == [("a", 1), ("b", 2), ("c", 3)]


SCRIPT = """
import sys
from synctool.workers import in_workers
from test_workers import sleepy

if __name__ == "__main__":
    tell = lambda number, pid: print(pid, flush=True)
    for _ in in_workers(sleepy, [0, -1], workers=2, ahead=9, on_told=tell):
        pass
"""


@unix
@pytest.mark.parametrize("sent", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_the_workers_end_with_the_program(tmp_path: Path, sent: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    places = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    program = subprocess.Popen(
        [sys.executable, script],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    workers = [int(program.stdout.readline()) for _ in range(2)]
    if sent == "SIGINT":
        os.killpg(program.pid, signal.SIGINT)  # as a terminal does
    else:
        program.send_signal(signal.Signals[sent])
    _, told = program.communicate(timeout=30)
    assert program.returncode != 0
    assert told.count("Traceback") == (sent == "SIGINT"), told
    deadline = time.monotonic() + 10
    while any(map(_alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_alive, workers))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not (state.exists() and state.read_text().rsplit(")", 1)[-1].split()[0] == "Z")
