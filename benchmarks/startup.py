"""How long the program takes to begin: the first help text and the list of plugins, against Python alone.

python benchmarks/startup.py [--runs 9]

All plugins that are installed take part. The runs of the commands alternate, so that other work on the
machine falls on all of them alike; the first run of each, which may have to read from the disk, is left out.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

from rich.console import Console
from tables import Table

from synctool.plugins.loader import get_plugins

COMMANDS: dict[str, list[str]] = {
    "python -c pass": ["-c", "pass"],
    "synctool --help": ["-m", "synctool", "--help"],
    "synctool plugins list": ["-m", "synctool", "plugins", "list"],
    "synctool backbones": ["-m", "synctool", "backbones"],
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=9, help="of each command")
    runs = max(1, parser.parse_args().runs)
    taken_ms: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for run in range(runs + 1):
        for name, words in COMMANDS.items():
            ms = _once_ms(words)
            if run:
                taken_ms[name].append(ms)
    table(taken_ms, runs=runs).show(Console())


def table(taken_ms: dict[str, Sequence[float]], *, runs: int) -> Table:
    """The figures as a table; the first command is what the others are compared with."""
    bare = statistics.median(next(iter(taken_ms.values())))
    working = [r for r in get_plugins().records() if r.status == "ok"]
    rows = [
        [
            name,
            f"{statistics.median(ms):.0f}",
            f"{min(ms):.0f}",
            f"{statistics.median(ms) / bare:.1f}",
        ]
        for name, ms in taken_ms.items()
    ]
    return Table(
        title="Time to begin",
        columns=["command", "median ms", "least ms", "times Python alone"],
        rows=rows,
        note=f"{runs} runs of each in turn, {len(working)} plugins, "
        f"{sum(not r.builtin for r in working)} of them not built in.",
    )


def _once_ms(words: Sequence[str]) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    return 1000 * (time.perf_counter() - started)


if __name__ == "__main__":
    main()
