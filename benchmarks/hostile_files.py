"""How readers of files answer hostile content: 1,500 spoiled files over all readers, and what became of each.

python benchmarks/hostile_files.py [--inputs 1500] [--seed 1] [--limit 10] [--show]

Each reader gets good files that were spoiled at random. Right is to read what is still good, or one
``SyncToolError`` (for the catalogue the ``ValueError`` of its contract). All else counts as a fault: other
errors, and answers that take longer than the limit. The peak of memory is that of the whole run.
"""

from __future__ import annotations

import argparse
import random
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from hostile_inputs import READERS, SPOILS, Reader, spoiled
from synctool.errors import SyncToolError

READ, REFUSED, RAW, LATE = "read", "refused", "other errors", "too late"


class _TooLate(BaseException):
    """No reader catches it, which catch ``Exception`` around libraries."""


def main() -> None:
    """Spoil, read, count and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=1500, help="in all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--limit", type=int, default=10, help="seconds for an input")
    parser.add_argument("--show", action="store_true", help="print what was no clear error")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    chance = random.Random(given.seed)
    counts: dict[str, Counter[str]] = {reader.name: Counter() for reader in READERS}
    slowest_s = 0.0
    for number in range(given.inputs):
        reader = READERS[number % len(READERS)]
        how = list(SPOILS)[number // len(READERS) % len(SPOILS)]
        began = time.monotonic()
        became, error = _outcome(reader, how, chance, given.limit)
        slowest_s = max(slowest_s, time.monotonic() - began)
        counts[reader.name][became] += 1
        if given.show and became in (RAW, LATE):
            print(f"{number} {reader.name}, {how}: {type(error).__name__}: {str(error)[:200]}")
    _print(counts, slowest_s)


def _outcome(
    reader: Reader, how: str, chance: random.Random, limit_s: int
) -> tuple[str, BaseException | None]:
    with tempfile.TemporaryDirectory() as folder:
        path = reader.make(Path(folder))
        spoiled(path, how, chance)
        try:
            with _limited(limit_s):
                reader.read(path)
        except (SyncToolError, *reader.errors) as error:
            return REFUSED, error
        except _TooLate as error:
            return LATE, error
        except Exception as error:
            return RAW, error
    return READ, None


@contextmanager
def _limited(seconds: int) -> Iterator[None]:
    def late(number: int, frame: object) -> None:
        raise _TooLate

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _print(counts: dict[str, Counter[str]], slowest_s: float) -> None:
    columns = (READ, REFUSED, RAW, LATE)
    table = Table("reader", *columns, title="What became of hostile files")
    for name, found in counts.items():
        table.add_row(name, *(str(found[column]) for column in columns))
    total = sum(counts.values(), Counter())
    table.add_row("all", *(str(total[column]) for column in columns))
    Console().print(table)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{sum(total.values()):,} inputs, slowest {slowest_s:.1f} s, peak {peak_mib:.0f} MiB")


if __name__ == "__main__":
    main()
