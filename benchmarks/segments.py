"""Short segments of people whom no network was trained on, with their own audio and with another's.

Each held-out clip is cut into segments of 2 and 3 s. A segment is measured once with its own audio, moved
by a random amount as far as the clip has room, and once with the audio of another person's clip. The truth
of a clip is its systematic offset (``--constants``), which should come from other weights than those
measured. What counts: how many segments are answered, how many of the answers are right within a frame,
and how many segments with another's audio get an answer, which is always wrong.

    python benchmarks/segments.py --processed PROCESSED --constants CONSTANTS [--phone BACKGROUNDS]
                                  [--source NAME ...] [--weights FILE] [--docs] [--json FILE]

``--phone`` degrades every segment as a phone would: a shaking, grainy, coarsely coded image of half the
resolution; a recorded room and recorded noise at 5 to 15 dB, and a telephone's gain.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from held_out import HeldOut, held_out
from literature.segment_agreement import measure
from rich.console import Console
from rich.progress import track
from tables import Table, share, write_section

from synctool.data.augment import AugmentSettings, Dice, Dose, augment_images
from synctool.data.augmentation.augmented_audio import fitted, mixed
from synctool.data.augmentation.backgrounds import Backgrounds, convolved
from synctool.data.samples import Sample
from synctool.evaluation.bootstrap import mean_interval
from synctool.networks.load import load_model
from synctool.networks.loaded import LoadedModel
from synctool.scoring.confidence import expected_calibration_error
from synctool.training.data import read_constants
from synctool.types import SAMPLES_PER_FRAME, VIDEO_FPS
from videos import ROOT, arguments

SCRIPT = "benchmarks/segments.py"
PAGE = ROOT / "docs" / "results.md"
LENGTHS_S = (2.0, 3.0)
ACCEPTED_FRAMES = 1.0
LARGEST_MOVE = 10 * SAMPLES_PER_FRAME
SHOWN = ("GRID", "LRW-AR")
"""Collections with a line of their own; all others are the wild ones."""
_PHONE = AugmentSettings.only(
    *(Dose(name, 1.0) for name in ("jitter", "drift", "light", "resolution", "grain", "jpeg"))
)


@dataclass(frozen=True)
class Reading:
    """One segment and what was said of it."""

    source: str
    person: str
    length_s: float
    foreign: bool
    truth_frames: float
    offset_frames: float | None
    confidence: float
    answered: bool

    @property
    def right(self) -> bool:
        """Whether the best match is right; of another's audio it never is."""
        return (
            not self.foreign
            and self.offset_frames is not None
            and abs(self.offset_frames - self.truth_frames) <= ACCEPTED_FRAMES
        )


def readings(
    model: LoadedModel,
    people: HeldOut,
    constants: dict[str, float],
    *,
    phone: Backgrounds | None,
    seed: int,
) -> Iterator[Reading]:
    """Measure every segment twice."""
    rng = np.random.default_rng(seed)
    clips = people.samples
    for clip in track(clips, "segments", console=Console(stderr=True)):
        for length_s in LENGTHS_S:
            frames = round(length_s * VIDEO_FPS)
            others = [o for o in clips if people.person(o) != people.person(clip)]
            for start in range(0, clip.info.num_frames - frames + 1, frames):
                own, moved = own_audio(clip, start, frames, rng)
                other = other_audio(others, frames, rng)
                truth = moved / SAMPLES_PER_FRAME + constant_of(clip, people, constants)
                for audio in (own, other):
                    crops = clip.crops[start : start + frames]
                    if phone is not None:
                        crops, audio_in = degraded(crops, audio, phone, rng)
                    else:
                        audio_in = audio
                    answer = measure(model, crops, audio_in, stored=clip.info)
                    yield Reading(
                        source=clip.info.source,
                        person=people.person(clip),
                        length_s=length_s,
                        foreign=audio is other,
                        truth_frames=truth,
                        offset_frames=answer.offset_frames,
                        confidence=answer.confidence,
                        answered=answer.answered,
                    )


def own_audio(
    clip: Sample, start: int, frames: int, rng: np.random.Generator
) -> tuple[np.ndarray, int]:
    """A segment's audio from as far away as chance and the clip allow, and by how much it is ahead."""
    length = frames * SAMPLES_PER_FRAME
    begin = clip.info.sound_lead + start * SAMPLES_PER_FRAME
    low = max(-LARGEST_MOVE, -begin)
    high = min(LARGEST_MOVE, clip.audio.size - length - begin)
    moved = int(rng.integers(low, high + 1)) if low <= high else 0
    part = clip.audio[max(begin + moved, 0) :][:length]
    return np.pad(part, (0, length - part.size)), moved


def other_audio(others: Sequence[Sample], frames: int, rng: np.random.Generator) -> np.ndarray:
    """As much audio of another person."""
    length = frames * SAMPLES_PER_FRAME
    long = [o for o in others if o.audio.size >= length] or list(others)
    waveform = long[int(rng.integers(len(long)))].audio
    begin = int(rng.integers(0, max(1, waveform.size - length + 1)))
    return (
        np.resize(waveform[begin:], length) if waveform.size < length else waveform[begin:][:length]
    )


def degraded(
    crops: np.ndarray, audio: np.ndarray, phone: Backgrounds, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A segment as a phone would record it: crops ``[T, S, S]`` and int16 audio."""
    dice = Dice(_PHONE, np.random.default_rng(int(rng.integers(2**32))))
    size = crops.shape[1]
    crops = augment_images(crops, size, dice, other_person=lambda: crops[:1])
    waveform = audio.astype(np.float32) / 32768
    if (room := phone.draw("rir", rng)) is not None:
        waveform = convolved(waveform, room, 0.7)
    if (noise := phone.draw("noise", rng)) is not None:
        waveform = mixed(waveform, fitted(noise, waveform.size, rng), rng.uniform(5, 15))
    waveform = waveform * 0.5 / max(float(np.abs(waveform).max()), 1e-6)
    return crops, np.round(32767 * waveform).astype(np.int16)


def constant_of(clip: Sample, people: HeldOut, constants: dict[str, float]) -> float:
    """The clip's systematic offset: its own, its person's, or its source's."""
    names = (clip.info.key, people.person(clip), clip.info.source)
    return next((constants[name] for name in names if name in constants), 0.0)


def summarised(found: Sequence[Reading], note: str) -> Table:
    """One line a condition and length."""
    table = Table(
        "Segments of held-out people",
        (
            "people", "length", "segments", "best match right", "answered", "right of the answered",
            "answered with another's audio", "calibration error",
        ),
        note=note,
    )  # fmt: skip
    groups: dict[tuple[str, float], list[Reading]] = defaultdict(list)
    for row in found:
        groups[row.source if row.source in SHOWN else "wild", row.length_s].append(row)
    for (source, length_s), rows in sorted(groups.items()):
        own = [r for r in rows if not r.foreign]
        foreign = [r for r in rows if r.foreign]
        sure = [r for r in own if r.answered]
        table.rows.append(
            (
                source,
                f"{length_s:g} s",
                str(len(own)),
                share(of(own, [r.right for r in own])),
                share(of(own, [r.answered for r in own])),
                share(of(sure, [r.right for r in sure])),
                share(of(foreign, [r.answered for r in foreign])),
                f"{expected_calibration_error([r.confidence for r in own], [r.right for r in own]):.3f}",
            )
        )
    return table


def of(rows: Sequence[Reading], values: Sequence[bool]):
    """Mean with its interval over people; None of nothing."""
    return mean_interval(values, [r.person for r in rows]) if rows else None


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print, and write what was asked for."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--processed", type=Path, required=True, help="what preprocess made")
    parser.add_argument("--constants", type=Path, help="systematic offsets: the truth of each clip")
    parser.add_argument("--source", action="append", default=[], help="only this collection")
    parser.add_argument("--phone", type=Path, help="degrade with the audio frames of this folder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--docs", action="store_true", help="write the table of docs/results.md")
    given = parser.parse_args(words)
    model = load_model(given.backbone, weights=given.weights, device="cpu")
    people = held_out(given.processed, sources=given.source)
    phone = None if given.phone is None else Backgrounds(given.phone)
    constants = read_constants(given.constants)
    found = list(readings(model, people, constants, phone=phone, seed=given.seed))
    extra = " --phone BACKGROUNDS" if phone else ""
    table = summarised(
        found,
        f"{model.weights}; {people.facts()}. By `python {SCRIPT} --processed PROCESSED "
        f"--constants CONSTANTS{extra}`; 95% intervals by bootstrap over people. The calibration error is "
        "that of the confidence of segments with their own audio.",
    )
    table.show(Console(width=170))
    if given.json:
        given.json.write_text(json.dumps([asdict(r) for r in found], indent=1) + "\n")
    if given.docs:
        write_section(PAGE, table.markdown(), script=SCRIPT + extra)
    return 0


if __name__ == "__main__":
    sys.exit(main())
