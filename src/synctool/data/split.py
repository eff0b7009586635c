"""Train, val and test, by person: nobody is in two of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from synctool.data.packed import SampleInfo
from synctool.data.people import describe_faces, group_people, looks_like
from synctool.errors import UsageError

SPLITS = ("train", "val", "test", "left out")


@dataclass(frozen=True)
class Assignment:
    """Person and split of one sample; ``left out`` resembles a held-out person too much."""

    key: str
    person: str
    split: str


def assign(
    infos: Sequence[SampleInfo],
    faces: np.ndarray,
    *,
    val_fraction: float,
    test_fraction: float,
    seed: int,
) -> list[Assignment]:
    """Split samples by person.

    A collection's own split is kept (its ``dev`` is our ``val``). Other named speakers are drawn by
    the seed. Unnamed people are grouped by face; whole groups are held out, and what resembles them
    is left out of training.

    Args:
        infos: Facts of the samples.
        faces: uint8 ``[N, S, S]``, a face of each.
        val_fraction: Share of samples for validation, 0..1.
        test_fraction: Share of samples for the test.
        seed: Seed.

    Returns:
        One assignment per sample, in order.

    Raises:
        UsageError: The fractions leave nothing to train on.
    """
    if val_fraction < 0 or test_fraction < 0 or val_fraction + test_fraction >= 1:
        raise UsageError(
            "the shares of val and test leave nothing to train on",
            remedy="Give fractions of 0 or more whose sum is below 1.",
        )
    people = [info.speaker and f"{info.source}/{info.speaker}" for info in infos]
    splits = [{"dev": "val"}.get(info.split, info.split) for info in infos]
    unnamed = np.array([i for i, person in enumerate(people) if not person], int)
    descriptors = describe_faces(faces[unnamed]) if len(unnamed) else np.zeros((0, 1), np.float32)
    for i, group in zip(unnamed, group_people(descriptors)):
        people[i] = f"{infos[i].source}/face-{group:03d}"
    rng = np.random.default_rng(seed)
    named = [i for i in range(len(infos)) if not splits[i] and infos[i].speaker]
    for part in (named, [int(i) for i in unnamed if not splits[i]]):
        _draw(part, people, splits, val_fraction, test_fraction, rng)
    held = np.array([splits[i] in ("val", "test") for i in unnamed], bool)
    if held.any():
        for i, alike in zip(unnamed, looks_like(descriptors, descriptors[held])):
            if alike and splits[i] == "train":
                splits[i] = "left out"
    return [Assignment(info.key, p, s) for info, p, s in zip(infos, people, splits)]


def _draw(
    part: list[int],
    people: list[str],
    splits: list[str],
    val_fraction: float,
    test_fraction: float,
    rng: np.random.Generator,
) -> None:
    """Give whole persons to test and val until their shares are full; the rest trains."""
    counts: dict[str, int] = {}
    for i in part:
        counts[people[i]] = counts.get(people[i], 0) + 1
    order = [sorted(counts)[i] for i in rng.permutation(len(counts))]
    chosen: dict[str, str] = {}
    for split, fraction in (("test", test_fraction), ("val", val_fraction)):
        room = fraction * len(part)
        for person in order:
            # A person much larger than what is missing would swallow the training set.
            if person not in chosen and counts[person] <= room * 1.25:
                chosen[person] = split
                room -= counts[person]
    for i in part:
        splits[i] = chosen.get(people[i], "train")
