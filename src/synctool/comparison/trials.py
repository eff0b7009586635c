"""A recorded film under one condition after the other, through one network after the other.

The sound is moved in memory, exact to the sample: sample t of the moved sound is sample t + moved of the
film's. Nothing is lost and nothing made up: what moves before the first picture can still be compared,
and where a sound has ended there is none, rather than silence.

A piece is a stretch of the pictures with a sound of the same length, cut out from its moved place and
encoded by itself: the network hears nothing of the film's other sound. Its pictures were encoded with the
film, so the first and the last of them have seen a few frames beyond the cut (half the receptive field).
What is found in a piece is in its own time, from its beginning on.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from synctool.measure.analyze import Findings, find, is_silent
from synctool.measure.encode import RecordedFace, Recording, Seen, words
from synctool.measure.streams import SoundStream, encoding_beside
from synctool.measure.timing import network_clock
from synctool.measure.volumes import film_volume
from synctool.media.sound import SoundTrack
from synctool.networks.loaded import LoadedModel
from synctool.scoring.right_windows import least_offset, right_windows
from synctool.types import (
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
class _Heard:
    """An encoded sound, the time that it took, and the tick of its first row."""

    rows: np.ndarray
    seconds: float
    begin: int


@dataclass(frozen=True)
class _Stretch:
    """The part of a film that is looked at."""

    start: int
    stop: int

    @property
    def ticks(self) -> int:
        return self.stop - self.start


def trials(
    recording: Recording,
    models: Sequence[LoadedModel],
    conditions: Sequence[Condition],
    label: Label,
    *,
    film: str,
    max_offset: int = 15,
    keep_frames: bool = False,
) -> Iterator[Trial]:
    """Measure a recorded film under all conditions.

    A network that fails gives trials that say why, and the others go on.

    Args:
        recording: The film.
        models: The networks, or some of them.
        conditions: How to present it; a ``perturbed`` film is its own recording.
        label: What is known about it.
        film: Its name.
        max_offset: Largest offset searched, in frames.
        keep_frames: Whether the offset per frame is kept under all conditions; else of ``plain``.

    Yields:
        The trials, condition by condition.

    Raises:
        KeyError: The film was not recorded for a network.
    """
    ears = [_Ear(model, recording, conditions) for model in models]
    for condition in conditions:
        for ear in ears:
            try:
                trial = ear.measure(condition, label, film=film, max_offset=max_offset)
            except Exception as error:  # a network may fail in any way, and fails alone
                names = (ear.model.spec.full_name, ear.model.weights)
                trial = failed_trial(names, condition, label, film=film, error=words(error))
            if condition.kind != "plain" and not keep_frames:
                trial = replace(trial, frames=FrameSeries((), (), ()))
            yield trial


def failed_trial(
    names: tuple[str, str], condition: Condition, label: Label, *, film: str, error: str
) -> Trial:
    """A trial without an answer.

    Args:
        names: Full name of the network, name and checksum of its weights.
        condition: How the film was presented.
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
    """The true offset of a film, or of a piece of it, under a condition.

    Where the offset changes within the film, that of a piece is the one of the stretch that holds it
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


class _Ear:
    """One network with what it saw of the film: hears it under any condition."""

    def __init__(
        self, model: LoadedModel, recording: Recording, conditions: Sequence[Condition]
    ) -> None:
        self.model = model
        self._film = recording
        self._seen: Seen = recording.seen_by(model)
        self._now = network_clock(model.runtime.device)
        # Moves by whole frames leave the encoded sound as it is: it is kept while it will be used again.
        self._kept: dict[int, tuple[np.ndarray, float]] = {}
        self._to_come = Counter(self._phase(c) for c in conditions if not _is_piece(c))

    def measure(self, condition: Condition, label: Label, *, film: str, max_offset: int) -> Trial:
        names = (self.model.spec.full_name, self.model.weights)
        if self._seen.error is not None:
            return failed_trial(names, condition, label, film=film, error=self._seen.error)
        stretch = _stretch(condition, self._film.ticks)
        # On as many threads as ``detect``: the figures are the same.
        with encoding_beside(self.model.runtime):
            sound, heard = self._hear(condition, stretch)
            faces = self._faces(stretch)
            began = self._now()
            findings = find(
                self.model,
                faces,
                heard.rows,
                ticks=stretch.ticks,
                max_offset=max_offset,
                silent=is_silent(_peak(sound)),
                heard_from=heard.begin,
                unread_share=self._film.source.unread_share,
                frames_late=self._film.frames_late,
            )
            scored_s = self._now() - began
            windows = self._windows(findings, faces, heard, _truths(label, condition, stretch))
        estimate, distances = findings.estimate, findings.distances
        duration_s = stretch.ticks / VIDEO_FPS
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
            coverage=findings.film.coverage,
            segments=findings.segments,
            frames=findings.frames,
            curve=() if estimate is None else _plain(estimate.curve),
            windows=windows,
            duration_s=duration_s if _is_piece(condition) else self._film.source.duration_s,
            seconds=self._seen.seconds * stretch.ticks / self._film.ticks
            + heard.seconds
            + scored_s,
            memory_mb=peak_memory_mb(),
        )

    def _faces(self, stretch: _Stretch) -> dict[int, RecordedFace]:
        parts = (face.part(stretch.start, stretch.stop) for face in self._seen.faces)
        return {face.number: face for face in parts if face is not None}

    def _hear(self, condition: Condition, stretch: _Stretch) -> tuple[np.ndarray, _Heard]:
        """The samples that there are to hear, and their embeddings."""
        if _is_piece(condition):
            at = stretch.start * SAMPLES_PER_FRAME + _samples(condition) - self._film.sound_at
            low = max(at, 0)
            part = self._film.sound[low : max(low, at + stretch.ticks * SAMPLES_PER_FRAME)]
            begin, phase = divmod(low - at, SAMPLES_PER_FRAME)
            return part, _Heard(*self._encoded(part, phase), begin)
        sound = self._film.sound
        begin, phase = divmod(self._film.sound_at - _samples(condition), SAMPLES_PER_FRAME)
        rows, seconds = self._kept.pop(phase, None) or self._encoded(sound, phase)
        self._to_come[phase] -= 1
        if self._to_come[phase] > 0:
            self._kept[phase] = rows, seconds
        return sound, _Heard(rows, seconds, begin)

    def _encoded(self, sound: np.ndarray, phase: int) -> tuple[np.ndarray, float]:
        """Embeddings of a sound that begins ``phase`` samples after a frame does, and the time it took;
        the constant of the network is taken out as ``detect`` does it."""
        began = self._now()
        zero = round(self.model.zero_frames * SAMPLES_PER_FRAME)
        track = SoundTrack()
        track.place(sound[max(-zero, 0) :])
        stream = SoundStream(
            runtime=self.model.runtime,
            spec=self.model.spec,
            sound=track,
            zero_frames=(phase + max(zero, 0)) / SAMPLES_PER_FRAME,
        )
        stream.encode(last=True)
        return stream.embeddings(), self._now() - began

    def _windows(
        self,
        findings: Findings,
        faces: Mapping[int, RecordedFace],
        heard: _Heard,
        truths: Sequence[tuple[slice, float]],
    ) -> dict[int, tuple[int, int]]:
        """How many short windows are right, over all stretches whose truth is known."""
        truths = [t for t in truths if least_offset(t[1]) <= _WIDEST_FRAMES]
        if findings.estimate is None or not truths:
            return {}
        volume = findings.film.volume
        needed = max(least_offset(truth) for _, truth in truths)
        if needed > findings.max_offset:
            volume = film_volume(
                self.model,
                faces,
                heard.rows,
                findings.film.chosen,
                max_offset=needed,
                heard_from=heard.begin,
            )
        right: Counter[int] = Counter()
        of: Counter[int] = Counter()
        for part, truth in truths:
            for n, (good, count) in right_windows(volume[:, part], truth).items():
                right[n] += good
                of[n] += count
        return {n: (right[n], of[n]) for n in sorted(of)}

    def _phase(self, condition: Condition) -> int:
        return (self._film.sound_at - _samples(condition)) % SAMPLES_PER_FRAME


def _is_piece(condition: Condition) -> bool:
    return condition.start_s is not None


def _samples(condition: Condition) -> int:
    return round(condition.moved_frames * SAMPLES_PER_FRAME)


def _stretch(condition: Condition, ticks: int) -> _Stretch:
    if condition.start_s is None:
        return _Stretch(0, ticks)
    start = min(max(0, round(condition.start_s * VIDEO_FPS)), ticks - 1)
    stop = ticks if condition.end_s is None else round(condition.end_s * VIDEO_FPS)
    return _Stretch(start, min(max(stop, start + 1), ticks))


def _truths(label: Label, condition: Condition, stretch: _Stretch) -> list[tuple[slice, float]]:
    """Parts of a stretch, in its own ticks, and the true offset of each."""
    moved = condition.moved_frames
    if not label.segments:
        known = label.offset_frames
        return [] if known is None else [(slice(0, stretch.ticks), known + moved)]
    found = []
    for segment in label.segments:
        first = math.ceil(segment.start_s * VIDEO_FPS - 1e-6) - stretch.start
        last = math.floor(segment.end_s * VIDEO_FPS + 1e-6) - stretch.start
        first, last = max(first, 0), min(last, stretch.ticks)
        if first < last:
            found.append((slice(first, last), segment.offset_frames + moved))
    return found


def _peak(sound: np.ndarray) -> int:
    return max(int(sound.max()), -int(sound.min())) if sound.size else 0


def _plain(curve: np.ndarray) -> tuple[float | None, ...]:
    return tuple(None if value != value else round(value, 6) for value in curve.tolist())
