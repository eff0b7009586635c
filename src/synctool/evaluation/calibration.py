"""Calibrating the confidence of a network on people it has not seen.

Stretches of many lengths are taken from clips whose offset is known and moved by a random number of
frames; the sound ends where the clip ends, as in films. Clips of one person are joined, so that films of
many seconds are known as well. Some stretches get other clips' sound, where no answer is right: a
network must not be sure of dubbed speech, however long it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from synctool.data.samples import Sample
from synctool.evaluation.encoding import encoded_crops, encoded_sound
from synctool.scoring.confidence import (
    Calibration,
    ReliabilityBin,
    expected_calibration_error,
    fit_calibration,
    reliability_table,
)
from synctool.scoring.offset import OffsetEstimate, estimate_offset
from synctool.types import SAMPLES_PER_FRAME, BackboneSpec

MAX_OFFSET = 15
SHORTEST_FRAMES = 10
LONGEST_FRAMES = 400
_STRETCHES = 6
FOREIGN_SHARE = 0.5
"""Prior probability that the audio is another mouth's: so many of the stretches have foreign audio."""


@dataclass(frozen=True)
class Example:
    """An estimate whose truth is known."""

    person: str
    estimate: OffsetEstimate
    correct: bool
    foreign: bool
    error_frames: float


@dataclass(frozen=True)
class CalibrationReport:
    """A calibration and how well it holds for people who took no part in its fit.

    Attributes:
        calibration: Fitted on all examples.
        error: Expected calibration error over folds by person, 0..1.
        table: Reliability over the same folds.
        examples: How many.
        people: Of how many people.
        zero_frames: Median error of confident right answers: what is left of a constant.
    """

    calibration: Calibration
    error: float
    table: tuple[ReliabilityBin, ...]
    examples: int
    people: int
    zero_frames: float


def calibrate(examples: Sequence[Example], *, folds: int = 5) -> CalibrationReport:
    """Fit the calibration and judge it by cross-validation over people.

    Args:
        examples: From ``known_stretches``.
        folds: Groups of people; each is predicted by a fit on the others.

    Raises:
        ValueError: No examples.
    """
    people = sorted({e.person for e in examples})
    fold_of = {person: i % folds for i, person in enumerate(people)}
    confidences: list[float] = []
    truths: list[bool] = []
    for fold in range(min(folds, len(people))):
        known = [e for e in examples if fold_of[e.person] != fold] or list(examples)
        fitted = _fit(known)
        for example in examples:
            if fold_of[example.person] == fold:
                confidences.append(fitted.confidence(example.estimate))
                truths.append(example.correct)
    right = [e.error_frames for e in examples if e.correct]
    return CalibrationReport(
        calibration=_fit(examples),
        error=expected_calibration_error(confidences, truths),
        table=reliability_table(confidences, truths),
        examples=len(examples),
        people=len(people),
        zero_frames=float(np.median(right)) if right else 0.0,
    )


def reliability(
    calibration: Calibration, examples: Sequence[Example]
) -> tuple[float, tuple[ReliabilityBin, ...]]:
    """How well a calibration holds: its expected calibration error 0..1, and the table behind it.

    Args:
        calibration: Fitted on whatever.
        examples: From ``known_stretches``.

    Raises:
        ValueError: No examples.
    """
    confidences = [calibration.confidence(e.estimate) for e in examples]
    truths = [e.correct for e in examples]
    return (
        expected_calibration_error(confidences, truths),
        reliability_table(confidences, truths),
    )


@torch.inference_mode()
def known_stretches(
    network: nn.Module,
    samples: Sequence[Sample],
    *,
    spec: BackboneSpec,
    true_offset: Callable[[Sample], float],
    person: Callable[[Sample], str],
    tolerance: Callable[[Sample], float] = lambda _: 1.0,
    seed: int = 0,
) -> list[Example]:
    """Estimates on stretches of clips, with their truth.

    Args:
        network: A ``SyncModel`` in evaluation mode.
        samples: Clips of people that it was not trained on.
        spec: What it takes, and how far it looks.
        true_offset: A clip's own offset in frames.
        person: Who speaks in a clip.
        tolerance: How many frames from a clip's offset an answer still counts as right.
        seed: Seed.
    """
    rng = np.random.default_rng(seed)
    encoded = []
    for sample in samples:
        seen = encoded_crops(network, sample.crops, stored_crop=sample.info.crop, spec=spec)
        encoded.append((seen, encoded_sound(network, sample.sound, spec=spec)))
    lengths = [heard.shape[-1] for _, heard in encoded]
    examples = []
    for i, sample in enumerate(samples):
        mates = [
            j
            for j, other in enumerate(samples)
            if j != i
            and person(other) == person(sample)
            and abs(true_offset(other) - true_offset(sample)) < 0.5
        ]
        for _ in range(_STRETCHES):
            foreign = rng.random() < FOREIGN_SHARE and len(samples) > 1
            moved = int(rng.integers(-MAX_OFFSET + 2, MAX_OFFSET - 1))
            wanted = int(np.exp(rng.uniform(np.log(SHORTEST_FRAMES), np.log(LONGEST_FRAMES))))
            pieces: list[np.ndarray] = []
            for j in (i, *rng.permutation(mates).astype(int)):
                if wanted <= 0:
                    break
                sound = j
                if foreign:  # as long a sound, or long stretches would all be right ones
                    others = [n for n in range(len(samples)) if n != j and lengths[n] >= lengths[j]]
                    sound = int(rng.choice(others or [n for n in range(len(samples)) if n != j]))
                lead = samples[j].info.sound_lead // SAMPLES_PER_FRAME + moved
                scores = network.score(
                    encoded[sound][1], encoded[j][0], max_offset=MAX_OFFSET, audio_lead=lead
                )[0]
                length = min(wanted, scores.shape[-1])
                start = int(rng.integers(0, scores.shape[-1] - length + 1))
                pieces.append(scores[:, start : start + length].float().cpu().numpy())
                wanted -= length
            values = np.concatenate(pieces, 1)
            estimate = estimate_offset(np.where(np.isfinite(values), values, np.nan))
            if estimate is None:
                continue
            error = estimate.offset_frames - moved - true_offset(sample)
            correct = not foreign and abs(error) <= tolerance(sample)
            examples.append(Example(person(sample), estimate, correct, foreign, error))
    return examples


def _fit(examples: Sequence[Example]) -> Calibration:
    return fit_calibration([e.estimate for e in examples], [e.correct for e in examples])
