"""What must not get worse: clips of general talk, the user's own or rendered ones.

Rendered faces are drawn and their voices synthesized (``synctool.synthetic``), so nobody's videos have to be
shipped. They tell when a model has lost its way; of small losses on real talk they say little
(docs/adapt.md).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from synctool.adapting.domain import DomainClip
from synctool.cache import cache_folder
from synctool.data.pool import PooledSample, SamplePool
from synctool.data.processed import Processed
from synctool.files import make_folder
from synctool.plugins.specs import ModelSpec
from synctool.prepare.pairs import SPLIT_FILE, read_split
from synctool.prepare.preprocess import preprocess
from synctool.synthetic.scene import OffsetAt, Scene

RENDERED = 24
"""Videos that are rendered."""
_DURATION_S = 7.0
_FIRST_SEED = 4000
_SIZE_PX = (512, 288)
_FOLDER = "rendered-faces.v1"
_CACHE_MB = 512
_LONG_FRAMES = 50
"""Clips from here on are preferred: shorter ones have few segments."""

Tell = Callable[[str, int, int], None]


def general_clips(
    folder: Path | None, spec: ModelSpec, *, most: int, seed: int, tell: Tell
) -> list[DomainClip]:
    """Clips of the general set; of a folder with a split, those that it keeps for validation.

    Args:
        folder: What ``preprocess`` made; None for rendered faces.
        spec: What crops the model takes.
        most: At most so many clips.
        seed: Chooses them.
        tell: Told what is done, how many are done, and how many there are.

    Raises:
        MissingError: Nothing is processed there.
    """
    if folder is None:
        folder = _rendered(spec, tell)
    keys = None
    people: dict[str, str] = {}
    if (folder / SPLIT_FILE).is_file():
        rows = read_split(folder / SPLIT_FILE)
        people = {key: row.person for key, row in rows.items()}
        keys = {key for key, row in rows.items() if row.split == "val"} or None
    samples = list(SamplePool(Processed(folder), keys, cache_mb=_CACHE_MB))
    long = [sample for sample in samples if sample.info.num_frames >= _LONG_FRAMES]
    samples = long if len(long) >= most else samples
    order = np.random.default_rng((seed, 5)).permutation(len(samples))[:most]
    chosen = [samples[i] for i in sorted(order.tolist())]
    return [
        DomainClip(sample, people.get(sample.info.key) or _person(sample), sample.info.key, "test")
        for sample in chosen
    ]


def _person(sample: PooledSample) -> str:
    info = sample.info
    return f"{info.source}/{info.speaker or info.film or info.video_path}"


def _rendered(spec: ModelSpec, tell: Tell) -> Path:
    """Rendered faces as clips, made once and kept in the cache."""
    from synctool.synthetic.video import write_scene

    video = spec.video
    videos = cache_folder() / _FOLDER / "videos"
    for number in range(RENDERED):
        seed = _FIRST_SEED + number
        path = videos / f"face-{seed}" / f"{seed}.mp4"
        tell("rendering faces for the general set", number, RENDERED)
        if path.is_file():
            continue
        make_folder(path.parent)
        scene = Scene(
            duration_s=_DURATION_S,
            offsets=(OffsetAt(0.0, 0.0),),
            seed=seed,
            size_px=_SIZE_PX,
        )
        write_scene(scene, path)
    colour = "gray" if video.colour == "gray" else "rgb"
    usual = video.crop == "mouth" and colour == "gray"
    clips = (
        cache_folder() / _FOLDER / ("mouths" if usual else f"{video.crop}-{video.size_px}-{colour}")
    )
    preprocess(
        videos,
        clips,
        crop=video.crop,
        size=0 if usual else video.size_px,
        colour=colour,
        jobs=1,
        shard_videos=8,
        on_progress=lambda p: tell("reading rendered faces", p.films_done, p.films_total),
    )
    return clips
