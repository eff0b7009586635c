"""Commands that write, killed (SIGKILL) at random moments: what they leave, and how a second run ends.

    python benchmarks/killed.py [--kills 8] [--seed 1] [--only NAME] [--json FILE] [--docs]

Each command runs once undisturbed, and then again and again in folders of its own, killed after a uniformly
random part of the processor time that it took (of the time by the clock, where it waits or works in other
processes). After each kill every file at its final name must be absent, the old one, or whole and readable;
no process may be left. A plain second run must end with the same exit code, the same files and nothing
beside them, and JSON and tables must be the same but for times. Commands begin in a process that has
imported what they need, so that kills fall into the work.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from killed_commands import COMMANDS, Command, environment, make_inputs, serving
from killed_files import differences, fault_of
from tables import Table, published

PAGE = Path(__file__).resolve().parent.parent / "docs" / "security.md"
SCRIPT = "benchmarks/killed.py"
PATIENCE_S = 900.0
ORPHANS_S = 120.0
_OWN = {"home", "tmp"}


@dataclass
class Found:
    """What became of one command.

    Attributes:
        command: Its name.
        kills: Runs that were killed.
        over: Of them, those that had ended before.
        torn: Files at their final names that were no whole ones.
        left: Files that the second run left beside the results.
        other: Second runs that ended otherwise.
        orphans: Processes that outlived the command.
        faults: What was wrong, in words.
        seconds: What the undisturbed run took.
    """

    command: str
    kills: int = 0
    over: int = 0
    torn: int = 0
    left: int = 0
    other: int = 0
    orphans: int = 0
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def told(self, kind: str, words: str) -> None:
        """Count a fault and say it."""
        setattr(self, kind, getattr(self, kind) + 1)
        self.faults.append(f"{kind}: {words}")
        print(f"  {self.command}: {kind}: {words}", flush=True)


def main() -> int:
    """Run, kill, look, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=8, help="for each command, by its weight")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--only",
        default="",
        help="commands with this in their names; several with | between them, in this order",
    )
    parser.add_argument("--docs", action="store_true", help="write the section of the page")
    parser.add_argument("--json", type=Path, help="the figures; commands in it are not run again")
    given = parser.parse_args()
    return published(
        given,
        lambda: list(_measured(given)),
        lambda rows: _table(given, rows),
        page=PAGE,
        script=SCRIPT,
    )


def _measured(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    known: dict[str, dict[str, Any]] = {}
    if given.json is not None and given.json.exists():
        known = {row["command"]: row for row in json.loads(given.json.read_text())}
    _import_all()
    with tempfile.TemporaryDirectory(prefix="killed-") as name:
        place = Path(name)
        # In a process of its own: a fork has no use for the threads that it would start here.
        made = multiprocessing.get_context("fork").Process(
            target=make_inputs, args=(place / "inputs",)
        )
        made.start()
        made.join()
        with serving(place / "served"):
            wanted = [c for part in given.only.split("|") for c in COMMANDS if part in c.name]
            for command in wanted:
                if command.name not in known:
                    found = _killed(command, given, place)
                    known[command.name] = vars(found)
                    if given.json is not None:
                        given.json.write_text(json.dumps(list(known.values()), indent=1) + "\n")
    order = [command.name for command in COMMANDS]
    yield from sorted(known.values(), key=lambda row: order.index(row["command"]))


def _import_all() -> None:
    """What the commands would import, so that a kill seldom falls into that."""
    import matplotlib.figure
    import torch

    from synctool.cli.app import main
    from synctool.onnxruntime_import import onnxruntime_module

    onnxruntime_module()
    del matplotlib, torch, main


def _killed(command: Command, given: argparse.Namespace, place: Path) -> Found:
    found = Found(command.name)
    chance = random.Random(f"{given.seed} {command.name}")
    whole = _folder(command, place, "whole")
    began = time.monotonic()
    code, cpu_s = _run(command, whole)
    found.seconds = time.monotonic() - began
    lasts = found.seconds if command.wall else cpu_s
    print(f"{command.name}: exit {code}, {cpu_s:.1f} s of {found.seconds:.1f} s", flush=True)
    _say_if_wrong(whole, code)
    for number in range(max(2, round(given.kills * command.weight))):
        # The last folder has the results of the run before, which a kill must leave whole.
        folder = _folder(command, place, "killed")
        if number % 3 == 2 and not command.refuses:
            _run(command, folder)
        _see(command, folder, whole, code, chance.uniform(0, lasts), found)
    shutil.rmtree(whole)
    return found


def _see(
    command: Command, folder: Path, whole: Path, code: int, after_s: float, found: Found
) -> None:
    """Kill one run, look at what it leaves, and run it again."""
    found.kills += 1
    ended, _ = _run(command, folder, kill_after_s=after_s)
    found.over += ended != -signal.SIGKILL
    at = f"after {after_s:.2f} s"
    if not _alone_after(folder, ORPHANS_S):
        found.told("orphans", at)
    for path in _files(folder):
        if fault := fault_of(path):
            found.told("torn", f"{at}: {path.relative_to(folder)}: {fault}")
    again, _ = _run(command, folder)
    words = (folder / ".words").read_text().strip()[-400:]
    if again != code and not (command.refuses and "is there already" in words):
        found.told("other", f"{at}: exit code {again} in place of {code}: {words}")
        return
    mine, right = ({p.relative_to(f) for p in _files(f, hidden=True)} for f in (folder, whole))
    if more := sorted(map(str, mine - right)):
        found.told("left", f"{at}: {', '.join(more)}")
    if less := sorted(map(str, right - mine)):
        found.told("other", f"{at}: no {', '.join(less)}")
    for path in sorted(mine & right):
        if not command.adds and (words := differences(folder / path, whole / path)):
            found.told("other", f"{at}: {path}: {words}")
    shutil.rmtree(folder)


def _folder(command: Command, place: Path, name: str) -> Path:
    """A new folder for a run, with what the command reads."""
    folder = place / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for need in command.needs:
        source = place / "inputs" / need
        if source.is_dir():
            shutil.copytree(source, folder / need)
        else:
            shutil.copy2(source, folder / need)
    return folder


def _files(folder: Path, *, hidden: bool = False) -> list[Path]:
    """Files below a folder; if wanted, hidden and temporary ones too."""
    found = []
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        secret = any(part.startswith(".") for part in parts) or parts[0] == "tmp"
        if path.is_file() and path.name != ".words" and (hidden or not secret):
            found.append(path)
    return found


def _run(command: Command, folder: Path, kill_after_s: float | None = None) -> tuple[int, float]:
    """Run a command in a process of its own.

    Returns:
        Its exit code, below 0 for a signal, and its processor time in seconds.
    """
    child = os.fork()
    if child == 0:
        _work(command, folder)
    began = time.monotonic()
    while True:
        done, status, used = os.wait4(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime
        lasted = time.monotonic() - began
        spent = lasted if command.wall else _cpu_s(child)
        if (kill_after_s is not None and spent >= kill_after_s) or lasted > PATIENCE_S:
            os.kill(child, signal.SIGKILL)
            kill_after_s = None
        time.sleep(0.005)


def _work(command: Command, folder: Path) -> None:
    """What the process does."""
    import shlex

    code = 99
    try:
        os.setsid()
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment(folder))
        tempfile.tempdir = None
        words = os.open(folder / ".words", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        given = os.open("a.mkv" if " - " in f"{command.words} " else os.devnull, os.O_RDONLY)
        for source, target in ((given, 0), (words, 1), (words, 2)):
            os.dup2(source, target)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        from synctool.cli.app import main

        code = main(shlex.split(command.words))
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException as error:
        print(repr(error), file=sys.stderr)
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _cpu_s(process: int) -> float:
    with suppress(OSError):
        fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _alone_after(folder: Path, patience_s: float) -> bool:
    """Whether all that a killed command had begun ends by itself: it is this process's child, or of none."""
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        if not _strays(folder):
            return True
        time.sleep(0.05)
    for stray in _strays(folder):
        with suppress(OSError):
            os.kill(stray, signal.SIGKILL)
    return False


def _strays(folder: Path) -> list[int]:
    """Processes that stand in the folder of a run."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            process = int(entry.name)
            if os.readlink(entry / "cwd") == str(folder):
                found.append(process)
    return found


def _say_if_wrong(whole: Path, code: int) -> None:
    words = (whole / ".words").read_text().strip()
    if code not in (0, 3) or "Traceback" in words:
        print(f"  undisturbed, it ends so: {words[-600:]}", flush=True)
    for path in _files(whole):
        if fault := fault_of(path):
            print(f"  undisturbed, {path.relative_to(whole)}: {fault}", flush=True)


def _table(given: argparse.Namespace, rows: list[dict[str, Any]]) -> Table:
    heads = (
        "command",
        "kills",
        "ended before",
        "torn files",
        "left over",
        "other end",
        "processes left",
    )
    keys = ("command", "kills", "over", "torn", "left", "other", "orphans")
    cells = [[str(row[key]) for key in keys] for row in rows]
    sums = [str(sum(row[key] for row in rows)) for key in keys[1:]]
    return Table(
        "Commands that are killed",
        heads,
        [*cells, ["all", *sums]],
        f"`python {SCRIPT} --docs --kills {given.kills}`: SIGKILL at uniformly random moments; every "
        "third run finds the results of an earlier one. Torn files are not whole at their final names; left "
        "over is what a plain second run leaves beside its results; its end is compared with an undisturbed "
        "run's.",
    )


if __name__ == "__main__":
    sys.exit(main())
