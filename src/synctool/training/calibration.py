"""Calibrating the confidence of a network on people it has not seen.

Segments of many lengths are taken from clips whose offset is known, as many of each person. They are cut
out before anything is encoded, as a short video has nothing before and after it either, and their audio
comes from as far off as the clip allows. Every second one is degraded as a poor recording would be
(``conditions``). Clips of one person are joined, so that videos of many seconds are known as well. Every
segment is also compared with another clip's audio, where no answer is right: a network must not be sure of
dubbed speech, however long it is. Nor of a face that does not move: some segments stand still at one of their
frames, before speech or noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
from synctool.scoring.offset_sets import SetCalibration, fit_density, fit_sets
from synctool.scoring.verdict import LEAST_CONFIDENCE, LEAST_FRAMES
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
_STILL = 0.3
"""Share of the segments within a clip that are also measured as a still face."""
_NOISE = 0.5
"""Share of the still faces that have noise for audio; half of the others have another clip's."""
_LOUDNESS = (1.0, 3.3)
"""Spread of that noise in 16-bit steps: powers of ten."""
_LEAST_PEOPLE = 6
"""Of fewer there are no sets of offsets."""


@dataclass(frozen=True)
class Example:
    """An estimate whose truth is known.

    Attributes:
        person: Who is seen.
        estimate: What was found.
        correct: Whether it is right within the tolerance of its clip.
        foreign: Whether the audio is another's.
        error_frames: Estimate minus truth.
        degraded: Whether the segment was degraded as a poor recording would be.
        tolerance_frames: How exactly the truth is known: one frame, or two.
        still: Whether the face does not move; then no answer is right, whosever the audio is.
    """

    person: str
    estimate: OffsetEstimate
    correct: bool
    foreign: bool
    error_frames: float
    degraded: bool = False
    tolerance_frames: float = 1.0
    still: bool = False

    @property
    def truth_frames(self) -> float:
        """The true offset, in the estimate's frames."""
        return self.estimate.offset_frames - self.error_frames


@dataclass(frozen=True)
class KnownSegment:
    """Scores of a segment whose truth is known.

    Attributes:
        person: Who is seen.
        volumes: Of each model, ``[2K+1, T]``, NaN where there is none.
        truth_frames: The true offset; of another's audio there is none, and it means nothing.
        foreign: Whether the audio is another's.
        degraded: Whether it was degraded as a poor recording would be.
        tolerance_frames: How far from the truth an answer still counts as right.
        still: Whether the face does not move; then there is no true offset either.
    """

    person: str
    volumes: tuple[np.ndarray, ...]
    truth_frames: float
    foreign: bool
    degraded: bool
    tolerance_frames: float
    still: bool = False

    def example(self, volume: np.ndarray | None = None) -> Example | None:
        """The estimate from the first model's scores, or from others; None where there is none."""
        estimate = estimate_offset(self.volumes[0] if volume is None else volume)
        if estimate is None:
            return None
        error = estimate.offset_frames - self.truth_frames
        correct = not (self.foreign or self.still) and abs(error) <= self.tolerance_frames
        return Example(
            self.person,
            estimate,
            correct,
            self.foreign,
            error,
            self.degraded,
            self.tolerance_frames,
            self.still,
        )


@dataclass(frozen=True)
class CalibrationReport:
    """A calibration and how well it holds for people who took no part in its fit.

    Attributes:
        calibration: Fitted on all examples, with the sets of offsets where there are answers to fit them on.
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
        of_fold = _fit(known)
        for example in judged:
            if fold_of[example.person] == fold:
                confidences.append(of_fold.confidence(example.estimate))
                truths.append(example.correct)
    right = [e.error_frames for e in examples if e.correct]
    return CalibrationReport(
        calibration=fitted(examples),
        error=expected_calibration_error(confidences, truths),
        table=reliability_table(confidences, truths),
        examples=len(examples),
        people=len(people),
        zero_frames=float(np.median(right)) if right else 0.0,
    )


def fitted(examples: Sequence[Example]) -> Calibration:
    """A calibration with its sets of offsets, not judged.

    Raises:
        ValueError: No examples.
    """
    calibration = _fit(examples)
    return replace(calibration, sets=calibrate_sets(calibration, examples))


def calibrate_sets(calibration: Calibration, examples: Sequence[Example]) -> SetCalibration | None:
    """What makes sets of offsets: the density from a quarter of the people, the thresholds from the others.

    Args:
        calibration: Decides which examples ``detect`` would answer; sets are for those.
        examples: From ``segments``; those with another's audio, or whose truth is known to two frames
            only, take no part.

    Returns:
        None where there are too few people with answers.
    """
    own = answers(calibration, examples)
    people = sorted({e.person for e in own})
    if len(people) < _LEAST_PEOPLE:
        return None
    shaping = set(people[::4])
    shape, rest = ([e for e in own if (e.person in shaping) is one] for one in (True, False))
    density = fit_density([e.estimate for e in shape], [e.truth_frames for e in shape])
    return fit_sets(
        density,
        [e.estimate for e in rest],
        [e.truth_frames for e in rest],
        [e.person for e in rest],
    )


def answers(calibration: Calibration, examples: Sequence[Example]) -> list[Example]:
    """The examples with their own audio and a truth known to a frame that ``detect`` would answer."""
    return [
        e
        for e in examples
        if not (e.foreign or e.still)
        and e.tolerance_frames <= 1
        and e.estimate.frames >= LEAST_FRAMES
        and not e.estimate.at_edge
        and (sure := calibration.certainty(e.estimate)).confidence >= LEAST_CONFIDENCE
        and sure.is_match
    ]


def facts(report: CalibrationReport) -> dict[str, Any]:
    """What a calibration adds to the header of its weights."""
    sets = report.calibration.sets
    found = {"calibration": report.calibration.to_dict(), "calibration_error": report.error}
    return found if sets is None else {**found, "offset_sets": sets.to_dict()}


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
    """All examples that move with their own audio, and as many with another's as ``FOREIGN_PRIOR`` says."""
    own = [e for e in examples if not (e.foreign or e.still)]
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
    degraded_share: float = _DEGRADED,
    seed: int = 0,
) -> list[Example]:
    """Estimates on segments of clips, with their truth: each with its own audio and with another's, some
    also with a face that does not move.

    Args:
        model: The model; its own calibration plays no part.
        samples: Clips of people that it was not trained on.
        true_offset: A clip's own offset in frames.
        person: Who speaks in a clip.
        tolerance: How many frames from a clip's offset an answer still counts as right.
        backgrounds: Recorded rooms, noises and music for degraded segments.
        degraded_share: Share of the segments within a clip that are degraded.
        seed: Seed.
    """
    found = known_volumes(
        [model],
        samples,
        true_offset=true_offset,
        person=person,
        tolerance=tolerance,
        backgrounds=backgrounds,
        degraded_share=degraded_share,
        seed=seed,
        still=True,
    )
    return [example for segment in found if (example := segment.example()) is not None]


def known_volumes(
    models: Sequence[LoadedModel],
    samples: Sequence[AnySample],
    *,
    true_offset: Callable[[AnySample], float],
    person: Callable[[AnySample], str],
    tolerance: Callable[[AnySample], float] = lambda _: 1.0,
    backgrounds: Backgrounds | None = None,
    degraded_share: float = _DEGRADED,
    seed: int = 0,
    still: bool = False,
) -> Iterator[KnownSegment]:
    """Scores of segments of clips, with their truth: each with its own audio and with another's.

    Every person has as many segments, however many clips: a calibration is for people not seen, and one
    collection may have ten times the clips of all others. One seed gives the same segments to any models.

    Args:
        models: One, or several that are measured on the same segments.
        samples: Clips of people that they were not trained on.
        true_offset: See ``segments``.
        person: Likewise.
        tolerance: Likewise.
        backgrounds: Likewise.
        degraded_share: Likewise.
        seed: Likewise.
        still: Whether some segments come once more with a face that does not move.
    """
    rng, unmoved = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    scores = _Scores(models, samples, rng, backgrounds, degraded_share)
    clips: dict[str, list[int]] = {}
    for i, sample in enumerate(samples):
        clips.setdefault(person(sample), []).append(i)
    each = -(-_SEGMENTS * len(samples) // max(len(clips), 1))
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
                found = scores.of_a_cut(i, wanted)
                if still and unmoved.random() < _STILL:
                    volumes = scores.of_a_still(i, wanted, unmoved)
                    yield KnownSegment(
                        person(sample), volumes, 0.0, False, False, tolerance(sample), True
                    )
            else:
                order = [i, *rng.permutation(mates).astype(int).tolist()]
                found = scores.of_joined(order, wanted)
            for volumes, foreign in ((found.own, False), (found.foreign, True)):
                if volumes:
                    yield KnownSegment(
                        person(sample),
                        volumes,
                        found.moved_frames + true_offset(sample),
                        foreign,
                        found.degraded,
                        tolerance(sample),
                    )


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


@dataclass(frozen=True)
class _Found:
    """Score volumes ``[2K+1, T]`` of a segment by model, NaN where there is none: with its own audio, and
    with another clip's (empty where there is no other); by how many frames its own is ahead."""

    own: tuple[np.ndarray, ...]
    foreign: tuple[np.ndarray, ...]
    moved_frames: float
    degraded: bool = False


class _Scores:
    """Scores of segments."""

    def __init__(
        self,
        models: Sequence[LoadedModel],
        samples: Sequence[AnySample],
        rng: np.random.Generator,
        backgrounds: Backgrounds | None,
        degraded_share: float,
    ) -> None:
        self._models, self._samples, self._rng = models, samples, rng
        self._backgrounds, self._degraded_share = backgrounds, degraded_share
        self._whole: dict[int, list[tuple[AudioEmbeddings, FaceEmbeddings]]] = {}

    def of_a_cut(self, i: int, frames: int) -> _Found:
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
        poor = self._rng.random() < self._degraded_share
        if poor:
            crops, heard = degraded(
                crops,
                heard,
                self._rng,
                voices=lambda: self._voices(others),
                backgrounds=self._backgrounds,
            )
        own, *foreign = self._scored(i, crops, heard)
        return _Found(own, foreign[0] if foreign else (), moved / SAMPLES_PER_FRAME, poor)

    def of_a_still(self, i: int, frames: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        """Of one frame of a clip for as long, before its own audio, another's or noise."""
        sample, length = self._samples[i], frames * SAMPLES_PER_FRAME
        crops = np.repeat(sample.crops[int(rng.integers(sample.info.num_frames))][None], frames, 0)
        if rng.random() < _NOISE:
            noise = rng.normal(0, 10 ** rng.uniform(*_LOUDNESS), length)
            audio = np.round(noise).clip(-32768, 32767).astype(np.int16)
        else:
            j = int(rng.choice(self._others(i, length) or [i])) if rng.random() < 0.5 else i
            waveform = self._samples[j].audio
            first = int(rng.integers(0, max(waveform.size - length, 0) + 1))
            audio = _part(waveform, first, length)
        return self._scored(i, crops, [audio])[0]

    def _scored(
        self, i: int, crops: np.ndarray, heard: Sequence[np.ndarray]
    ) -> list[tuple[np.ndarray, ...]]:
        """Score volumes of crops of a clip by model, with each of several audios."""
        volumes: list[list[np.ndarray]] = [[] for _ in heard]
        for model in self._models:
            face = encode_crops(model, crops, self._samples[i].info)
            for audio, made in zip(heard, volumes):
                made.append(_volume(model, encode_audio(model, audio), face))
        return [tuple(made) for made in volumes]

    def _voices(self, others: Sequence[int]) -> list[np.ndarray]:
        """Audio of one to three other clips, float32 ``[N]``."""
        chosen = self._rng.choice(others, size=min(len(others), 1 + int(self._rng.integers(3))))
        return [self._samples[j].audio.astype(np.float32) / 32768 for j in chosen]

    def of_joined(self, order: Sequence[int], frames: int) -> _Found:
        """Of whole clips one after the other, the last one cut."""
        moved = int(self._rng.integers(-DEFAULT_MAX_OFFSET + 2, DEFAULT_MAX_OFFSET - 1))
        own: list[list[np.ndarray]] = [[] for _ in self._models]
        foreign: list[list[np.ndarray]] = [[] for _ in self._models]
        for j in order:
            if frames <= 0:
                break
            lead = self._samples[j].info.sound_lead // SAMPLES_PER_FRAME + moved
            others = self._others(j, self._samples[j].audio.size)
            other = self._encoded(int(self._rng.choice(others))) if others else None
            for n, model in enumerate(self._models):
                audio, face = self._encoded(j)[n]
                own[n].append(_volume(model, audio, face, lead)[:, :frames])
                if other is not None:
                    foreign[n].append(_volume(model, other[n][0], face, lead)[:, :frames])
            frames -= own[0][-1].shape[1]
        own_volumes, others_volumes = (
            tuple(np.concatenate(v, 1) for v in one if v) for one in (own, foreign)
        )
        return _Found(own_volumes, others_volumes, moved)

    def _others(self, i: int, length: int) -> list[int]:
        """Other clips, of enough audio where there are such."""
        others = [j for j in range(len(self._samples)) if j != i]
        return [j for j in others if self._samples[j].audio.size >= length] or others

    def _encoded(self, i: int) -> list[tuple[AudioEmbeddings, FaceEmbeddings]]:
        if i not in self._whole:
            sample = self._samples[i]
            self._whole[i] = [
                (encode_audio(model, sample.audio), encode_crops(model, sample.crops, sample.info))
                for model in self._models
            ]
        return self._whole[i]


def _volume(
    model: LoadedModel, audio: AudioEmbeddings, face: FaceEmbeddings, lead: int = 0
) -> np.ndarray:
    """Scores of a face whose first frame belongs to row ``lead`` of the audio."""
    audio = replace(audio, first_frame=-lead)
    return score_volume(model, face, audio, max_offset=DEFAULT_MAX_OFFSET)


def _part(waveform: np.ndarray, first: int, length: int) -> np.ndarray:
    """int16 ``[length]`` from a place on; silent where the sound has ended."""
    part = waveform[first:][:length]
    return np.pad(part, (0, length - part.size))


def _fit(examples: Sequence[Example]) -> Calibration:
    moving = [e for e in examples if not e.still]
    return fit_calibration(
        [e.estimate for e in moving],
        [e.correct for e in moving],
        foreign=[e.foreign for e in moving],
        still=[e.estimate for e in examples if e.still],
    )
