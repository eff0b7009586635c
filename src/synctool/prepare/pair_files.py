"""Labelled pairs of video and audio, and the files that list them: JSON, CSV or Parquet by suffix."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from synctool.data.processed import Processed
from synctool.errors import MissingError, SyncToolError, UsageError
from synctool.extras import require
from synctool.files import atomic_path
from synctool.prepare.split import Clip, all_clips
from synctool.untrusted.origin import MalformedError
from synctool.untrusted.regular import check_size, open_regular
from synctool.untrusted.text import decode_text

KINDS = ("positive", "offset", "hard", "other")
"""In sync; moved; moved by one or two frames; another speaker's audio."""
FARTHEST_FRAMES = 125
"""Largest offset that synctool knows."""
_REQUIRED = ("video_dir", "offset", "label")
_ROW_GROUP = 1 << 16
_WHOLE = re.compile(r"\s*[+-]?[0-9]{1,9}\s*")
_PARQUET_MAGIC = b"PAR1"
_SHOWN = 3
_LARGEST = 1 << 31
_LONGEST = 24


class Pair(NamedTuple):
    """The video of one sample with the audio of the same or another.

    Attributes:
        video_dir: Place of the sample whose video it is: ``SHARD.tar#KEY``, or the folder ``KEY``.
        audio_dir: Place of the sample whose audio it is.
        offset: Frames of 40 ms that the audio is moved ahead; below 0, behind.
        label: 1 in sync, 0 not.
        kind: One of ``KINDS``.
        speaker: Person in the video, as ``split.json`` names them.
    """

    video_dir: str
    audio_dir: str
    offset: int
    label: int
    kind: str
    speaker: str


def check_form(path: Path) -> None:
    """Make sure that a pairs file of this name can be read and written.

    Raises:
        UsageError: Its suffix is none of ours.
        MissingError: Its form needs a package that is not installed.
    """
    suffix = path.suffix.lower()
    if suffix not in _FORMS:
        raise UsageError(
            f"{path} is no name of a pairs file",
            remedy=f"Give a name that ends in {', '.join(_FORMS)}.",
        )
    if suffix == ".parquet":
        _pyarrow()


@contextmanager
def pairs_writer(path: Path) -> Iterator[Callable[[Pair], None]]:
    """Yield what adds a pair to a file, which appears when the block ends well.

    Args:
        path: The file, of a form that ``check_form`` lets through.

    Raises:
        OutputError: It cannot be written.
    """
    write, _ = _FORMS[path.suffix.lower()]
    with atomic_path(path) as temporary, write(temporary) as add:
        yield add


def read_pairs(path: Path, folder: Processed) -> list[Pair]:
    """Read a pairs file and check it against the samples that it names.

    ``video_dir``, ``offset`` and ``label`` must be there; ``audio_dir``, ``kind`` and ``speaker``
    follow from them where they are not, and further columns are passed over. A sample may be named
    by its place, by its key alone, or by its path below the folder.

    Args:
        path: JSON, CSV or Parquet by its suffix.
        folder: What ``preprocess`` made.

    Returns:
        The pairs in order, with places as this folder has them.

    Raises:
        MissingError: There is no such file, or samples that it names are not in the folder.
        UsageError: Its suffix is none of ours.
        SyncToolError: It is of another form, has no pairs, or a row makes no sense.
    """
    check_form(path)
    _, read = _FORMS[path.suffix.lower()]
    _check_content(path)
    rows = _Rows(path, folder)
    pairs = read(path, rows)
    rows.check_missing()
    if not pairs:
        raise SyncToolError(f"{path} holds no pairs", remedy="Make it anew with: synctool pairs.")
    return [pair for pair in pairs if pair is not None]  # all, as none is missing


class _Rows:
    """Turns rows as they are read into pairs, or says what is wrong with one.

    Args:
        path: The file, for messages.
        folder: Its samples.
    """

    def __init__(self, path: Path, folder: Processed) -> None:
        self._path = path
        self._roots = (folder.storage.address, folder.storage.place)
        self._clips = {clip.key: clip for clip in all_clips(folder)}
        self._missing: dict[str, None] = {}
        self._number = 0

    def pair(self, row: Mapping[str, Any]) -> Pair | None:
        """The pair of a row; None if its sample is not here, which ``check_missing`` tells."""
        self._number += 1
        self.check_columns([name for name in _REQUIRED if row.get(name) not in (None, "")])
        video = self._clip(row["video_dir"])
        audio = self._clip(row.get("audio_dir") or row["video_dir"])
        offset, label = self._whole(row, "offset"), self._whole(row, "label")
        if label not in (0, 1):
            self._wrong(f"its label is {_short(label)}, not 0 or 1")
        if abs(offset) > FARTHEST_FRAMES:
            self._wrong(f"its offset, {_short(offset)} frames, is beyond {FARTHEST_FRAMES}")
        if video is None or audio is None:
            return None
        if abs(offset) >= video.num_frames:
            self._wrong(f"its offset is {offset} frames, and the clip has {video.num_frames}")
        if label != (offset == 0 and audio is video):
            what = "moved or foreign audio" if label else "its own audio, unmoved,"
            self._wrong(f"it has {what} with the label {label}")
        kind = "positive" if label else "offset" if audio is video else "other"
        if row.get("kind") and row["kind"] != kind:
            if row["kind"] != "hard" or kind != "offset":
                self._wrong(f"its kind is {_short(row['kind'])}, and its other columns say {kind}")
            kind = "hard"
        if not isinstance(row.get("speaker") or "", str):
            self._wrong(f"its speaker is no text: {_short(row['speaker'])}")
        speaker = str(row.get("speaker") or (video.speaker and f"{video.source}/{video.speaker}"))
        return Pair(video.place, audio.place, offset, label, kind, speaker)

    def check_columns(self, there: list[str]) -> None:
        """Make sure that the columns that are needed are there."""
        if lacking := [name for name in _REQUIRED if name not in there]:
            self._wrong(f"it lacks {', '.join(lacking)}")

    def check_missing(self) -> None:
        """Say which samples are not here."""
        if not self._missing:
            return
        names = list(self._missing)
        more = ", ..." if len(names) > _SHOWN else ""
        raise MissingError(
            f"{self._path} names {len(names)} clips that {self._roots[1]} does not hold: "
            f"{', '.join(names[:_SHOWN])}{more}",
            remedy="Give the processed folder that the pairs were made of, or make them anew with: "
            "synctool pairs.",
        )

    def _clip(self, name: object) -> Clip | None:
        if not isinstance(name, str):
            self._wrong(f"{_short(name)} names no clip")
        clip = self._clips.get(name.rpartition("#")[2])
        if clip is None:
            for root in self._roots:
                if name.startswith(root.rstrip("/") + "/"):
                    clip = clip or self._clips.get(name[len(root.rstrip("/")) :].strip("/"))
        if clip is None:
            self._missing[name] = None
        return clip

    def _whole(self, row: Mapping[str, Any], name: str) -> int:
        value = row[name]
        if isinstance(value, str) and _WHOLE.fullmatch(value):
            return int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            self._wrong(f"its {name} is no whole number: {_short(value)}")
        return value

    def _wrong(self, what: str) -> NoReturn:
        where = f"row {self._number} of {self._path}" if self._number else str(self._path)
        raise SyncToolError(
            f"{where} is wrong: {what}", remedy="Fix it, or make the file anew: synctool pairs."
        )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _check_content(path: Path) -> None:
    try:
        with open_regular(path) as file:
            check_size(os.fstat(file.fileno()).st_size, _LARGEST)
            head = file.read(len(_PARQUET_MAGIC))
    except OSError as error:
        raise MissingError(
            f"cannot read {path}: {error.strerror or error}", remedy="Check the path."
        ) from error
    except MalformedError as error:
        raise _not("a list of pairs", path, error) from error
    if not head:
        raise SyncToolError(f"{path} is empty", remedy="Make it anew with: synctool pairs.")
    if head == _PARQUET_MAGIC and path.suffix.lower() != ".parquet":
        raise UsageError(
            f"{path} is a Parquet file by its content", remedy="Let its name end in .parquet."
        )


def _not(form: str, path: Path, error: Exception) -> SyncToolError:
    return SyncToolError(
        f"{path} cannot be read as {form}: {error}", remedy="Make it anew with: synctool pairs."
    )


@contextmanager
def _json_writer(path: Path) -> Iterator[Callable[[Pair], None]]:
    encode = json.JSONEncoder(ensure_ascii=False).encode
    before = "[\n"

    def add(pair: Pair) -> None:
        nonlocal before
        file.write(before + encode(pair._asdict()))
        before = ",\n"

    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
        yield add
        file.write("[]\n" if before == "[\n" else "\n]\n")


def _read_json(path: Path, rows: _Rows) -> list[Pair | None]:
    def row(fields: dict[str, Any]) -> Any:
        # Called as each object ends, so that a million dictionaries never stand side by side.
        return rows.pair(fields) if any(name in fields for name in _REQUIRED) else fields

    try:
        # Too large to be searched for its depth beforehand; nothing deep is kept.
        pairs = json.loads(decode_text(path.read_bytes()), object_hook=row)
    except (ValueError, RecursionError) as error:
        raise _not("JSON", path, error) from error
    if not isinstance(pairs, list) or not all(p is None or isinstance(p, Pair) for p in pairs):
        raise _not("JSON", path, ValueError("it is no list of objects with video_dir and so on"))
    return pairs


@contextmanager
def _csv_writer(path: Path) -> Iterator[Callable[[Pair], None]]:
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Pair._fields)
        yield writer.writerow


def _read_csv(path: Path, rows: _Rows) -> list[Pair | None]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            rows.check_columns(list(table.fieldnames or ()))
            return [rows.pair(row) for row in table]
    except (csv.Error, UnicodeError) as error:
        raise _not("CSV", path, error) from error


@contextmanager
def _parquet_writer(path: Path) -> Iterator[Callable[[Pair], None]]:
    pyarrow, parquet = _pyarrow()
    types = {"offset": pyarrow.int32(), "label": pyarrow.int8()}
    schema = pyarrow.schema([(name, types.get(name, pyarrow.string())) for name in Pair._fields])
    group: list[Pair] = []

    def flush() -> None:
        columns = [pyarrow.array(c, field.type) for c, field in zip(zip(*group), schema)]
        writer.write_batch(pyarrow.record_batch(columns, schema=schema))
        group.clear()

    def add(pair: Pair) -> None:
        group.append(pair)
        if len(group) == _ROW_GROUP:
            flush()

    with parquet.ParquetWriter(path, schema) as writer:
        yield add
        if group:
            flush()


def _read_parquet(path: Path, rows: _Rows) -> list[Pair | None]:
    pyarrow, parquet = _pyarrow()
    try:
        with parquet.ParquetFile(path) as file:
            there = [name for name in Pair._fields if name in file.schema_arrow.names]
            rows.check_columns(there)
            return [
                rows.pair(row)
                for batch in file.iter_batches(columns=there)
                for row in batch.to_pylist()
            ]
    except (pyarrow.ArrowException, ValueError, OSError, OverflowError, MemoryError) as error:
        raise _not("Parquet", path, error) from error


def _pyarrow() -> tuple[Any, Any]:
    require("parquet", "a Parquet file")
    import pyarrow
    from pyarrow import parquet

    return pyarrow, parquet


_Writer = Callable[[Path], AbstractContextManager[Callable[[Pair], None]]]
_Reader = Callable[[Path, _Rows], list[Pair | None]]
_FORMS: dict[str, tuple[_Writer, _Reader]] = {
    ".json": (_json_writer, _read_json),
    ".csv": (_csv_writer, _read_csv),
    ".parquet": (_parquet_writer, _read_parquet),
}
