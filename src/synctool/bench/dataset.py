"""A data set of the user's as a part of the bench: its clips, their audio moved by a known number of frames.

A clip as it is would be no test: who always says 0 would be right. So the audio of each is moved by a whole
number of frames that depends on the clip's name alone.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from synctool.comparison.entries import LABELS, Entry, dataset_entries
from synctool.data.storage import storage
from synctool.errors import MissingError, UsageError
from synctool.files import sha256
from synctool.media.rewrite import rewrite
from synctool.names import printable
from synctool.prepare.inputs import expand
from synctool.prepare.videos import MANIFEST
from synctool.types import FRAME_MS, SAMPLES_PER_FRAME, Label

MOVES = tuple(n for n in range(-10, 11) if n)
"""Frames that audio is moved by: with 15 candidates on either side within the searched range."""


@dataclass(frozen=True)
class DatasetItem:
    """One clip of a data set. Its attributes are those of ``Item``.

    Attributes:
        id: Name.
        group: Its collection.
        person: Who is seen.
        entry: The video or stored clip.
        moved_frames: By how much its audio is moved ahead.
        content: What its content is known by.
    """

    id: str
    group: str
    person: str
    entry: Entry
    moved_frames: int
    content: str
    part: str = "dataset"
    drift_ms_per_min: float | None = None
    duration_s: float = 0.0

    @property
    def truth_ms(self) -> float:
        """The offset that the clip has by its label, or 0, and the move."""
        return ((self.entry.label.offset_frames or 0.0) + self.moved_frames) * FRAME_MS

    def plain(self) -> dict[str, Any]:
        """All that makes it, as JSON knows it."""
        return {"id": self.id, "truth_ms": self.truth_ms, "content": self.content}


def dataset_items(
    place: str,
    *,
    part: str = "auto",
    constants: Path | None = None,
    limit: int = 0,
) -> list[DatasetItem]:
    """The clips of a data set: a folder that ``preprocess`` made, or of videos.

    Args:
        place: The folder. Videos below a folder without ``labels.csv`` and ``manifest.csv`` are taken as they
            are, and the folder of each for a person, as in LRS2, LRS3 and GRID.
        part: As of ``dataset_entries``.
        constants: Systematic offsets, as of ``dataset_entries``.
        limit: At most so many of each collection; 0 for all.

    Raises:
        SyncToolError: See ``dataset_entries``.
    """
    folder = storage(place)
    if not folder.exists():
        raise MissingError(f"no such folder: {place}", remedy="Check the path of --dataset.")
    if folder.names("shard-*.json") or any(map(folder.exists, (LABELS, MANIFEST))):
        entries = dataset_entries(place, part=part, constants=constants, limit=limit)
    else:
        if constants is not None or part not in ("auto", "all"):
            raise UsageError(
                f"{place} has no {LABELS} and no {MANIFEST}, so --part and --constants say nothing",
                remedy="Leave them out.",
            )
        entries = _spread(_unlisted(place), limit)
    return [
        _item(entry, place)
        for entry in entries
        if entry.clip is not None or not entry.label.segments  # one offset holds for all of it
    ]


def moved_audio(samples: np.ndarray, frames: int) -> np.ndarray:
    """Audio moved ahead by so many frames, silence where it has none: ``[N]``."""
    shift = frames * SAMPLES_PER_FRAME
    moved = np.zeros_like(samples)
    if shift >= 0:
        moved[: max(len(samples) - shift, 0)] = samples[shift:]
    else:
        moved[-shift:] = samples[:shift]
    return moved


@contextmanager
def moved_copy(item: DatasetItem, folder: Path) -> Iterator[Path]:
    """The video of an item with its audio moved, for as long as it is needed.

    Raises:
        SyncToolError: It cannot be read or written.
    """
    with TemporaryDirectory(dir=folder, prefix="clip-", ignore_cleanup_errors=True) as made:
        target = Path(made) / "video.mkv"
        rewrite(
            item.entry.name, target, audio=lambda samples: moved_audio(samples, item.moved_frames)
        )
        yield target


def _item(entry: Entry, place: str) -> DatasetItem:
    if entry.clip is not None:
        name = entry.name
        content = hashlib.sha256(entry.clip.info.to_json()).hexdigest()
    else:
        name = Path(os.path.relpath(entry.name, place)).as_posix()
        content = sha256(Path(entry.name))
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
    moved = MOVES[int.from_bytes(digest[:4], "big") % len(MOVES)]
    label = entry.label
    return DatasetItem(
        f"dataset/{printable(name)}", label.source, label.person, entry, moved, content
    )


def _unlisted(place: str) -> list[Entry]:
    videos = expand([place])
    return [Entry(video, Label(0.0, person=os.path.dirname(video))) for video in videos]


def _spread(entries: Sequence[Entry], limit: int) -> list[Entry]:
    return list(entries[:: -(-len(entries) // limit)] if limit else entries)
