"""``pairs``: the train, validation and test split, and labelled pairs of video and audio."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from synctool.data.processed import Processed
from synctool.data.storage import LocalStorage, Storage
from synctool.errors import UsageError
from synctool.files import atomic_write, check_writable, make_folder
from synctool.prepare.pair_files import KINDS, Pair, check_form, pairs_writer
from synctool.prepare.people import GROUPED_AT_ONCE, MOST_FACES
from synctool.prepare.split import PARTS, SPLITS, Assignment, Clip, Division, all_clips, assign
from synctool.settings.pairs import PairsSettings
from synctool.types import VIDEO_FPS
from synctool.untrusted.documents import parse_json, typed
from synctool.untrusted.origin import MalformedError, Origin
from synctool.untrusted.regular import MIB, read_regular

SPLIT_FILE = "split.json"
SCHEMA = "synctool.pairs/1"
_DEFAULT_OUT = "pairs.json"
_HARD = (-2, -1, 1, 2)
_TOLD_EVERY = 1000
_LARGEST_SPLIT = 1024 * MIB

Tell = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""


def pairs(
    processed: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    settings: PairsSettings | None = None,
    *,
    dry_run: bool = False,
    on_progress: Tell | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """Split a processed folder by person and video, and list labelled pairs.

    For ``NAME.json`` this writes ``NAME_train.json``, ``NAME_val.json`` and ``NAME_test.json`` (see
    ``synctool.prepare.pair_files``), the statistics ``NAME_stats.json``, and ``split.json`` with the person
    and split of each sample. They appear together at the end.

    Args:
        processed: What ``preprocess`` made: a folder or an address.
        out: Name of the files, which ends in ``.json``, ``.csv`` or ``.parquet``; None for
            ``pairs.json`` in the processed folder. Always on this machine.
        settings: How; None for the defaults.
        dry_run: Write nothing.
        on_progress: Progress callback.
        changes: Settings by name that differ from ``settings``: see ``PairsSettings``.

    Returns:
        The statistics: per split clips, people, videos, hours, pairs, and pairs of each kind; how
        unnamed people were told apart; and notes on what is less than was asked for.

    Raises:
        MissingError: Nothing is processed there, or pyarrow is needed and not installed.
        UsageError: The settings contradict each other, or leave nothing to train on.
        SyncToolError: The processed folder is damaged.
        OutputError: The files cannot be written.
    """
    settings = PairsSettings.of(settings, changes)
    target = None if out is None else _target(os.fspath(out))
    folder = Processed(processed)
    files = _Files(target or _target_within(folder))
    if not dry_run:
        files.check()
    tell = on_progress or (lambda what, done, total: None)
    clips = all_clips(folder, on_progress=lambda n, total: tell("reading reports", n, total))
    by_face = _by_face(sum(not clip.speaker for clip in clips), settings.unnamed)
    division = assign(
        clips,
        val_fraction=settings.val_fraction,
        test_fraction=settings.test_fraction,
        seed=settings.seed,
        faces=_portraits(folder, clips, tell) if by_face else None,
    )
    stats: dict[str, Any] = {
        "schema": SCHEMA,
        "settings": settings.plain(),
        "unnamed_by": {True: "face", False: "film", None: None}[by_face],
        "splits": {},
        "notes": _notes(clips, division, settings, by_face=by_face),
    }
    with ExitStack() as opened:
        for split in SPLITS:
            part = _Part(clips, division.assignments, split)
            stats["splits"][split] = part.facts()
            if split not in PARTS:
                continue
            add = None if dry_run else opened.enter_context(pairs_writer(files.pairs(split)))
            drawn = _PartPairs(part, settings)
            counts = _pass_on(
                drawn, add, lambda n, p=part: tell(f"pairs of {p.name}", n, len(p.clips))
            )
            stats["splits"][split] |= {"pairs": sum(counts.values()), **counts}
            stats["notes"] += drawn.notes()
        if not dry_run:
            _write_split(opened.enter_context(atomic_write(files.split)), division.assignments)
            _write_stats(opened.enter_context(atomic_write(files.stats)), stats)
    return stats


def read_split(path: Path) -> dict[str, Assignment]:
    """Assignments by key.

    Raises:
        MissingError: No such file.
        SyncToolError: It is no split.
    """
    missing = "Make it with: synctool pairs PROCESSED"
    with _split_origin(path).reading("split", path, missing=missing):
        data = read_regular(path, most=_LARGEST_SPLIT)
    return _assignments(data, path)


def split_in(folder: Storage) -> dict[str, Assignment] | None:
    """Assignments by key of the split in a processed folder, wherever that is; None without one.

    Raises:
        MissingError: It is there and cannot be read, or nobody can tell whether it is there.
        SyncToolError: It is no split.
    """
    if not folder.exists(SPLIT_FILE):
        return None
    return _assignments(folder.read(SPLIT_FILE), f"{folder.place}/{SPLIT_FILE}")


def _assignments(data: bytes, place: str | Path) -> dict[str, Assignment]:
    with _split_origin(place).checked():
        rows: list[Assignment] = typed(parse_json(data, most=_LARGEST_SPLIT), list[Assignment])
        found = {row.key: row for row in rows}
        if len(found) < len(rows):
            raise MalformedError("it has a clip twice")
        if strange := next((row.split for row in rows if row.split not in SPLITS), None):
            raise MalformedError(f"it speaks of a split {strange[:80]!r}")
    return found


def _split_origin(place: str | Path) -> Origin:
    return Origin(str(place), "Make it anew with: synctool pairs", "is no split")


@dataclass(frozen=True)
class _Files:
    """Where everything goes, by the name that the user gave."""

    target: Path

    def pairs(self, split: str) -> Path:
        return self.target.with_name(f"{self.target.stem}_{split}{self.target.suffix}")

    @property
    def split(self) -> Path:
        return self.target.with_name(SPLIT_FILE)

    @property
    def stats(self) -> Path:
        return self.target.with_name(f"{self.target.stem}_stats.json")

    def check(self) -> None:
        make_folder(self.target.parent)
        for path in (*map(self.pairs, PARTS), self.split, self.stats):
            check_writable(path)


def _target(out: str) -> Path:
    if "://" in out:
        raise UsageError(
            f"the pairs cannot go to {out}: they are written on this machine only",
            remedy="Give a file for --out, and copy what is made.",
        )
    path = Path(out)
    if path.is_dir():
        raise UsageError(
            f"--out: {out} is a folder", remedy=f"Name a file in it: --out {path / _DEFAULT_OUT}"
        )
    check_form(path)
    return path


def _target_within(folder: Processed) -> Path:
    if isinstance(folder.storage, LocalStorage):
        return folder.storage.path / _DEFAULT_OUT
    raise UsageError(
        f"{folder.storage.place} is an address, and pairs are written on this machine only",
        remedy=f"Say where with --out, for example: --out {_DEFAULT_OUT}",
    )


def _by_face(unnamed: int, how: str) -> bool | None:
    """Whether to tell people apart by face; None if all are named."""
    if not unnamed:
        return None
    if how == "face" and unnamed > MOST_FACES:
        raise UsageError(
            f"{unnamed} clips are too many to be grouped by face, which takes memory and time by the "
            f"square of their number (at most {MOST_FACES})",
            remedy="Tell people apart by their recordings: --unnamed video",
        )
    return how == "face" or (how == "auto" and unnamed <= GROUPED_AT_ONCE)


def _portraits(folder: Processed, clips: Sequence[Clip], tell: Tell) -> np.ndarray:
    """Faces of the clips without a speaker, in order: uint8 ``[N, 64, 64]``."""
    wanted = [clip.key for clip in clips if not clip.speaker]
    keys, faces = set(wanted), {}
    for sample in folder.samples(keys):
        faces[sample.info.key] = sample.portrait
        tell("reading faces", len(faces), len(wanted))
    return np.stack([faces[key] for key in wanted])


def _notes(
    clips: Sequence[Clip], division: Division, settings: PairsSettings, *, by_face: bool | None
) -> list[str]:
    """What a person should know of a split."""
    notes = []
    if by_face is False:
        unnamed = sum(not clip.speaker for clip in clips)
        why = ", too many to group them by face" if settings.unnamed == "auto" else ""
        notes.append(
            f"{unnamed} clips have no speaker{why}: each recording counts as a person, so one who is "
            "in several recordings may be in two splits"
        )
    if division.torn:
        notes.append(
            f"{division.torn} clips are left out: the collection's own split has their person or "
            "their recording in two parts"
        )
    if division.alike:
        notes.append(
            f"{division.alike} clips are left out of training: their faces resemble a held-out one"
        )
    counts = Counter(row.split for row in division.assignments)
    alone = len({row.person for row in division.assignments}) == 1
    for split, share in zip(PARTS, (1, settings.val_fraction, settings.test_fraction)):
        if counts[split] or not share:
            continue
        if not division.drawn:
            why = "the collection's own split is kept, which has none"
        elif alone:
            why = "all clips are of one person"
        else:
            why = f"nobody has so few clips as its share of {share:g} allows; give a larger one"
        notes.append(f"{split} is empty: {why}")
    return notes


class _Part:
    """The clips of one split, and whose they are."""

    def __init__(self, clips: Sequence[Clip], assignments: Sequence[Assignment], name: str) -> None:
        self.name = name
        chosen = [i for i, row in enumerate(assignments) if row.split == name]
        self.clips = [clips[i] for i in chosen]
        self.people = [assignments[i].person for i in chosen]

    def facts(self) -> dict[str, Any]:
        """Its statistics, so far without pairs."""
        frames = sum(clip.num_frames for clip in self.clips)
        return {
            "clips": len(self.clips),
            "people": len(set(self.people)),
            "films": len({(clip.source, clip.film) for clip in self.clips}),
            "hours": round(frames / VIDEO_FPS / 3600, 3),
            "pairs": 0,
            **dict.fromkeys(KINDS, 0),
        }


class _PartPairs:
    """Draws the pairs of one split, clip by clip.

    Args:
        part: The clips.
        settings: Which pairs.
    """

    def __init__(self, part: _Part, settings: PairsSettings) -> None:
        self._part = part
        self._settings = settings
        self._rng = random.Random(f"{settings.seed} {part.name}")
        self._others = _Others(part, self._rng) if settings.other_speaker else None
        self._short: Counter[str] = Counter()

    def __iter__(self) -> Iterator[list[Pair]]:
        for index, (clip, person) in enumerate(zip(self._part.clips, self._part.people)):
            place = clip.place
            rows = [Pair(place, place, 0, 1, "positive", person)]
            hard, moved = self._offsets(clip.num_frames)
            rows += [Pair(place, place, n, 0, "offset", person) for n in moved]
            rows += [Pair(place, place, n, 0, "hard", person) for n in hard]
            if self._others:
                others = self._others.of(index, self._settings.other_speaker)
                self._count("other", others, self._settings.other_speaker)
                rows += [Pair(place, other.place, 0, 0, "other", person) for other in others]
            yield rows

    def notes(self) -> list[str]:
        """Of what there is less than was asked for."""
        why = {
            "offset": "the clips are too short for these offsets, or all offsets are taken",
            "hard": "the clips are too short, or these offsets are taken",
            "other": f"people in it: {len(set(self._part.people))}",
        }
        return [
            f"{count} clips of {self._part.name} have fewer pairs of the kind {kind} than asked for: "
            f"{why[kind]}"
            for kind, count in sorted(self._short.items())
        ]

    def _offsets(self, frames: int) -> tuple[list[int], list[int]]:
        """Hard and other offsets of a clip, none twice, all with some audio left under the video."""
        s, fixed = self._settings, self._settings.fixed_offsets
        reach = min(s.max_offset, frames - 1)
        near = [n for n in _HARD if abs(n) <= reach and n not in (fixed or ())]
        hard = self._some(near, s.hard_negatives)
        self._count("hard", hard, s.hard_negatives)
        if fixed is None:
            free = [n for n in range(-reach, reach + 1) if n and n not in hard]
            moved, wanted = self._some(free, s.negatives_per_clip), s.negatives_per_clip
        else:
            moved, wanted = [n for n in fixed if abs(n) <= reach], len(fixed)
        self._count("offset", moved, wanted)
        return hard, moved

    def _some(self, offsets: list[int], count: int) -> list[int]:
        return sorted(self._rng.sample(offsets, min(count, len(offsets))))

    def _count(self, kind: str, got: Sequence[object], wanted: int) -> None:
        if len(got) < wanted:
            self._short[kind] += 1


class _Others:
    """Finds clips of other people and other videos: of the same collection, where it has any.

    The audio of another collection would tell by its noise alone that it does not belong.

    Args:
        part: Where to look.
        rng: Source of chance.
    """

    def __init__(self, part: _Part, rng: random.Random) -> None:
        self._part = part
        self._rng = rng
        # Each person's clips lie side by side, and so do each collection's: all others are ranges.
        self._order = sorted(
            range(len(part.clips)), key=lambda i: (part.clips[i].source, part.people[i])
        )
        self._ranges: dict[tuple[str, ...], tuple[int, int]] = {}
        for at, index in enumerate(self._order):
            for group in self._groups(index):
                first, _ = self._ranges.get(group, (at, at))
                self._ranges[group] = (first, at + 1)

    def of(self, index: int, count: int) -> list[Clip]:
        """So many clips for the audio of another, fewer if there are not so many."""
        person, *wider = (self._ranges[group] for group in self._groups(index))
        first, last = next((w for w in wider if w != person), person)
        before, own = person[0] - first, person[1] - person[0]
        room = last - first - own
        clip, found = self._part.clips[index], []
        # More than wanted, as two people may share a video and so its audio.
        for at in self._rng.sample(range(room), min(room, 2 * count + 8)):
            other = self._part.clips[self._order[first + at + (own if at >= before else 0)]]
            if (other.source, other.film) != (clip.source, clip.film):
                found.append(other)
        return found[:count]

    def _groups(self, index: int) -> tuple[tuple[str, ...], ...]:
        source = self._part.clips[index].source
        return (source, self._part.people[index]), (source,), ()


def _pass_on(
    drawn: _PartPairs, add: Callable[[Pair], object] | None, tell: Callable[[int], None]
) -> Counter[str]:
    """Write pairs as they are drawn; returns how many there are of each kind."""
    counts: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
    for number, rows in enumerate(drawn, 1):
        for pair in rows:
            counts[pair.kind] += 1
            if add:
                add(pair)
        if number % _TOLD_EVERY == 0:
            tell(number)
    return counts


def _write_split(file: BinaryIO, assignments: Sequence[Assignment]) -> None:
    encode = json.JSONEncoder(ensure_ascii=False).encode
    before = "[\n"
    for row in assignments:
        text = encode({"key": row.key, "person": row.person, "split": row.split})
        file.write((before + text).encode("utf-8", "backslashreplace"))
        before = ",\n"
    file.write(b"\n]\n")


def _write_stats(file: BinaryIO, stats: dict[str, Any]) -> None:
    text = json.dumps(stats, ensure_ascii=False, indent=1) + "\n"
    file.write(text.encode("utf-8", "backslashreplace"))
