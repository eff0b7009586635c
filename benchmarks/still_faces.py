"""Faces that do not move: whatever is heard, no offset is an answer.

One frame of a clip of each held-out person is shown for 2 to 10 s, before the clip's own audio, another
person's, white noise, and recorded noise and music. What counts is how many of these get an answer.

    python benchmarks/still_faces.py --processed PROCESSED --backgrounds FOLDER
                                     [--weights FILE] [--docs] [--json FILE]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from held_out import HeldOut, held_out
from literature.segment_agreement import measure
from rich.console import Console
from rich.progress import track
from segments import other_audio
from tables import Table, share, write_section

from synctool.data.augmentation.augmented_audio import fitted
from synctool.data.augmentation.backgrounds import Backgrounds
from synctool.evaluation.bootstrap import mean_interval
from synctool.networks.load import load_model
from synctool.networks.loaded import LoadedModel
from synctool.types import SAMPLES_PER_FRAME, VIDEO_FPS
from videos import ROOT, arguments

SCRIPT = "benchmarks/still_faces.py"
PAGE = ROOT / "docs" / "results.md"
LENGTHS_S = (2.0, 3.0, 6.0, 10.0)
HEARD = ("own speech", "another's speech", "white noise", "recorded noise", "music")
_LOUDNESS = (1.0, 3.5)
"""Powers of ten of the noise's deviation, in 16-bit steps."""


@dataclass(frozen=True)
class Reading:
    """One still face and what was said of it."""

    person: str
    heard: str
    length_s: float
    confidence: float
    answered: bool


def audio_of(
    heard: str, number: int, people: HeldOut, backgrounds: Backgrounds, frames: int, seed: int
) -> np.ndarray | None:
    """int16 audio of so many frames; None where there is none of the kind."""
    rng = np.random.default_rng([seed, number, frames])
    length, clip = frames * SAMPLES_PER_FRAME, people.samples[number]
    if heard == "own speech":
        return np.resize(clip.audio[clip.info.sound_lead :], length)
    if heard == "another's speech":
        own = people.person(clip)
        return other_audio([o for o in people.samples if people.person(o) != own], frames, rng)
    loudness = 10 ** rng.uniform(*_LOUDNESS)
    if heard == "white noise":
        sound = rng.standard_normal(length)
    else:
        drawn = backgrounds.draw("noise" if heard == "recorded noise" else "music", rng)
        if drawn is None:
            return None
        sound = fitted(drawn, length, rng)
        sound = sound / max(float(sound.std()), 1e-6)
    return np.round(loudness * sound).clip(-32768, 32767).astype(np.int16)


def readings(
    model: LoadedModel, people: HeldOut, backgrounds: Backgrounds, *, seed: int
) -> Iterator[Reading]:
    """Measure one clip of each person, held still."""
    first = {people.person(clip): i for i, clip in reversed(list(enumerate(people.samples)))}
    for person, number in track(first.items(), "still faces", console=Console(stderr=True)):
        clip = people.samples[number]
        for length_s in LENGTHS_S:
            frames = round(length_s * VIDEO_FPS)
            crops = np.repeat(clip.crops[clip.info.num_frames // 2][None], frames, 0)
            for heard in HEARD:
                audio = audio_of(heard, number, people, backgrounds, frames, seed)
                if audio is not None:
                    answer = measure(model, crops, audio, stored=clip.info)
                    yield Reading(person, heard, length_s, answer.confidence, answer.answered)


def summarised(found: Sequence[Reading], note: str) -> Table:
    """One line a kind of audio, one column a length."""
    table = Table("Still faces", ("heard", *(f"answered, {s:g} s" for s in LENGTHS_S)), note=note)
    for heard in dict.fromkeys(row.heard for row in found):
        cells = []
        for length_s in LENGTHS_S:
            rows = [r for r in found if (r.heard, r.length_s) == (heard, length_s)]
            cells.append(share(mean_interval([r.answered for r in rows], [r.person for r in rows])))
        table.rows.append((heard, *cells))
    return table


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print, and write what was asked for."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--processed", type=Path, required=True, help="what preprocess made")
    parser.add_argument("--backgrounds", type=Path, required=True, help="recorded noises and music")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--docs", action="store_true", help="write the table of docs/results.md")
    given = parser.parse_args(words)
    model = load_model(given.backbone, weights=given.weights, device="cpu")
    people = held_out(given.processed)
    found = list(readings(model, people, Backgrounds(given.backgrounds), seed=given.seed))
    count = len({row.person for row in found})
    table = summarised(
        found,
        f"{model.weights}; one clip each of {count} people. By `python {SCRIPT} --processed PROCESSED "
        "--backgrounds BACKGROUNDS`; 95% intervals by bootstrap over people.",
    )
    table.show(Console(width=120))
    if given.json:
        given.json.write_text(json.dumps([asdict(r) for r in found], indent=1) + "\n")
    if given.docs:
        write_section(PAGE, table.markdown(), script=SCRIPT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
