"""People that no network was trained on: their clips from a processed folder and its split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from synctool.data.processed import Processed
from synctool.data.samples import Sample
from synctool.errors import MissingError
from synctool.prepare.pairs import SPLIT_FILE, read_split

HELD_OUT = ("val", "test")
MAKE = (
    "Make them with: synctool preprocess ../shared/corpus {folder}, and then: synctool pairs {folder} "
    "--val-fraction 0.08 --test-fraction 0 --seed 1 (the split that the weights were trained with)."
)


@dataclass(frozen=True)
class HeldOut:
    """Clips and who is in them.

    Attributes:
        samples: The clips, in order.
        people: Person by key.
    """

    samples: list[Sample]
    people: dict[str, str]

    def person(self, sample: Sample) -> str:
        """Who is in a clip."""
        return self.people[sample.info.key]

    def by_person(self) -> dict[str, list[Sample]]:
        """Clips of each person, in order."""
        found: dict[str, list[Sample]] = {}
        for sample in self.samples:
            found.setdefault(self.person(sample), []).append(sample)
        return found

    def facts(self) -> str:
        """How many people and clips of each collection, in words."""
        parts = []
        for source in sorted({sample.info.source for sample in self.samples}):
            clips = [sample for sample in self.samples if sample.info.source == source]
            people = {self.person(sample) for sample in clips}
            parts.append(f"{source}: {len(clips)} clips of {len(people)} people")
        return "; ".join(parts)


def held_out(
    processed: Path,
    split: Path | None = None,
    *,
    sources: Sequence[str] = (),
    limit: int | None = None,
) -> HeldOut:
    """Read the clips of all people who are not trained on.

    Args:
        processed: What ``synctool preprocess`` made.
        split: ``split.json`` of ``synctool pairs``; None looks in ``processed``.
        sources: Only these collections; empty for all.
        limit: At most so many clips of a person.

    Raises:
        MissingError: The folder or the split is not there, or holds nobody out.
    """
    split = split or processed / SPLIT_FILE
    if not processed.is_dir() or not split.is_file():
        missing = split if processed.is_dir() else processed
        raise MissingError(
            f"no held-out people: {missing} is not there", remedy=MAKE.format(folder=processed)
        )
    folder, assignments = Processed(processed), read_split(split)
    people: dict[str, str] = {}
    counts: dict[str, int] = {}
    for _, info in folder.infos():
        row = assignments.get(info.key)
        if row is None or row.split not in HELD_OUT or (sources and info.source not in sources):
            continue
        counts[row.person] = counts.get(row.person, 0) + 1
        if limit is None or counts[row.person] <= limit:
            people[info.key] = row.person
    if not people:
        raise MissingError(
            f"{split} holds nobody out" + (f" of {', '.join(sources)}" if sources else ""),
            remedy=MAKE.format(folder=processed),
        )
    return HeldOut(list(folder.samples(people)), people)
