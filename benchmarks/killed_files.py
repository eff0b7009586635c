"""Whether files of results are whole, and whether two runs wrote the same: for ``killed``."""

from __future__ import annotations

import csv
import json
import re
import sqlite3
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from synctool.untrusted.documents import parse_toml

_TIMES = re.compile(
    r"(^|_)(timing|seconds|time|times|timing_s|shared_s|speed|mtime|mtime_ns|created|when|made|began|ended|elapsed|"
    r"rate|ms_per|realtime|rtf|cpu|load|step_s|per_s|done_at|speeds|memory_mb)(_s|_ms|_ns)?($|_)|_s$|seconds"
)
"""Keys of JSON, and columns, of what differs between runs."""
_METRICS_OF_TIMES = ("speed", "memory_mb")
_TIMES_IN_WORDS = re.compile(r"\d+(\.\d+)? s\b")
_TIMING_NOTE = "with more threads it was slower"
_LOOSE = {".html", ".png", ".mkv", ".mp4", ".sqlite", ".onnx", ".pt", ".wal"}
"""Only readable, as times stand in them, or codecs' threads."""


def fault_of(path: Path) -> str | None:
    """What is wrong with a file, None where it is whole."""
    if path.suffix in _READERS:
        try:
            _READERS[path.suffix](path)
        except Exception as error:
            return f"{type(error).__name__}: {str(error)[:200]}"
    return None


def differences(one: Path, two: Path) -> str | None:
    """Where two files say something else, None where they do not."""
    a, b = one.read_bytes(), two.read_bytes()
    if a == b:
        return None
    if one.suffix in (".json", ".jsonl"):
        values = [[json.loads(line) for line in _documents(one.suffix, data)] for data in (a, b)]
        return next(_unlike("", *values), None)
    if one.suffix == ".csv":
        tables = [list(csv.DictReader(data.decode().splitlines())) for data in (a, b)]
        return next(_unlike("", *tables), None)
    if one.suffix in _LOOSE:
        return fault_of(one)
    return f"{len(a)} bytes in place of {len(b)}, or others"


def _documents(suffix: str, data: bytes) -> list[bytes]:
    return data.splitlines() if suffix == ".jsonl" else [data]


def _unlike(where: str, one: Any, two: Any) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(two, dict):
        if one.get("name") == two.get("name") in _METRICS_OF_TIMES:
            return
        for key in sorted(one.keys() | two.keys()):
            if not _TIMES.search(key):
                yield from _unlike(f"{where}.{key}", one.get(key), two.get(key))
    elif (
        isinstance(one, list) and isinstance(two, list) and len(_lasting(one)) == len(_lasting(two))
    ):
        for number, (a, b) in enumerate(zip(_lasting(one), _lasting(two))):
            yield from _unlike(f"{where}[{number}]", a, b)
    elif one != two and not _nearly(one, two):
        yield f"{where}: {str(one)[:80]} in place of {str(two)[:80]}"


def _lasting(values: list[Any]) -> list[Any]:
    """Without what is said of times alone."""
    return [x for x in values if not (isinstance(x, str) and x.startswith(_TIMING_NOTE))]


def _nearly(one: Any, two: Any) -> bool:
    """Whether two numbers are the same; and two paths, but for the folder of the run."""
    if isinstance(one, float) and isinstance(two, float):
        return abs(one - two) <= 1e-3 * max(1.0, abs(two))
    if isinstance(one, str) and isinstance(two, str):
        a, b = (_TIMES_IN_WORDS.sub("", text.replace("/killed/", "/whole/")) for text in (one, two))
        return a == b
    return False


def _image(path: Path) -> None:
    import cv2

    if cv2.imread(str(path)) is None:
        raise ValueError("no picture")


def _video(path: Path) -> None:
    import av

    with av.open(str(path)) as file:
        count = sum(1 for frame in file.decode(video=0))
    if count < 5:
        raise ValueError(f"{count} frames")


def _table(path: Path) -> None:
    text = path.read_text()
    rows = list(csv.reader(text.splitlines()))
    if text and (not text.endswith("\n") or len({len(row) for row in rows}) > 1):
        raise ValueError("a row is not whole")


def _lines(path: Path) -> None:
    data = path.read_bytes()
    if data and not data.endswith(b"\n") and not path.name.startswith("j"):
        raise ValueError("the last line is not whole")
    for line in data.splitlines():
        json.loads(line)


def _page(path: Path) -> None:
    if not path.read_text().rstrip().endswith("</html>"):
        raise ValueError("it does not end")


def _tensors(path: Path) -> None:
    from safetensors import safe_open

    with safe_open(path, "np") as file:
        for key in list(file.keys()):
            file.get_tensor(key)


def _arrays(path: Path) -> None:
    import numpy as np

    with np.load(path) as file:
        for key in file.files:
            _ = file[key]


def _tar(path: Path) -> None:
    with tarfile.open(path) as file:
        for member in file:
            taken = file.extractfile(member)
            assert taken is not None and len(taken.read()) == member.size


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path) as file:
        if file.testzip() is not None:
            raise ValueError("damaged")


def _parquet(path: Path) -> None:
    import pyarrow.parquet

    pyarrow.parquet.read_table(path)


def _graph(path: Path) -> None:
    import onnx

    onnx.checker.check_model(onnx.load(path))


def _database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as file:
        if file.execute("pragma integrity_check").fetchone() != ("ok",):
            raise ValueError("damaged")


def _settings(path: Path) -> None:
    parse_toml(path.read_bytes())


def _code(path: Path) -> None:
    compile(path.read_text(), path, "exec")


def _line_ends(path: Path) -> None:
    text = path.read_text()
    if text and not text.endswith("\n"):
        raise ValueError("the last line is not whole")


_READERS: dict[str, Callable[[Path], object]] = {
    **{".json": lambda path: json.loads(path.read_text()), ".jsonl": _lines, ".csv": _table},
    **{".html": _page, ".png": _image, ".jpg": _image, ".mkv": _video, ".mp4": _video},
    **{".safetensors": _tensors, ".npz": _arrays, ".tar": _tar, ".pt": _zip, ".zip": _zip},
    **{".parquet": _parquet, ".onnx": _graph, ".sqlite": _database},
    **{".toml": _settings, ".py": _code},
    **{".edl": _line_ends, ".vtt": _line_ends, ".rttm": _line_ends},
}
"""Each reads a file to its end, and raises where it cannot."""
