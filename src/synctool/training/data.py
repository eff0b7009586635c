"""What a run is trained on: clips by split and source, their listed offsets, their constants."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from synctool.data.pool import PooledSample, SamplePool
from synctool.data.processed import Processed
from synctool.errors import MissingError, SyncToolError, UsageError
from synctool.prepare.pair_files import FARTHEST_FRAMES, read_pairs
from synctool.prepare.pairs import SPLIT_FILE, read_split
from synctool.prepare.split import Assignment
from synctool.types import VIDEO_FPS
from synctool.untrusted.documents import read_json, typed
from synctool.untrusted.origin import MalformedError

if TYPE_CHECKING:  # it loads PyTorch, which comparing needs none of
    from synctool.data.windows import SampleLike

_SHOWN = 3
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainData:
    """Clips of a run.

    Attributes:
        pool: All of them.
        train: Those trained on.
        val: Those validated with.
        split: The file that says which.
        assignments: Person and split of every key.
        constants: Constant offset in frames by sample, person or source.
        offsets: Of each clip trained on, the offsets to choose from; None draws any.
    """

    pool: SamplePool
    train: list[PooledSample]
    val: list[PooledSample]
    split: Path
    assignments: dict[str, Assignment]
    constants: dict[str, float]
    offsets: list[list[int]] | None

    def person(self, sample: SampleLike) -> str:
        """Who speaks."""
        return self.assignments[sample.info.key].person

    def constant(self, sample: SampleLike) -> float:
        """The clip's own offset in frames: its own entry, its person's, or its source's."""
        names = (sample.info.key, self.person(sample), sample.info.source)
        return next((self.constants[n] for n in names if n in self.constants), 0.0)

    def tolerance(self, sample: SampleLike) -> float:
        """How many frames from a clip's offset an answer still counts as right.

        One; but two for people without a name whose clips have no constant of their own: they may be
        gathered from many videos, each about a frame off the constant that stands for all of them.
        """
        return 1.0 if sample.info.speaker or sample.info.key in self.constants else 2.0

    def summary(self, samples: Sequence[PooledSample]) -> dict[str, dict[str, float]]:
        """Clips, people and hours of each source."""
        clips = Counter(s.info.source for s in samples)
        frames = Counter()
        people: dict[str, set[str]] = {}
        for sample in samples:
            frames[sample.info.source] += sample.info.num_frames
            people.setdefault(sample.info.source, set()).add(self.person(sample))
        return {
            source: {
                "clips": clips[source],
                "people": len(people[source]),
                "hours": frames[source] / VIDEO_FPS / 3600,
            }
            for source in sorted(clips)
        }


def train_data(
    processed: Path,
    *,
    split: Path | None,
    constants: Path | None,
    source: str | None,
    pairs: Path | None,
    max_offset: int,
    cache_mb: float,
) -> TrainData:
    """Find the clips of a run.

    Args:
        processed: What ``preprocess`` made.
        split: ``split.json``; None looks beside ``pairs``, and in ``processed``.
        constants: JSON object of constant offsets in frames by sample, person or source.
        source: Train on the videos of this source only.
        pairs: A list of clips and offsets; None for all clips and any offset.
        max_offset: Largest offset learned.
        cache_mb: Memory for clips that were read, in each process.

    Raises:
        MissingError: No processed videos, no split, or nothing to train on.
        UsageError: The pairs do not fit the split or the largest offset.
        SyncToolError: A file is damaged.
    """
    folder = Processed(processed)
    used = split or _split_of(processed, pairs)
    assignments = read_split(used)
    listed = _listed_offsets(pairs, folder, assignments, max_offset)
    wanted = {key for key, a in assignments.items() if a.split in {"train", "val"}}
    pool = SamplePool(folder, wanted, cache_mb=cache_mb)
    sides: dict[str, list[PooledSample]] = {"train": [], "val": []}
    for sample in pool:
        sides[assignments[sample.info.key].split].append(sample)
    everything = sides["train"]
    train = [s for s in everything if source in (None, s.info.source)]
    if everything and not train:
        known = ", ".join(sorted({s.info.source for s in everything}))
        raise MissingError(
            f"no clip to train on is of the source {source!r}", remedy=f"There are: {known}."
        )
    if listed is not None:
        train = [s for s in train if s.info.key in listed]
    if not train:
        raise MissingError(
            "the split leaves nothing to train on", remedy="Make it anew: synctool pairs."
        )
    if not sides["val"]:
        _log.warning(
            "the split keeps nobody for validation: the last epoch counts as the best, and the "
            "confidence is not calibrated"
        )
    return TrainData(
        pool=pool,
        train=train,
        val=sides["val"],
        split=used,
        assignments=assignments,
        constants=read_constants(constants),
        offsets=None if listed is None else [listed[s.info.key] for s in train],
    )


def _split_of(processed: Path, pairs: Path | None) -> Path:
    beside = pairs and pairs.with_name(SPLIT_FILE)
    return beside if beside and beside.is_file() else processed / SPLIT_FILE


def _listed_offsets(
    path: Path | None, folder: Processed, assignments: dict[str, Assignment], max_offset: int
) -> dict[str, list[int]] | None:
    """Offsets that a pairs file lists for each sample; None without a file."""
    if path is None:
        return None
    listed: dict[str, list[int]] = {}
    rows = read_pairs(path, folder)
    for pair in rows:
        if pair.kind == "other":
            continue
        if abs(pair.offset) > max_offset:
            raise UsageError(
                f"{path} lists an offset of {pair.offset} frames, beyond --max-offset {max_offset}",
                remedy="Give a larger --max-offset, or make the pairs with a smaller one.",
            )
        listed.setdefault(pair.video_dir.rpartition("#")[2], []).append(pair.offset)
    held_out = [k for k in listed if k not in assignments or assignments[k].split != "train"]
    if held_out:
        raise UsageError(
            f"{path} lists {len(held_out)} clips that the split keeps out of training: "
            f"{', '.join(held_out[:_SHOWN])}",
            remedy="Give the pairs of train, and --split with the split.json made with them.",
        )
    others = sum(pair.kind == "other" for pair in rows)
    if others:
        _log.warning(
            "%d of %d pairs take no part: another speaker's audio has no offset", others, len(rows)
        )
    return listed


def read_constants(path: Path | None) -> dict[str, float]:
    """Constant offsets in frames by sample, person or source; none without a file.

    Raises:
        MissingError: There is no such file.
        SyncToolError: It is no JSON object of numbers.
    """
    if path is None:
        return {}
    try:
        constants: dict[str, float] = typed(read_json(path), dict[str, float])
        for name, frames in constants.items():
            if not abs(frames) <= FARTHEST_FRAMES:
                raise MalformedError(f"{name[:80]} has {frames} frames")
        return constants
    except FileNotFoundError as error:
        raise MissingError(f"no such file: {path}", remedy="Check --constants.") from error
    except (OSError, MalformedError) as error:
        raise SyncToolError(
            f"{path} holds no constants: {error}", remedy='Give a JSON object like {"GRID": 0.0}.'
        ) from error
