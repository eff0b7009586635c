"""Calibrating the confidence of a network on people it has not seen.

Segments of many lengths are taken from clips whose offset is known, as many of each person. They are cut
out before anything is encoded, as a short video has nothing before and after it either, and their audio
comes from as far off as the clip allows. Every second one is degraded as a poor recording would be
(``conditions``). Clips of one person are joined, so that videos of many seconds are known as well. Every
segment is also compared with another clip's audio, where no answer is right: a network must not be sure of
dubbed speech, however long it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from synctool.data.augmentation.backgrounds import Backgrounds
from synctool.data.pool import PooledSample
from synctool.data.samples import Sample
from synctool.measure.embeddings import AudioEmbeddings, FaceEmbeddings
from synctool.measure.encode_clip import encode_audio, encode_crops
from synctool.measure.volumes import score_volume
from synctool.networks.loaded import LoadedModel
from synctool.plugins.specs import ModelSpec
from synctool.scoring.confidence import (
    FOREIGN_PRIOR,
    UNCALIBRATED,
    Calibration,
    ReliabilityBin,
    expected_calibration_error,
    fit_calibration,
    reliability_table,
)
from synctool.scoring.offset import OffsetEstimate, estimate_offset
from synctool.training.conditions import degraded
from synctool.types import DEFAULT_MAX_OFFSET, SAMPLES_PER_FRAME

if TYPE_CHECKING:
    from torch import nn

AnySample = Sample | PooledSample

SHORTEST_FRAMES = 10
LONGEST_FRAMES = 400
_SEGMENTS = 6
"""Segments for each clip, on average over all people."""
_DEGRADED = 0.5
"""Share of the segments within a clip that are degraded."""


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
        error: Expected calibration error over folds by person, 0..1, with as many examples of another's
            audio among them as ``FOREIGN_PRIOR`` says.
        table: Reliability over the same examples.
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
        examples: From ``known_segments``.
        folds: Groups of people; each is predicted by a fit on the others.

    Raises:
        ValueError: No examples.
    """
    people = sorted({e.person for e in examples})
    fold_of = {person: i % folds for i, person in enumerate(people)}
    confidences: list[float] = []
    truths: list[bool] = []
    judged = at_prior(examples)
    for fold in range(min(folds, len(people))):
        known = [e for e in examples if fold_of[e.person] != fold] or list(examples)
        fitted = _fit(known)
        for example in judged:
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
        examples: From ``known_segments``.

    Raises:
        ValueError: No examples.
    """
    judged = at_prior(examples)
    confidences = [calibration.confidence(e.estimate) for e in judged]
    truths = [e.correct for e in judged]
    return (
        expected_calibration_error(confidences, truths),
        reliability_table(confidences, truths),
    )


def at_prior(examples: Sequence[Example]) -> list[Example]:
    """All examples with their own audio, and as many with another's as ``FOREIGN_PRIOR`` says."""
    own = [e for e in examples if not e.foreign]
    foreign = [e for e in examples if e.foreign]
    wanted = min(round(len(own) * FOREIGN_PRIOR / (1 - FOREIGN_PRIOR)), len(foreign))
    spread = np.linspace(0, len(foreign) - 1, wanted).round().astype(int) if wanted else ()
    return own + [foreign[i] for i in spread]


def known_segments(
    network: nn.Module, samples: Sequence[AnySample], *, spec: ModelSpec, **more: Any
) -> list[Example]:
    """The examples of ``segments`` by a network that is not loaded as a model.

    Args:
        network: A ``SyncModel`` in evaluation mode.
        samples: Clips of people that it was not trained on.
        spec: What it takes, and how far it looks.
        more: As of ``segments``.
    """
    return segments(in_memory(network, spec), samples, **more)


def segments(
    model: LoadedModel,
    samples: Sequence[AnySample],
    *,
    true_offset: Callable[[AnySample], float],
    person: Callable[[AnySample], str],
    tolerance: Callable[[AnySample], float] = lambda _: 1.0,
    backgrounds: Backgrounds | None = None,
    seed: int = 0,
) -> list[Example]:
    """Estimates on segments of clips, with their truth: each with its own audio and with another's.

    Every person has as many segments, however many clips: a calibration is for people not seen, and one
    collection may have ten times the clips of all others.

    Args:
        model: The model; its own calibration plays no part.
        samples: Clips of people that it was not trained on.
        true_offset: A clip's own offset in frames.
        person: Who speaks in a clip.
        tolerance: How many frames from a clip's offset an answer still counts as right.
        backgrounds: Recorded rooms, noises and music for degraded segments.
        seed: Seed.
    """
    rng = np.random.default_rng(seed)
    scores = _Scores(model, samples, rng, backgrounds)
    clips: dict[str, list[int]] = {}
    for i, sample in enumerate(samples):
        clips.setdefault(person(sample), []).append(i)
    each = -(-_SEGMENTS * len(samples) // max(len(clips), 1))
    examples = []
    for own_clips in clips.values():
        for k in range(each):
            i = own_clips[k % len(own_clips)]
            sample = samples[i]
            mates = [
                j
                for j in own_clips
                if j != i and abs(true_offset(samples[j]) - true_offset(sample)) < 0.5
            ]
            wanted = int(np.exp(rng.uniform(np.log(SHORTEST_FRAMES), np.log(LONGEST_FRAMES))))
            if wanted <= sample.info.num_frames:
                own, foreign, moved = scores.of_a_cut(i, wanted)
            else:
                order = [i, *rng.permutation(mates).astype(int).tolist()]
                own, foreign, moved = scores.of_joined(order, wanted)
            for values, another in ((own, False), (foreign, True)):
                estimate = None if values is None else estimate_offset(values)
                if estimate is None:
                    continue
                error = estimate.offset_frames - moved - true_offset(sample)
                correct = not another and abs(error) <= tolerance(sample)
                examples.append(Example(person(sample), estimate, correct, another, error))
    return examples


def in_memory(network: nn.Module, spec: ModelSpec) -> LoadedModel:
    """A network on the processor as a model that measures, without a calibration.

    Args:
        network: A ``SyncModel`` in evaluation mode.
        spec: What it takes, and how far it looks.
    """
    import torch  # fitting needs none: exported models can be calibrated without it

    from synctool.runtimes.torch import TorchRuntime

    runtime = TorchRuntime(network, torch.device("cpu"))
    return LoadedModel(spec, runtime, weights="", calibration=UNCALIBRATED, zero_frames=0.0)


class _Scores:
    """Score volumes ``[2K+1, T]`` of segments, NaN where there is none: with their own audio, with
    another clip's (None where there is no other), and by how many frames their own is ahead."""

    def __init__(
        self,
        model: LoadedModel,
        samples: Sequence[AnySample],
        rng: np.random.Generator,
        backgrounds: Backgrounds | None,
    ) -> None:
        self._model, self._samples, self._rng = model, samples, rng
        self._backgrounds = backgrounds
        self._whole: dict[int, tuple[AudioEmbeddings, FaceEmbeddings]] = {}

    def of_a_cut(self, i: int, frames: int) -> tuple[np.ndarray, np.ndarray | None, float]:
        """Of a part of a clip that is cut out, frames and audio alike, perhaps degraded."""
        sample = self._samples[i]
        start = int(self._rng.integers(0, sample.info.num_frames - frames + 1))
        crops = sample.crops[start : start + frames]
        begin = sample.info.sound_lead + start * SAMPLES_PER_FRAME
        length = frames * SAMPLES_PER_FRAME
        reach = (DEFAULT_MAX_OFFSET - 2) * SAMPLES_PER_FRAME
        low, high = max(-reach, -begin), min(reach, sample.audio.size - length - begin)
        moved = int(self._rng.integers(low, high + 1)) if low <= high else 0
        heard = [_part(sample.audio, max(begin + moved, 0), length)]
        others = self._others(i, length)
        if others:
            waveform = self._samples[int(self._rng.choice(others))].audio
            first = int(self._rng.integers(0, max(waveform.size - length, 0) + 1))
            heard.append(_part(waveform, first, length))
        if self._rng.random() < _DEGRADED:
            crops, heard = degraded(
                crops,
                heard,
                self._rng,
                voices=lambda: self._voices(others),
                backgrounds=self._backgrounds,
            )
        face = encode_crops(self._model, crops, sample.info)
        own, *foreign = (self._volume(encode_audio(self._model, a), face) for a in heard)
        return own, foreign[0] if foreign else None, moved / SAMPLES_PER_FRAME

    def _voices(self, others: Sequence[int]) -> list[np.ndarray]:
        """Audio of one to three other clips, float32 ``[N]``."""
        chosen = self._rng.choice(others, size=min(len(others), 1 + int(self._rng.integers(3))))
        return [self._samples[j].audio.astype(np.float32) / 32768 for j in chosen]

    def of_joined(
        self, order: Sequence[int], frames: int
    ) -> tuple[np.ndarray, np.ndarray | None, float]:
        """Of whole clips one after the other, the last one cut."""
        moved = int(self._rng.integers(-DEFAULT_MAX_OFFSET + 2, DEFAULT_MAX_OFFSET - 1))
        own, foreign = [], []
        for j in order:
            if frames <= 0:
                break
            lead = self._samples[j].info.sound_lead // SAMPLES_PER_FRAME + moved
            audio, face = self._encoded(j)
            own.append(self._volume(audio, face, lead)[:, :frames])
            if others := self._others(j, self._samples[j].audio.size):
                other = self._encoded(int(self._rng.choice(others)))[0]
                foreign.append(self._volume(other, face, lead)[:, :frames])
            frames -= own[-1].shape[1]
        return np.concatenate(own, 1), np.concatenate(foreign, 1) if foreign else None, moved

    def _others(self, i: int, length: int) -> list[int]:
        """Other clips, of enough audio where there are such."""
        others = [j for j in range(len(self._samples)) if j != i]
        return [j for j in others if self._samples[j].audio.size >= length] or others

    def _encoded(self, i: int) -> tuple[AudioEmbeddings, FaceEmbeddings]:
        if i not in self._whole:
            sample = self._samples[i]
            face = encode_crops(self._model, sample.crops, sample.info)
            self._whole[i] = encode_audio(self._model, sample.audio), face
        return self._whole[i]

    def _volume(self, audio: AudioEmbeddings, face: FaceEmbeddings, lead: int = 0) -> np.ndarray:
        """Scores of a face whose first frame belongs to row ``lead`` of the audio."""
        audio = replace(audio, first_frame=-lead)
        return score_volume(self._model, face, audio, max_offset=DEFAULT_MAX_OFFSET)


def _part(waveform: np.ndarray, first: int, length: int) -> np.ndarray:
    """int16 ``[length]`` from a place on; silent where the sound has ended."""
    part = waveform[first:][:length]
    return np.pad(part, (0, length - part.size))


def _fit(examples: Sequence[Example]) -> Calibration:
    return fit_calibration(
        [e.estimate for e in examples],
        [e.correct for e in examples],
        foreign=[e.foreign for e in examples],
    )
