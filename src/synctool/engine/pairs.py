"""``pairs``: who trains and who tests, and labelled pairs of picture and moved sound."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from synctool.data.packed import SampleInfo, read_samples, shards_in
from synctool.data.split import SPLITS, Assignment, assign
from synctool.errors import MissingError, SyncToolError
from synctool.files import make_folder, write_text

SPLIT_FILE = "split.json"


def pairs(
    processed: Path,
    output: Path,
    *,
    max_offset: int,
    val_fraction: float,
    test_fraction: float,
    negatives_per_clip: int,
    seed: int,
) -> dict[str, dict[str, int]]:
    """Split a processed folder by person and write pairs.

    Writes ``split.json`` and, for each split, ``pairs_train.json`` and so on: a list of objects with
    ``video_dir`` (shard and key), ``offset`` (frames that the sound is moved ahead) and ``label``
    (1 in sync, 0 moved).

    Args:
        processed: What ``preprocess`` made.
        output: Folder for the files.
        max_offset: Largest offset of a moved pair.
        val_fraction: Share for validation, by person.
        test_fraction: Share for the test.
        negatives_per_clip: Moved pairs beside each one in sync.
        seed: Seed.

    Returns:
        Per split: clips, people, pairs.

    Raises:
        MissingError: Nothing is processed there.
        UsageError: The shares leave nothing to train on.
    """
    infos: list[SampleInfo] = []
    faces: list[np.ndarray] = []
    shards: list[str] = []
    for shard in shards_in(processed):
        for sample in read_samples(shard):
            infos.append(sample.info)
            faces.append(sample.face)
            shards.append(shard.name)
    assignments = assign(
        infos, np.stack(faces), val_fraction=val_fraction, test_fraction=test_fraction, seed=seed
    )
    _write(output / SPLIT_FILE, [asdict(a) for a in assignments])
    rng = np.random.default_rng(seed)
    summary: dict[str, dict[str, int]] = {}
    for split in SPLITS:
        chosen = [i for i, a in enumerate(assignments) if a.split == split]
        made = []
        for i in chosen:
            name = f"{shards[i]}#{infos[i].key}"
            made.append({"video_dir": name, "offset": 0, "label": 1})
            for offset in _offsets(max_offset, negatives_per_clip, rng):
                made.append({"video_dir": name, "offset": offset, "label": 0})
        summary[split] = {
            "clips": len(chosen),
            "people": len({assignments[i].person for i in chosen}),
            "pairs": len(made) if split != "left out" else 0,
        }
        if split != "left out" and made:
            _write(output / f"pairs_{split}.json", made)
    return summary


def read_split(path: Path) -> dict[str, Assignment]:
    """Assignments by key.

    Raises:
        MissingError: No such file.
        SyncToolError: It is no split.
    """
    try:
        return {row["key"]: Assignment(**row) for row in json.loads(path.read_text("utf-8"))}
    except FileNotFoundError as error:
        raise MissingError(
            f"no split: {path}", remedy="Make it with: synctool pairs PROCESSED"
        ) from error
    except (ValueError, TypeError, KeyError) as error:
        raise SyncToolError(
            f"{path} is no split", remedy="Make it anew with: synctool pairs"
        ) from error


def _offsets(max_offset: int, count: int, rng: np.random.Generator) -> list[int]:
    """Different offsets other than 0; hard ones (one and two frames away) come as often as others."""
    possible = [n for n in range(-max_offset, max_offset + 1) if n]
    count = min(count, len(possible))
    return [int(n) for n in rng.choice(possible, count, replace=False)]


def _write(path: Path, rows: list[dict[str, object]]) -> None:
    text = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    make_folder(path.parent)
    write_text(path, f"[\n{text}\n]\n")
