"""An encoded video under one condition after the other, through one model after the other.

The audio is shifted in memory, exact to the sample: sample t of the shifted audio is sample t + shift of
the video's. Nothing is lost and nothing made up: what moves before the first frame can still be compared,
and where audio has ended there is none, rather than silence.

A segment is a part of the frames with audio of the same length, cut out from its shifted place and encoded
by itself: the model hears nothing of the video's other audio. Its frames were encoded with the video, so
the first and the last of them have seen a few frames beyond the cut (half the receptive field). What is
found in a segment is in its own time, from its beginning on.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from synctool.errors import described
from synctool.features.voice_activity import SPEECH, VoiceActivity
from synctool.features.voicing import Voicing
from synctool.measure.analyze import Findings, analyze
from synctool.measure.embeddings import AudioEmbeddings, EncodedVideo, FaceEmbeddings
from synctool.measure.encode_clip import encode_audio, is_silent
from synctool.measure.threads import sharing_cores
from synctool.measure.timing import network_clock
from synctool.measure.volumes import video_volume
from synctool.networks.loaded import LoadedModel
from synctool.scoring.right_windows import least_offset, right_windows
from synctool.scoring.verdict import Circumstances
from synctool.types import (
    DEFAULT_MAX_OFFSET,
    SAMPLES_PER_FRAME,
    VIDEO_FPS,
    Condition,
    FrameSeries,
    Label,
    Trial,
)

_WIDEST_FRAMES = 125
"""Windows are counted where all of their candidates lie within ±5 s."""


@dataclass(frozen=True)
class _Segment:
    """The part of a video that is looked at, in frame indices."""

    start: int
    stop: int

    @property
    def frames(self) -> int:
        return self.stop - self.start


def trials(
    encoded: EncodedVideo,
    models: Sequence[LoadedModel],
    conditions: Sequence[Condition],
    label: Label,
    *,
    film: str,
    max_offset: int = DEFAULT_MAX_OFFSET,
    keep_frames: bool = False,
) -> Iterator[Trial]:
    """Measure an encoded video under all conditions.

    A model that fails gives trials that say why, and the others go on.

    Args:
        encoded: The video, with the samples of its audio.
        models: The models, or some of them.
        conditions: How to present it; a degraded copy is encoded by itself.
        label: What is known about it.
        film: Its name.
        max_offset: Largest offset searched, in frames.
        keep_frames: Whether the offset per frame is kept under all conditions; else of ``plain``.

    Yields:
        The trials, condition by condition.

    Raises:
        KeyError: The video was not encoded with one of the models.
    """
    voice = VoiceActivity()
    voice.add(encoded.samples)
    voice.finish()
    voicing = Voicing()
    voicing.add(encoded.samples)
    measuring = [_ModelTrials(model, encoded, voice, voicing, conditions) for model in models]
    for condition in conditions:
        for one in measuring:
            try:
                trial = one.measure(condition, label, film=film, max_offset=max_offset)
            except Exception as error:  # a model may fail in any way, and fails alone
                names = (one.model.spec.full_name, one.model.weights)
                trial = failed_trial(names, condition, label, film=film, error=described(error))
            if condition.kind != "plain" and not keep_frames:
                trial = replace(trial, frames=FrameSeries((), (), ()))
            yield trial


def failed_trial(
    names: tuple[str, str], condition: Condition, label: Label, *, film: str, error: str
) -> Trial:
    """A trial without an answer.

    Args:
        names: Full name of the model, name and checksum of its weights.
        condition: How the video was presented.
        label: What is known about it.
        film: Its name.
        error: Why there is none.
    """
    return Trial(
        film=film,
        backbone=names[0],
        weights=names[1],
        condition=condition,
        label=label,
        truth_frames=true_offset(label, condition),
        error=error,
    )


def true_offset(label: Label, condition: Condition) -> float | None:
    """The true offset of a video, or of a segment of it, under a condition.

    Where the offset changes within the video, that of a segment is the one of the part that holds it
    whole, and not known where there is none.
    """
    known = label.offset_frames
    if label.segments and condition.start_s is not None and condition.end_s is not None:
        holding = (
            s.offset_frames
            for s in label.segments
            if s.start_s <= condition.start_s + 1e-6 and condition.end_s <= s.end_s + 1e-6
        )
        known = next(holding, None)
    return None if known is None else known + condition.moved_frames


def peak_memory_mb() -> float | None:
    """Most memory that this process ever held, MiB; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # on Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


class _ModelTrials:
    """One model with what it made of a video: measures it under any condition."""

    def __init__(
        self,
        model: LoadedModel,
        encoded: EncodedVideo,
        voice: VoiceActivity,
        voicing: Voicing,
        conditions: Sequence[Condition],
    ) -> None:
        self.model = model
        self._video, self._voice, self._voicing = encoded, voice, voicing
        self._made = encoded.by(model)
        self._now = network_clock(model.runtime.device)
        # Shifts by whole frames leave the embeddings as they are: they are kept while they will be used.
        self._kept: dict[int, tuple[AudioEmbeddings, float]] = {}
        self._to_come = Counter(self._phase(c) for c in conditions if not _is_segment(c))

    def measure(self, condition: Condition, label: Label, *, film: str, max_offset: int) -> Trial:
        names = (self.model.spec.full_name, self.model.weights)
        if self._made.error is not None:
            return failed_trial(names, condition, label, film=film, error=self._made.error)
        segment = _segment(condition, self._video.frames)
        parts = (face.part(segment.start, segment.stop) for face in self._made.faces)
        faces = [face for face in parts if face is not None]
        at = self._heard_at(condition, segment)
        speech = self._voice.at(at)
        with sharing_cores(self.model.runtime):
            samples, audio, audio_s = self._audio(condition, segment)
            began = self._now()
            findings = analyze(
                self.model,
                faces,
                audio,
                frames=segment.frames,
                max_offset=max_offset,
                known=Circumstances(has_audio=not is_silent(samples)),
                speech=speech,
                unread_share=self._video.source.unread_share,
                frames_late=self._video.frames_late,
            )
            scored_s = self._now() - began
            windows = self._windows(findings, faces, audio, _truths(label, condition, segment))
        estimate, distances = findings.estimate, findings.distances
        share = segment.frames / self._video.frames
        whole_s = self._video.source.duration_s
        return Trial(
            film=film,
            backbone=names[0],
            weights=names[1],
            condition=condition,
            label=label,
            truth_frames=true_offset(label, condition),
            offset_frames=findings.offset_frames,
            confidence=findings.confidence,
            verdict=findings.decision.verdict,
            answered=findings.decision.verdict != "inconclusive",
            reason=findings.decision.reason,
            lse_c=distances.syncnet_confidence if distances else None,
            lse_d=distances.min_distance if distances else None,
            coverage=findings.video.coverage,
            segments=findings.segments,
            frames=findings.frames,
            curve=() if estimate is None else _plain(estimate.curve),
            windows=windows,
            voiced_share=_voiced_share(self._voicing.at(at), speech),
            duration_s=segment.frames / VIDEO_FPS if _is_segment(condition) else whole_s,
            seconds=self._made.seconds * share + audio_s + scored_s,
            memory_mb=peak_memory_mb(),
        )

    def _audio(
        self, condition: Condition, segment: _Segment
    ) -> tuple[np.ndarray, AudioEmbeddings, float]:
        """The samples under a condition, their embeddings, and the seconds that these took."""
        samples, at = self._video.samples, self._video.samples_at - _shift(condition)
        if _is_segment(condition):
            begin = segment.start * SAMPLES_PER_FRAME - at
            low = max(begin, 0)
            part = samples[low : max(low, begin + segment.frames * SAMPLES_PER_FRAME)]
            return part, *self._encoded(part, low - begin)
        phase = self._phase(condition)
        audio, seconds = self._kept.pop(phase, None) or self._encoded(samples, phase)
        self._to_come[phase] -= 1
        if self._to_come[phase] > 0:
            self._kept[phase] = audio, seconds
        return samples, replace(audio, first_frame=at // SAMPLES_PER_FRAME), seconds

    def _heard_at(self, condition: Condition, segment: _Segment) -> np.ndarray:
        """The sample in the middle of what is heard at every frame of a segment under a condition."""
        middles = (
            SAMPLES_PER_FRAME * np.arange(segment.start, segment.stop) + SAMPLES_PER_FRAME // 2
        )
        return middles - self._video.samples_at + _shift(condition)

    def _encoded(self, samples: np.ndarray, at: int) -> tuple[AudioEmbeddings, float]:
        began = self._now()
        return encode_audio(self.model, samples, at=at), self._now() - began

    def _windows(
        self,
        findings: Findings,
        faces: Sequence[FaceEmbeddings],
        audio: AudioEmbeddings,
        truths: Sequence[tuple[slice, float]],
    ) -> dict[int, tuple[int, int]]:
        """How many short windows are right, over all segments whose truth is known."""
        truths = [t for t in truths if least_offset(t[1]) <= _WIDEST_FRAMES]
        if findings.estimate is None or not truths:
            return {}
        volume = findings.video.volume
        needed = max(least_offset(truth) for _, truth in truths)
        if needed > findings.max_offset:
            volume = video_volume(
                self.model, faces, audio, findings.video.chosen, max_offset=needed
            )
        right: Counter[int] = Counter()
        of: Counter[int] = Counter()
        for part, truth in truths:
            for n, (good, count) in right_windows(volume[:, part], truth).items():
                right[n] += good
                of[n] += count
        return {n: (right[n], of[n]) for n in sorted(of)}

    def _phase(self, condition: Condition) -> int:
        return (self._video.samples_at - _shift(condition)) % SAMPLES_PER_FRAME


def _voiced_share(voiced: np.ndarray, speech: np.ndarray) -> float | None:
    spoken = speech >= SPEECH
    return round(float(voiced[spoken].mean()), 4) if spoken.any() else None


def _is_segment(condition: Condition) -> bool:
    return condition.start_s is not None


def _shift(condition: Condition) -> int:
    return round(condition.moved_frames * SAMPLES_PER_FRAME)


def _segment(condition: Condition, frames: int) -> _Segment:
    if condition.start_s is None:
        return _Segment(0, frames)
    start = min(max(0, round(condition.start_s * VIDEO_FPS)), frames - 1)
    stop = frames if condition.end_s is None else round(condition.end_s * VIDEO_FPS)
    return _Segment(start, min(max(stop, start + 1), frames))


def _truths(label: Label, condition: Condition, part: _Segment) -> list[tuple[slice, float]]:
    """Parts of a segment, in its own frame indices, and the true offset of each."""
    moved = condition.moved_frames
    if not label.segments:
        known = label.offset_frames
        return [] if known is None else [(slice(0, part.frames), known + moved)]
    found = []
    for segment in label.segments:
        first = math.ceil(segment.start_s * VIDEO_FPS - 1e-6) - part.start
        last = math.floor(segment.end_s * VIDEO_FPS + 1e-6) - part.start
        first, last = max(first, 0), min(last, part.frames)
        if first < last:
            found.append((slice(first, last), segment.offset_frames + moved))
    return found


def _plain(curve: np.ndarray) -> tuple[float | None, ...]:
    return tuple(None if value != value else round(value, 6) for value in curve.tolist())
