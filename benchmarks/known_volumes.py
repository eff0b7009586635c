"""Score volumes of segments whose truth is known, kept in a file."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from synctool.data.augmentation.backgrounds import Backgrounds
from synctool.networks.loaded import LoadedModel
from synctool.training.calibration import KnownSegment, known_volumes
from synctool.training.data import train_data
from synctool.types import DEFAULT_MAX_OFFSET
from videos import arguments

_FACTS = ("person", "truth_frames", "foreign", "degraded", "tolerance_frames")
_CACHE_MB = 1024


def segment_arguments(description: str) -> argparse.ArgumentParser:
    """A parser with what all benchmarks take, and what segments are made of and kept in."""
    parser = arguments(description)
    parser.add_argument("--processed", type=Path, required=True, help="what preprocess made")
    parser.add_argument("--constants", type=Path, help="systematic offsets: the truth of each clip")
    parser.add_argument("--backgrounds", type=Path, help="recorded rooms, noises and music")
    parser.add_argument("--segments", type=Path, help="keep the score volumes in this file")
    parser.add_argument("--ensemble", default="graph-cls", help="the second model in that file")
    return parser


def measured(
    models: Sequence[LoadedModel],
    kept: Path | None,
    *,
    processed: Path,
    constants: Path | None,
    backgrounds: Path | None,
    every: int = 1,
    seed: int = 0,
) -> list[KnownSegment]:
    """Segments of the people that the split keeps for validation, from a file or measured.

    Args:
        models: What measures them.
        kept: The file, written where it is not there.
        processed: What ``preprocess`` made.
        constants: Systematic offsets: the truth of each clip.
        backgrounds: Recorded rooms, noises and music.
        every: Only every n-th clip.
        seed: Seed.
    """
    names = [model.weights for model in models]
    if kept is not None and kept.is_file():
        return read(kept, names)
    data = train_data(
        processed,
        split=None,
        constants=constants,
        source=None,
        pairs=None,
        max_offset=DEFAULT_MAX_OFFSET,
        cache_mb=_CACHE_MB,
    )
    found = list(
        known_volumes(
            models,
            data.val[::every],
            true_offset=data.constant,
            person=data.person,
            tolerance=data.tolerance,
            backgrounds=None if backgrounds is None else Backgrounds(backgrounds),
            seed=seed,
        )
    )
    if kept is not None:
        write(kept, found, names)
    return found


def write(path: Path, segments: Sequence[KnownSegment], names: Sequence[str]) -> None:
    """Keep segments in an ``.npz`` file."""
    facts = [{name: getattr(s, name) for name in _FACTS} for s in segments]
    frames = [s.volumes[0].shape[1] for s in segments]
    volumes = {
        f"volumes_{n}": np.concatenate([s.volumes[n] for s in segments], axis=1)
        for n in range(len(names))
    }
    head = json.dumps({"names": list(names), "facts": facts, "frames": frames})
    with path.open("wb") as file:
        np.savez(file, head=np.frombuffer(head.encode(), np.uint8), **volumes)


def read(path: Path, names: Sequence[str]) -> list[KnownSegment]:
    """The segments of a file.

    Raises:
        SystemExit: They are of other weights.
    """
    with np.load(path, allow_pickle=False) as kept:
        head = json.loads(kept["head"].tobytes())
        if head["names"] != list(names):
            raise SystemExit(f"{path} is of {', '.join(head['names'])}: delete it")
        ends = np.cumsum(head["frames"])[:-1]
        parts = [np.split(kept[f"volumes_{n}"], ends, axis=1) for n in range(len(names))]
    return [
        KnownSegment(volumes=volumes, **facts)
        for facts, volumes in zip(head["facts"], zip(*parts, strict=True), strict=True)
    ]
