"""Readers of outside files under a fuzzer that watches which code they reach (Atheris, libFuzzer).

    python benchmarks/fuzzed_readers.py [--seconds 300] [--corpus FOLDER] [--only NAME] [--docs] [--json FILE]

The fuzzer changes good files of every reader of ``tests/hostile_inputs.py``, the headers and bodies that
``serve`` takes, and the boxes and elements of containers. Right is to read them, or one ``SyncToolError`` (or
what a reader's contract names). Anything else ends the run: its input is kept as ``crash-*``, and is run
again by ``--input FILE``. ``pip install atheris`` first; it has wheels for Linux.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import re
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tables import Table, published

PAGE = Path(__file__).resolve().parent.parent / "docs" / "security.md"
SCRIPT = "benchmarks/fuzzed_readers.py"
LIMIT_S = 10
MEMORY_MIB = 4096


def main() -> int:
    """Fuzz in a process of its own, and tell how it went."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path, help="folder of inputs; later runs go on from it")
    parser.add_argument("--only", default="", help="readers that have this in their name")
    parser.add_argument("--input", type=Path, help="one input, again")
    parser.add_argument("--docs", action="store_true", help="write the section of the page")
    parser.add_argument("--json", type=Path, help="the figures")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside or given.input is not None:
        _fuzz(given)
        return 0
    return published(
        given,
        lambda: [_measured(given)],
        lambda rows: _table(given, rows),
        page=PAGE,
        script=SCRIPT,
    )


def _measured(given: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as made:
        corpus = given.corpus or Path(made)
        words = [sys.executable, __file__, "--inside", "--seconds", str(given.seconds)]
        words += ["--seed", str(given.seed), "--only", given.only, "--corpus", str(corpus)]
        done = subprocess.run(words, stderr=subprocess.PIPE, text=True, check=False)
    said = done.stderr
    print(said[-3000:])
    places = [int(n) for n in re.findall(r"cov: (\d+)", said)]
    figures = dict(re.findall(r"stat::(\w+):\s+(\d+)", said))
    return {
        "inputs": int(figures.get("number_of_executed_units", 0)),
        "places": places[-1] if places else 0,
        "at_first": places[0] if places else 0,
        "slowest_s": int(figures.get("slowest_unit_time_sec", 0)),
        "peak_mib": int(figures.get("peak_rss_mb", 0)),
        "faults": int(done.returncode != 0),
    }


def _fuzz(given: argparse.Namespace) -> None:
    import atheris

    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
    with atheris.instrument_imports(include=["synctool"]):
        from hostile_inputs import READERS

        targets: dict[str, Callable[[bytes], object]] = {}
        with tempfile.TemporaryDirectory() as place:
            good = _targets(READERS, Path(place), given.only, targets)
            given.corpus.mkdir(parents=True, exist_ok=True) if given.corpus else None
            names = list(targets)
            for number, name in enumerate(names):
                if given.corpus:
                    (given.corpus / f"good-{number}").write_bytes(bytes([number]) + good[name])
            warnings.simplefilter("ignore")
            logging.disable()

            def one(data: bytes) -> None:
                if data:
                    targets[names[data[0] % len(names)]](data[1:])

            words = [sys.argv[0], f"-timeout={LIMIT_S}", f"-rss_limit_mb={MEMORY_MIB}"]
            words += [
                f"-max_total_time={given.seconds}",
                "-print_final_stats=1",
                f"-seed={given.seed}",
            ]
            words += (
                [str(given.input)]
                if given.input
                else ["-max_len=20000", "-len_control=0", str(given.corpus)]
            )
            atheris.Setup(words, one)
            atheris.Fuzz()


def _targets(
    readers: Any, place: Path, only: str, targets: dict[str, Callable[[bytes], object]]
) -> Mapping[str, bytes]:
    """Fill in what takes bytes, by name; returns a good input for each."""
    from synctool.errors import SyncToolError
    from synctool.media.boxes import boxes, elements
    from synctool.serving.api_models import PathOrder
    from synctool.serving.uploads import _Form

    good: dict[str, bytes] = {}

    def add(
        name: str, data: bytes, read: Callable[[bytes], object], *errors: type[Exception]
    ) -> None:
        def target(data: bytes) -> None:
            try:
                read(data)
            except (SyncToolError, *errors):
                pass

        if only in name:
            targets[name], good[name] = target, data

    for number, reader in enumerate(readers):
        folder = place / str(number)
        folder.mkdir()
        path = reader.make(folder)

        def read(data: bytes, path: Path = path, reader: Any = reader) -> None:
            path.write_bytes(data)
            reader.read(path)

        add(reader.name, path.read_bytes(), read, *reader.errors)

    def form(data: bytes) -> None:
        kind, _, body = data.partition(b"\n")
        taken = _Form(kind.decode("latin-1"), bytearray())
        taken.feed(body)
        taken.finish()

    def containers(data: bytes) -> None:
        file = io.BytesIO(data)
        for walk in (boxes, elements):
            for box in walk(file, 0, len(data)):
                list(walk(file, box.start, box.end))

    header = b"multipart/form-data; boundary=b\n--b\r\nContent-Disposition: form-data; name="
    add("form", header + b'"file"; filename="a"\r\n\r\nx\r\n--b--\r\n', form)
    add(
        "order",
        json.dumps({"path": "a", "fix": True}).encode(),
        PathOrder.model_validate_json,
        ValueError,
    )
    add("containers", b"\0\0\0\x10moov\0\0\0\x08free", containers)
    return good


def _table(given: argparse.Namespace, rows: list[dict[str, Any]]) -> Table:
    (row,) = rows
    return Table(
        "Readers under a fuzzer",
        ("inputs", "places of code reached", "of them by good files", "slowest", "peak", "faults"),
        [
            [
                f"{row['inputs']:,}", f"{row['places']:,}", f"{row['at_first']:,}",
                f"{row['slowest_s']} s", f"{row['peak_mib']:,} MiB", str(row["faults"]),
            ]
        ],
        f"`python {SCRIPT} --docs --seconds {given.seconds}`: every reader of outside files but "
        "those of videos, and what `serve` takes, by Atheris.",
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
