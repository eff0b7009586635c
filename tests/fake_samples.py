"""Made-up training samples whose mouth and audio belong together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from synctool.data.processed import ShardReport, report_name
from synctool.data.samples import MOUTH_PX, PORTRAIT_PX, Sample, SampleInfo
from synctool.data.storage import storage
from synctool.prepare.shards import WRITERS
from synctool.types import SAMPLES_PER_FRAME


def talking_sample(
    key: str,
    *,
    seed: int,
    frames: int = 40,
    speaker: str = "",
    source: str = "made",
    split: str = "",
    late_frames: int = 0,
) -> Sample:
    """A mouth that opens by chance, and noise as loud as it is open.

    Args:
        key: Name of the sample.
        seed: Seed of its mouth.
        frames: T.
        speaker: Who.
        source: Where from.
        split: Split of its collection.
        late_frames: By how much its audio is late.
    """
    rng = np.random.default_rng(seed)
    steps = rng.random(frames // 3 + 3)
    open_ = np.interp(np.arange(frames) / 3, np.arange(len(steps)), steps)
    mouth = np.full((frames, MOUTH_PX, MOUTH_PX), 150, np.uint8)
    middle = MOUTH_PX // 2
    for t, amount in enumerate(open_):
        half = round(2 + 14 * amount)
        mouth[t, middle - half : middle + half, middle - 20 : middle + 20] = 40
    heard = np.roll(open_, late_frames)
    loudness = np.repeat(heard**2, SAMPLES_PER_FRAME)
    audio = (rng.normal(0, 1, loudness.size) * loudness * 6000).astype(np.int16)
    face = rng.integers(0, 255, (PORTRAIT_PX, PORTRAIT_PX), dtype=np.uint8)
    info = SampleInfo(
        key=key,
        video_path=f"{key}.mp4",
        speaker=speaker,
        source=source,
        split=split,
        track=0,
        first_tick=0,
        num_frames=frames,
        sound_lead=0,
    )
    return Sample(info, mouth, face, audio)


def write_processed(
    folder: Path, samples: Sequence[Sample], *, layout: str = "packed", number: int = 0
) -> None:
    """Add a finished group of samples to a processed folder."""
    out, name = storage(folder), report_name(number)
    with WRITERS[layout](out, name) as writer:
        infos = [asdict(writer.add(sample)) for sample in samples]
    report = ShardReport(name=name, layout=layout, films=len(samples), samples=infos)
    out.write(f"{name}.json", report.to_json())
