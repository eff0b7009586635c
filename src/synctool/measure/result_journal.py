"""The journal of a batch of ``detect``: its rows are results, and none is kept in memory.

It lies in the folder ``journals`` of the cache folder, under a name that the command, the settings and
the weights decide, and is removed when everything is written. After a crash or a stop it is still there,
and the same command goes on with it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any

from synctool.cache import cache_folder
from synctool.errors import OutputError, SyncToolError, UsageError
from synctool.files import make_folder
from synctool.journal import BusyError, Journal, RowKind
from synctool.media.filetypes import HEAD_BYTES
from synctool.media.locating import STANDARD_INPUT, locate
from synctool.media.playlists import playlist_kind
from synctool.plain_data import from_plain
from synctool.temporaries import scratch_folder
from synctool.types import DetectResult, FrameSeries

FOLDER = "journals"
"""Folder of the journals in the cache folder."""
SCHEMA = "synctool.detect-result/1"
"""Schema of a row: a result with every digit, which that of ``--json`` has not."""
_LARGEST_ROW = 1 << 30
_KEPT_S = 30 * 24 * 3600.0
"""Journals that nobody has gone on with for so long are removed."""
_log = logging.getLogger(__name__)


def _to_row(result: DetectResult) -> dict[str, Any]:
    row = {field.name: _plain(getattr(result, field.name)) for field in fields(result)}
    return {"schema": SCHEMA, **row, "timing_s": dict(result.timing_s)}


def _plain(value: Any) -> Any:
    if isinstance(value, FrameSeries):  # long, and plain already
        return vars(value)
    if isinstance(value, tuple):
        return [_plain(entry) for entry in value]
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def _from_row(row: dict[str, Any]) -> DetectResult:
    return from_plain(DetectResult, row, schema=SCHEMA)


RESULTS: RowKind[DetectResult] = RowKind(
    schema="synctool.detect-journal/1",
    command="synctool detect",
    counted="results",
    to_dict=_to_row,
    from_dict=_from_row,
    shape=DetectResult,
    largest=_LARGEST_ROW,
)


@contextmanager
def result_journal(
    words: Sequence[str], settings: Mapping[str, Any], *, fresh: bool = False
) -> Iterator[Journal[DetectResult]]:
    """Open the journal of a batch, and go on with it where there is one.

    Where the cache folder cannot be written, or the same command is running already, a temporary one is
    used, with which no later run can go on.

    Args:
        words: What was named: videos, globs, folders, lists. Together with the current folder and the
            settings they tell one batch from another; a folder may have more videos the next time.
        settings: What results depend on, as JSON knows it.
        fresh: Whether to forget what an earlier run noted.

    Raises:
        OutputError: No file can be written, a temporary one neither.
    """
    facts = json.dumps([os.getcwd(), list(words), settings], sort_keys=True)
    name = f"detect-{hashlib.sha256(facts.encode('ascii')).hexdigest()[:32]}.jsonl"
    journal = _lasting(cache_folder() / FOLDER / name, settings)
    if journal is not None:
        with journal:
            if fresh:
                journal.clear()
            yield journal
        return
    with (
        scratch_folder() as folder,
        Journal(folder / name, settings, RESULTS, lasting=False) as journal,
    ):
        yield journal


def video_key(name: str) -> str | None:
    """What tells a video from others, and from itself with other content.

    Args:
        name: As it was given.

    Returns:
        A checksum of its name, size and time of change. None for what cannot be known again: what is not
        there, can be read once only, or names other files, which may change without it.
    """
    if name == STANDARD_INPUT:
        return None
    try:
        place = locate(name)
        if place.is_pipe:
            return None
        found = os.stat(place.path)
        with open(place.path, "rb") as file:
            if playlist_kind(file.read(HEAD_BYTES), place.path) is not None:
                return None
    except (SyncToolError, OSError):
        return None
    facts = json.dumps([name, found.st_size, found.st_mtime_ns])
    return hashlib.sha256(facts.encode("ascii")).hexdigest()


def _lasting(path: Path, settings: Mapping[str, Any]) -> Journal[DetectResult] | None:
    try:
        make_folder(path.parent)
        _remove_old(path.parent)
        try:
            return Journal(path, settings, RESULTS)
        except UsageError:  # something has spoiled its first line: it is ours, and of no use
            path.unlink()
            return Journal(path, settings, RESULTS)
    except BusyError:
        _log.info("the same command is running: this run could not go on after a crash")
    except (OutputError, UsageError, OSError) as error:
        _log.warning("this run could not go on after a crash, as %s", error)
    return None


def _remove_old(folder: Path) -> None:
    for path in folder.glob("detect-*.jsonl"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _KEPT_S:
                path.unlink()
