"""What is compared: videos with what is known about them, and sets that know it by themselves.

A set is a folder that ``preprocess`` made, whose clips are in sync but for a constant of their source or
person, or a folder of videos with a ``labels.csv`` or a ``manifest.csv``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from synctool.comparison.labels import LabelledVideo, read_labels
from synctool.data.pool import PooledSample, SamplePool
from synctool.data.processed import Processed
from synctool.data.samples import SampleInfo
from synctool.data.storage import storage
from synctool.errors import MissingError, UsageError, no_effect
from synctool.media.locating import is_pipe
from synctool.names import printable
from synctool.prepare.inputs import expand
from synctool.prepare.pairs import read_split, split_in
from synctool.prepare.videos import MANIFEST, VideoEntry, collection
from synctool.settings.compare import CompareSettings
from synctool.training.data import read_constants
from synctool.types import Label
from synctool.untrusted.documents import read_json, typed
from synctool.untrusted.origin import Origin

LABELS = "labels.csv"
PARTS = ("auto", "val", "test", "all")
"""Of a set: ``auto`` is whoever was kept for the test, else for validation, else everything."""
_PARTS_OF_COLLECTIONS = {"dev": "val"}
_OF_DATASET = ("part", "split", "constants", "languages", "limit")
"""Settings that say what of a dataset is compared."""
_T = TypeVar("_T")


@dataclass(frozen=True)
class Entry:
    """One video to compare, or a clip that stands for one.

    Attributes:
        name: The video as it was given, or the key of the clip.
        label: What is known about it.
        clip: The clip, of a processed folder; None for a video.
    """

    name: str
    label: Label = field(default_factory=Label)
    clip: PooledSample | None = None

    @property
    def identity(self) -> list[Any]:
        """What changes when the video does: plain data."""
        if self.clip is not None:
            return [self.name, self.clip.info.to_json().decode()]
        try:
            found = os.stat(self.name)
        except OSError:
            return [self.name, None]
        return [self.name, found.st_size, found.st_mtime_ns]


def video_entries(
    video_files: Sequence[str], *, labels: str | os.PathLike[str] | None = None
) -> list[Entry]:
    """Videos with what a labels file says about them.

    Args:
        video_files: The videos, as ``expand`` gives them.
        labels: ``truth.csv``; see ``read_labels``.

    Raises:
        MissingError: There is no such file.
        UsageError: It is of another form, or does not know all videos; or one of them is a pipe.
    """
    for video in video_files:
        if is_pipe(video):
            raise UsageError(
                f"{printable(video)} is a pipe, and videos that are compared may be read again",
                remedy="Save it, and give the file.",
            )
    if labels is None:
        return [Entry(video) for video in video_files]
    known = read_labels(labels).match(video_files)
    return [Entry(video, label) for video, label in zip(video_files, known)]


def entries_for(
    videos: Sequence[str],
    settings: CompareSettings,
    *,
    labels: str | os.PathLike[str] | None = None,
    dataset: str | os.PathLike[str] | None = None,
    from_file: str | None = None,
    asked: Container[str] = (),
) -> list[Entry]:
    """What a comparison is made of: videos, or a dataset.

    Args:
        videos: Videos, folders and globs.
        settings: Part, split, systematic offsets and limit of a dataset.
        labels: True offsets of the videos.
        dataset: The dataset.
        from_file: List of videos: see ``expand``.
        asked: Names of settings that were asked for in this call, and not in a settings file.

    Raises:
        UsageError: Both are given, or settings of a dataset without one.
        SyncToolError: See ``film_entries`` and ``dataset_entries``.
    """
    if dataset is None:
        if idle := [name for name in _OF_DATASET if name in asked]:
            raise no_effect(f"--{idle[0]}", "without --dataset", add="--dataset PATH")
        return video_entries(expand(videos, from_file=from_file), labels=labels)
    if videos or from_file is not None or labels is not None:
        raise UsageError(
            "--dataset brings its own videos and labels",
            remedy="Leave out the videos, --from-file and --labels, or --dataset.",
        )
    chosen = {name: getattr(settings, name) for name in _OF_DATASET}
    return dataset_entries(dataset, **chosen)


def dataset_entries(
    place: str | os.PathLike[str],
    *,
    part: str = "auto",
    split: str | os.PathLike[str] | None = None,
    constants: str | os.PathLike[str] | None = None,
    languages: str | os.PathLike[str] | None = None,
    limit: int = 0,
) -> list[Entry]:
    """The videos or clips of a set, with what is known about them.

    Args:
        place: A processed folder, or a folder of videos with ``labels.csv`` or ``manifest.csv``.
        part: One of ``PARTS``.
        split: ``split.json`` of a processed folder; None looks in it.
        constants: JSON object of constant offsets in frames by sample (or video), person or source.
        languages: JSON object of languages by sample (or video), person or source, for what does not say
            its own.
        limit: At most so many of each source, every k-th; 0 takes all.

    Raises:
        MissingError: There is no such set, or nothing in this part of it.
        UsageError: No such part, or a labels file of another form.
        SyncToolError: Something in it is damaged.
    """
    if part not in PARTS:
        raise UsageError(f"no part {part!r}", remedy=f"There are: {', '.join(PARTS)}.")
    if limit < 0:
        raise UsageError(f"the limit is {limit}", remedy="Give 0 for all, or a number above 0.")
    zeros = read_constants(None if constants is None else Path(constants))
    spoken = {} if languages is None else read_languages(Path(languages))
    if storage(place).names("shard-*.json"):
        return _clips(place, part, None if split is None else Path(split), zeros, spoken, limit)
    if split is not None:
        raise UsageError(
            f"{place} holds no processed videos, so --split says nothing about them",
            remedy="Leave --split out.",
        )
    return _videos(Path(place), part, zeros, spoken, limit)


def _clips(
    place: str | os.PathLike[str],
    part: str,
    split: Path | None,
    zeros: Mapping[str, float],
    spoken: Mapping[str, str],
    limit: int,
) -> list[Entry]:
    folder = Processed(place)
    assigned = split_in(folder.storage) if split is None else read_split(split)
    infos = [info for _, info in folder.infos()]
    if assigned is not None:
        infos = [info for info in infos if info.key in assigned]
        parts = [assigned[info.key].split for info in infos]
    else:
        parts = [_part_of(info.split) for info in infos]
    chosen = _spread(_part(infos, parts, part, place), lambda info: info.source, limit)

    def label(info: SampleInfo) -> Label:
        person = info.speaker if assigned is None else assigned[info.key].person
        # Clips of one video are of one person, also where nobody said of whom.
        person = person or f"{info.source}/{info.film or info.video_path}"
        names = info.key, person, info.source
        language = info.language or _named(spoken, *names) or ""
        return Label(_named(zeros, *names) or 0.0, person, info.source, language)

    pool = SamplePool(folder, {info.key for info in chosen}, cache_mb=0)
    return [Entry(sample.info.key, label(sample.info), sample) for sample in pool]


def _videos(
    folder: Path, part: str, zeros: Mapping[str, float], spoken: Mapping[str, str], limit: int
) -> list[Entry]:
    if not folder.is_dir():
        raise MissingError(f"no such folder: {folder}", remedy="Check the path of --dataset.")
    listed: dict[str, VideoEntry] = {}
    if (folder / MANIFEST).is_file():
        listed = {os.path.normpath(e.name): e for e in collection(storage(folder)).videos}
    rows: Iterable[tuple[str, LabelledVideo | None]]
    if (folder / LABELS).is_file():
        table = read_labels(folder / LABELS)
        rows = [(table.path_of(video), video) for video in table.videos]
    elif listed:
        rows = [(os.path.join(folder, e.name), None) for e in listed.values()]
    else:
        raise MissingError(
            f"nothing says what is in {folder}",
            remedy=f"Put a {LABELS} or a {MANIFEST} into it, or give a folder that preprocess made.",
        )
    entries, parts = [], []
    for path, row in rows:
        name = os.path.normpath(os.path.relpath(path, folder))
        about = listed.get(name, VideoEntry(name))
        label = row.label if row else Label()
        label = replace(
            label, person=label.person or about.speaker, source=label.source or about.source
        )
        names = name.replace(os.sep, "/"), label.person, label.source
        language = label.language or about.language or _named(spoken, *names) or ""
        label = replace(label, language=language)
        if label.offset_frames is None and not label.segments:
            label = replace(label, offset_frames=_named(zeros, *names))
        entries.append(Entry(path, label))
        parts.append(_part_of(about.split))
    chosen = _part(entries, parts, part, folder)
    return _spread(chosen, lambda entry: entry.label.source, limit)


def _part_of(split: str) -> str:
    """A collection's own word for a part as ours."""
    return _PARTS_OF_COLLECTIONS.get(split, split)


def _part(
    things: Sequence[_T], parts: Sequence[str], part: str, place: str | os.PathLike[str]
) -> list[_T]:
    if part == "auto":
        part = next((name for name in ("test", "val") if name in parts), "all")
    found = [thing for thing, its in zip(things, parts) if part in ("all", its)]
    if not found:
        raise MissingError(
            f"nothing in {place} is kept for {part}",
            remedy="Give another part, or all; synctool pairs makes a split.",
        )
    return found


def _spread(things: Sequence[_T], source: Callable[[_T], str], limit: int) -> list[_T]:
    """At most so many of each source, taken evenly, in the order that they had."""
    if not limit:
        return list(things)
    by_source: dict[str, list[int]] = {}
    for i, thing in enumerate(things):
        by_source.setdefault(source(thing), []).append(i)
    kept = {i for own in by_source.values() for i in own[:: -(-len(own) // limit)]}
    return [thing for i, thing in enumerate(things) if i in kept]


def _named(facts: Mapping[str, _T], *names: str) -> _T | None:
    """What is known of the first of these names that anything is known of."""
    return next((facts[name] for name in names if name in facts), None)


def read_languages(path: Path) -> dict[str, str]:
    """Languages by sample, person or source.

    Raises:
        MissingError: There is no such file.
        SyncToolError: It is no JSON object of texts.
    """
    remedy = 'Give a JSON object like {"GRID": "en"}.'
    with Origin(str(path), remedy, "holds no languages").reading(
        "file", path, missing="Check --languages."
    ):
        return typed(read_json(path), dict[str, str])
