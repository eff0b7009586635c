"""The videos of a folder as clips, some to learn from and some only to measure.

Nobody, and no video, is in two parts. The part ``learn`` trains, ``calibrate`` fits confidences of what was
trained on the first, and ``test`` decides what is accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np

from synctool.data.pool import PooledSample, SamplePool
from synctool.data.processed import Processed
from synctool.errors import InconclusiveError, MissingError
from synctool.plugins.specs import ModelSpec
from synctool.prepare.preprocess import PreprocessProgress, preprocess
from synctool.prepare.split import Clip, all_clips, assign
from synctool.settings.adapt import AdaptSettings

Part = Literal["learn", "calibrate", "test"]
LEAST_VIDEOS = 6
"""With fewer videos with a face, whatever is learned cannot be tested."""
LEAST_S = 30.0
"""Likewise, seconds of faces."""
_LEAST_PEOPLE = 4
"""With fewer named people the parts are drawn by video."""
_CALIBRATE = 1 / 3
"""Of what is not tested."""
_CACHE_MB = 1024
_PARTS: dict[str, Part] = {"train": "learn", "val": "calibrate", "test": "test"}


@dataclass(frozen=True)
class DomainClip:
    """One clip of the folder.

    Attributes:
        sample: Its crops and audio.
        unit: Its person, or its video where nobody says who speaks: never in two parts.
        group: What shares its unknown offset.
        part: What it serves.
    """

    sample: PooledSample
    unit: str
    group: str
    part: Part

    @property
    def key(self) -> str:
        """Its name."""
        return self.sample.info.key

    @property
    def frames(self) -> int:
        """T."""
        return self.sample.info.num_frames


def processed_folder(
    folder: Path,
    work: Path,
    spec: ModelSpec,
    settings: AdaptSettings,
    *,
    on_progress: Callable[[PreprocessProgress], None] | None = None,
) -> Path:
    """The clips of a folder of videos, made below ``work``; a folder of clips itself.

    Args:
        folder: Videos, or what ``preprocess`` made.
        work: Where clips are kept.
        spec: What crops the model takes.
        settings: Detector and number of processes.
        on_progress: Told after each video.

    Raises:
        MissingError: No such folder, or no videos in it.
    """
    if any(folder.glob("shard-*.json")):
        return folder
    if not folder.is_dir():
        raise MissingError(f"{folder} is no folder", remedy="Give a folder of videos.")
    made = work / "processed"
    video = spec.video
    preprocess(
        folder,
        made,
        crop=video.crop,
        size=0 if video.crop == "mouth" and video.colour == "gray" else video.size_px,
        colour="gray" if video.colour == "gray" else "rgb",
        detector=settings.detector,
        jobs=settings.jobs,
        shard_videos=8,
        on_progress=on_progress,
    )
    return made


def domain_clips(processed: Path, settings: AdaptSettings) -> list[DomainClip]:
    """The clips with their parts.

    Args:
        processed: What ``preprocess`` made.
        settings: Share that is held out, what shares an offset, seed.

    Raises:
        InconclusiveError: There are too few of them to tell whether anything helps.
    """
    folder = Processed(processed)
    pool = SamplePool(folder, cache_mb=_CACHE_MB)
    if not len(pool):
        raise InconclusiveError(
            "no face was found in these videos: nothing can be learned from them",
            remedy="Give videos of talking faces.",
        )
    clips = [replace(clip, split="") for clip in all_clips(folder)]
    clips = _by_person_or_video(clips)
    seconds = sum(s.info.num_frames / s.info.fps for s in pool)
    videos = len({(clip.source, clip.film) for clip in clips})
    if videos < LEAST_VIDEOS or seconds < LEAST_S:
        raise InconclusiveError(
            f"there are faces in {videos} of the videos, {seconds:.0f} s in all: too little to learn "
            "from and to test what was learned",
            remedy=f"Give at least {LEAST_VIDEOS} videos and {LEAST_S:.0f} s of talking faces.",
        )
    held = settings.held_out
    division = assign(
        clips,
        test_fraction=held,
        val_fraction=(1 - held) * _CALIBRATE,
        seed=settings.seed,
    )
    parts: dict[str, Part] = {row.key: _PARTS[row.split] for row in division.assignments}
    people = {row.key: row.person for row in division.assignments}
    found = [
        DomainClip(sample, people[key], _group(sample, settings.same_offset), parts[key])
        for sample in pool
        if (key := sample.info.key) in parts
    ]
    if not {"learn", "test"} <= {clip.part for clip in found}:  # few people may leave none between
        raise InconclusiveError(
            "the videos cannot be divided into a part to learn from and a part to test with",
            remedy="Give more videos, or of more people.",
        )
    return found


def of_part(clips: Sequence[DomainClip], *parts: Part, most: int, seed: int) -> list[DomainClip]:
    """At most so many clips of some parts, drawn by the seed, in their order."""
    chosen = [clip for clip in clips if clip.part in parts]
    if len(chosen) <= most:
        return chosen
    kept = np.random.default_rng((seed, 3)).permutation(len(chosen))[:most]
    return [chosen[i] for i in sorted(kept.tolist())]


def _by_person_or_video(clips: list[Clip]) -> list[Clip]:
    """Clips whose speaker is known to the split only where there are enough people."""
    people = {(clip.source, clip.speaker) for clip in clips if clip.speaker}
    if len(people) >= _LEAST_PEOPLE:
        return clips
    return [replace(clip, speaker="") for clip in clips]


def _group(sample: PooledSample, same: str) -> str:
    info = sample.info
    video = info.video_path
    if same == "video":
        return video
    return str(PurePosixPath(video).parent) if same == "folder" else ""
