"""Train, val and test, by person and by video: nobody, and no recording, is in two of them."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from synctool.data.processed import Processed, ShardReport, place_of
from synctool.errors import MissingError, SyncToolError, UsageError
from synctool.prepare.people import describe_faces, group_people, looks_like

PARTS = ("train", "val", "test")
LEFT_OUT = "left out"
SPLITS = (*PARTS, LEFT_OUT)
_OWN = {"": "", "train": "train", "dev": "val", "val": "val", "test": "test"}
"""What a collection calls its own split, and what we call it."""


@dataclass(frozen=True, slots=True)
class Clip:
    """What a split and pairs need to know of a sample: little, since there may be millions.

    Attributes:
        place: Where it is: ``SHARD.tar#KEY``, or the folder ``KEY``.
        key: Its name.
        speaker: Who speaks, or "".
        source: The collection.
        split: ``train``, ``val`` or ``test`` where the collection says so, else "".
        film: The recording that it is a part of.
        num_frames: T.
    """

    place: str
    key: str
    speaker: str
    source: str
    split: str
    film: str
    num_frames: int


@dataclass(frozen=True, slots=True)
class Assignment:
    """Person and split of one sample; ``left out`` is for what would tie training to a held-out person."""

    key: str
    person: str
    split: str


@dataclass(frozen=True)
class Division:
    """Who is where.

    Attributes:
        assignments: One per clip, in order.
        drawn: Clips whose split was drawn, since their collection has none.
        alike: Clips left out because their faces resemble a held-out one.
        torn: Clips left out because the collection's own split has their person, or their video, in
            two parts.
    """

    assignments: list[Assignment]
    drawn: int
    alike: int
    torn: int


def all_clips(
    folder: Processed, *, on_progress: Callable[[int, int], None] | None = None
) -> list[Clip]:
    """All samples of a processed folder, by its reports alone.

    Args:
        folder: What ``preprocess`` made.
        on_progress: Told how many reports are read, and how many there are.

    Raises:
        MissingError: There is none.
        SyncToolError: A report is damaged, or two of them list one sample.
    """
    clips: list[Clip] = []
    for number, report in enumerate(folder.reports(), 1):
        clips += _clips_of(report, folder.storage.place)
        if on_progress:
            on_progress(number, len(folder.names))
    if not clips:
        raise MissingError(
            f"{folder.storage.place} holds no samples",
            remedy="failures.json there says why each video gave none.",
        )
    if len({clip.key for clip in clips}) < len(clips):
        key, count = Counter(clip.key for clip in clips).most_common(1)[0]
        raise SyncToolError(
            f"{folder.storage.place} lists the sample {key} {count} times",
            remedy="Keep the shards of different runs of preprocess in different folders.",
        )
    return clips


def assign(
    clips: Sequence[Clip],
    *,
    val_fraction: float,
    test_fraction: float,
    seed: int,
    faces: np.ndarray | None = None,
) -> Division:
    """Split samples by person, keeping together all who share a recording.

    A collection's own split is kept (its ``dev`` is our ``val``); where it has one person or video in
    two parts, the part that is held out more strictly stays (test before val before train) and the
    rest is left out. All others are drawn by the seed. Unnamed people are grouped by face, and then
    what resembles a held-out face is left out of training; or, without faces, by recording.

    Args:
        clips: The samples.
        val_fraction: Share of samples for validation, 0..1.
        test_fraction: Share of samples for the test.
        seed: Seed.
        faces: uint8 ``[N, S, S]``, a face of each clip without a speaker, in order; None tells these
            apart by their videos.

    Raises:
        UsageError: The fractions leave nothing to train on.
    """
    if val_fraction < 0 or test_fraction < 0 or val_fraction + test_fraction >= 1:
        raise UsageError(
            "the shares of val and test leave nothing to train on",
            remedy="Give fractions of 0 or more whose sum is below 1.",
        )
    unnamed = [i for i, clip in enumerate(clips) if not clip.speaker]
    people = [sys.intern(f"{c.source}/{c.speaker or 'film-' + c.film}") for c in clips]
    if faces is not None and unnamed:
        faces = describe_faces(faces)
        for i, group in zip(unnamed, group_people(faces)):
            people[i] = f"{clips[i].source}/face-{group:03d}"
    units = _units(clips, people)
    chosen = _own_splits(clips, units)
    torn = {i for i, clip in enumerate(clips) if clip.split and clip.split != chosen[units[i]]}
    drawn = [i for i, unit in enumerate(units) if unit not in chosen]
    named = {units[i] for i in drawn if clips[i].speaker}
    rng = np.random.default_rng(seed)
    for part in (
        [units[i] for i in drawn if units[i] in named],
        [units[i] for i in drawn if units[i] not in named],
    ):
        chosen |= _draw(part, val_fraction, test_fraction, rng)
    splits = [LEFT_OUT if i in torn else chosen[unit] for i, unit in enumerate(units)]
    if drawn and "train" not in splits:
        raise UsageError(
            f"the shares of val and test leave nobody to train on (people: {len(set(people))})",
            remedy="Give smaller --val-fraction and --test-fraction.",
        )
    alike = 0 if faces is None else _guard(splits, unnamed, faces)
    made = [Assignment(clip.key, p, s) for clip, p, s in zip(clips, people, splits)]
    check(clips, made)
    return Division(made, len(drawn), alike, len(torn))


def check(clips: Sequence[Clip], assignments: Sequence[Assignment]) -> None:
    """Make sure that nobody and no video stands in two splits.

    Raises:
        SyncToolError: Naming the first that does.
    """
    where: dict[tuple[str, ...], str] = {}
    for clip, row in zip(clips, assignments, strict=True):
        if row.split == LEFT_OUT:
            continue
        for thing in (("person", row.person), ("video", clip.source, clip.film)):
            if where.setdefault(thing, row.split) != row.split:
                raise SyncToolError(
                    f"the {thing[0]} {'/'.join(thing[1:])} stands in {where[thing]} and in "
                    f"{row.split}",
                    remedy="This is a mistake of synctool: please report it.",
                )


def _clips_of(report: ShardReport, place: str) -> list[Clip]:
    try:
        return [_clip(report, facts) for facts in report.samples]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise SyncToolError(
            f"{report.name}.json in {place} is damaged: {error}",
            remedy="Delete it with its shard and run preprocess again.",
        ) from error


def _clip(report: ShardReport, facts: Mapping[str, Any]) -> Clip:
    key, frames = facts["key"], facts["num_frames"]
    film = facts.get("film") or facts["video_path"]
    texts = (key, facts["speaker"], facts["source"], facts["split"], film)
    if not key or not all(isinstance(text, str) for text in texts):
        raise TypeError("a fact of a sample is no text")
    if not isinstance(frames, int) or frames < 1:
        raise TypeError(f"{key} has {frames!r} frames")
    if facts["split"] not in _OWN:
        raise ValueError(f"{key} is in the split {facts['split']!r}, not in train, dev or test")
    # Speakers and videos repeat: one copy of each.
    speaker, source, film = sys.intern(texts[1]), sys.intern(texts[2]), sys.intern(film)
    return Clip(place_of(report, key), key, speaker, source, _OWN[facts["split"]], film, frames)


def _units(clips: Sequence[Clip], people: Sequence[str]) -> list[str]:
    """Who must stay together: people linked by videos, named after the first of them by name."""
    parent: dict[str, str] = {}

    def root(person: str) -> str:
        while (above := parent.setdefault(person, person)) != person:
            parent[person] = person = parent[above]
        return person

    films: dict[tuple[str, str], str] = {}
    for clip, person in zip(clips, people):
        one, other = root(person), root(films.setdefault((clip.source, clip.film), person))
        parent[max(one, other)] = min(one, other)
    return [root(person) for person in people]


def _own_splits(clips: Sequence[Clip], units: Sequence[str]) -> dict[str, str]:
    """The split of each unit that its collection has split: the most strictly held-out one."""
    own: dict[str, str] = {}
    for clip, unit in zip(clips, units):
        if clip.split:
            own[unit] = max(own.get(unit, "train"), clip.split, key=PARTS.index)
    return own


def _draw(
    part: Sequence[str], val_fraction: float, test_fraction: float, rng: np.random.Generator
) -> dict[str, str]:
    """Give whole units to test and val until their shares of the samples are full; the rest trains.

    Args:
        part: Unit of each sample.
        val_fraction: Share for validation.
        test_fraction: Share for the test.
        rng: Random generator.
    """
    counts = Counter(part)
    names = sorted(counts)
    order = [names[i] for i in rng.permutation(len(names))]
    chosen: dict[str, str] = {}
    for split, fraction in (("test", test_fraction), ("val", val_fraction)):
        room = fraction * len(part)
        for unit in order:
            # A unit much larger than what is missing would swallow the training set.
            if unit not in chosen and counts[unit] <= room * 1.25:
                chosen[unit] = split
                room -= counts[unit]
    return dict.fromkeys(order, "train") | chosen


def _guard(splits: list[str], unnamed: Sequence[int], described: np.ndarray) -> int:
    """Leave out of training what resembles a held-out face; returns how many that are."""
    held = np.array([splits[i] in ("val", "test") for i in unnamed], bool)
    if not held.any():
        return 0
    left = [
        i
        for i, alike in zip(unnamed, looks_like(described, described[held]))
        if alike and splits[i] == "train"
    ]
    for i in left:
        splits[i] = LEFT_OUT
    if left and "train" not in splits:
        raise UsageError(
            "every face to train on resembles one that is held out",
            remedy="Give smaller --val-fraction and --test-fraction, or --unnamed video.",
        )
    return len(left)
