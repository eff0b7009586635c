"""A thousand detections in one process: memory, threads and open files, which should stay as they are.

    python benchmarks/soak.py [--video FILE] [--seconds 3] [--detections 1000] [--seed 1] [--docs]
                              [--keep-free] [--json FILE]

Every second video is a good one, the others are copies damaged as by ``mutated_media``, in nine containers
in turn. With ``--docs`` it writes its section of docs/performance.md. With ``--keep-free`` the allocator
keeps what closed videos have freed.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from media_mutations import BASES, MUTATIONS, make_base
from process_memory import held
from tables import Table, published

from synctool.errors import SyncToolError
from videos import shared

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
SCRIPT = "benchmarks/soak.py"
ROWS = 5


def main() -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--video", type=Path, default=shared("clips") / "example.avi")
    parser.add_argument("--seconds", type=float, default=3.0, help="so much of it")
    parser.add_argument("--detections", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep-free", action="store_true", help="memory is not given back")
    parser.add_argument("--docs", action="store_true", help="write the section of the page")
    parser.add_argument("--json", type=Path, help="the figures")
    given = parser.parse_args()
    return published(
        given,
        lambda: list(measured(given)),
        lambda rows: _table(given, rows),
        page=PAGE,
        script=SCRIPT,
    )


def measured(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """What the process holds after each fifth of the detections."""
    from synctool.measure.detect import Detector
    from synctool.media import video_file

    if given.keep_free:
        video_file.give_back = lambda: None
    detector, became = Detector(stall_timeout=30.0), Counter[str]()
    kinds = list(MUTATIONS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = [folder / f"{number}{base.ending}" for number, base in enumerate(BASES)]
        for base, path in zip(BASES, sources):
            make_base(base, given.video, path, seconds=given.seconds)
        for number in range(given.detections):
            path = sources[number % len(sources)]
            if number % 2:
                data = bytearray(path.read_bytes())
                kind = kinds[number // len(sources) % len(kinds)]
                MUTATIONS[kind](data, path.suffix, random.Random(given.seed * 1_000_003 + number))
                path = folder / f"damaged{path.suffix}"
                path.write_bytes(data)
            try:
                answered = detector.detect(path).offset_frames is not None
                became["measured" if answered else "inconclusive"] += 1
            except SyncToolError:
                became["refused"] += 1
            if (number + 1) % -(-given.detections // ROWS) == 0 or number + 1 == given.detections:
                yield {"detections": number + 1, **held(), **became}


def _table(given: argparse.Namespace, rows: list[dict[str, Any]]) -> Table:
    names = ("detections", "measured", "inconclusive", "refused")
    kept = ("rss_mib", "mapped_mib", "in_use_mib", "blocks", "threads", "files")
    heads = (
        *names,
        "resident MiB",
        "mapped MiB",
        "in use MiB",
        "Python's blocks",
        "threads",
        "open files",
    )
    return Table(
        "One process, many videos",
        heads,
        [[f"{row.get(key, 0):.0f}" for key in (*names, *kept)] for row in rows],
        f"`python {SCRIPT} --docs --seconds {given.seconds:g} --detections {given.detections}`: every second "
        "video is a damaged copy. What the process holds afterwards stands at the right: by the system, by "
        "the allocator (in use: given out and not taken back), by Python.",
    )


if __name__ == "__main__":
    sys.exit(main())
