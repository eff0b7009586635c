"""All trials of one video: read once for all networks, then shifted, cut into pieces and degraded."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from synctool.comparison.conditions import piece_conditions, shift_conditions
from synctool.comparison.degradations import (
    DEGRADATIONS,
    changes_audio_only,
    degraded_audio,
    offset_factor,
    parse_degradations,
    write_degraded,
)
from synctool.comparison.entries import Entry
from synctool.comparison.trials import failed_trial, trials
from synctool.disk_space import amount, free_bytes
from synctool.errors import OutputError, described
from synctool.measure.embeddings import EncodedVideo
from synctool.measure.encode import encode
from synctool.measure.encode_clip import encode_clip
from synctool.measure.thumbnails import Thumbnail
from synctool.measure.tracks import build_detector
from synctool.networks.loaded import LoadedModel
from synctool.settings.compare import CompareSettings
from synctool.types import VIDEO_FPS, Condition, Label, Trial

Tell = Callable[[tuple[str, float | None]], None]
"""Told what is being done with the video, and how far that is, 0..1 or None."""
READING = "reading"
_COPY_BYTES_PER_PIXEL = 0.25
_COPY_BYTES_PER_S = 32_000
_COPY_LEAST_BYTES = 16 << 20
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class VideoDone:
    """What became of a video.

    Attributes:
        trials: Its trials: condition by condition, within each network by network.
        shared_s: Seconds that the networks shared.
        thumbnails: A few frames of it, where they were asked for.
        lasting: Whether a second run would find the same; not where memory or disk ran out.
    """

    trials: tuple[Trial, ...]
    shared_s: float = 0.0
    thumbnails: tuple[Thumbnail, ...] = ()
    lasting: bool = True

    @property
    def failed(self) -> bool:
        """Whether any of it failed."""
        return any(trial.error is not None for trial in self.trials)


class VideoTrials:
    """Makes the trials of videos, with networks that are loaded once.

    Args:
        entries: The videos.
        models: The networks.
        settings: What to try.
        scratch: Folder for degraded copies; None where there are none.
        thumbnails: At most so many images of each video.

    Raises:
        UsageError: No such face detector, or settings that make no sense.
        MissingError: The detector's weights are not here.
    """

    def __init__(
        self,
        *,
        entries: Sequence[Entry],
        models: Sequence[LoadedModel],
        settings: CompareSettings,
        scratch: Path | None = None,
        thumbnails: int = 0,
    ) -> None:
        self._entries = entries
        self._thumbnails = thumbnails
        self._models = models
        self._settings = settings
        self._scratch = scratch
        self._degrade = parse_degradations(settings.perturb) if settings.perturb else []
        any_video = any(entry.clip is None for entry in entries)
        self._detector = build_detector(settings.detector) if any_video else None

    def __call__(self, number: int, tell: Tell) -> VideoDone:
        """The trials of one video; whatever fails becomes a row that says why."""
        entry = self._entries[number]
        tell((READING, 0.0))
        try:
            encoded = self._encoded(entry, tell)
        except Exception as error:  # also a bug with one video must not cost the others
            _note(entry.name, error)
            failed = self._failed(entry, Condition(), error)
            return VideoDone(tuple(failed), lasting=_lasting(error))
        made, lasting = [], True
        try:
            conditions = self._conditions(entry, encoded)
            made += self._tried(encoded, conditions, entry, entry.label)
        except Exception as error:
            _note(entry.name, error)
            made, lasting = self._failed(entry, Condition(), error), _lasting(error)
        own = {(t.backbone, t.weights): t for t in made if t.condition == Condition()}
        for name, level in self._degrade:
            tell((f"{name} {level}", None))
            spec = DEGRADATIONS[name]
            condition = Condition(
                kind="perturbed",
                perturbation=name,
                level=level,
                value=spec.levels[level - 1],
                unit=spec.unit,
            )
            try:
                copy = self._degraded(entry, encoded, name, level)
                made += self._judged(copy, condition, entry, own)
            except Exception as error:
                _note(entry.name, error)
                made += self._failed(entry, condition, error)
                lasting = lasting and _lasting(error)
        return VideoDone(tuple(made), encoded.shared_s, encoded.thumbnails, lasting)

    def _encoded(self, entry: Entry, tell: Tell) -> EncodedVideo:
        if entry.clip is not None:
            return encode_clip(entry.clip, self._models)
        return self._encoded_video(
            entry.name,
            streams=self._settings.streams,
            allow_external=self._settings.allow_external,
            stall_timeout=self._settings.stall_timeout,
            thumbnails=self._thumbnails,
            on_progress=lambda p: tell((READING, _share(p.frames_done, p.frames_total))),
        )

    def _encoded_video(self, path: str | os.PathLike[str], **how: Any) -> EncodedVideo:
        """A video through all models; one that fails is noted, and fails alone."""
        assert self._detector is not None  # there is one where an entry is a video
        return encode(
            path,
            self._models,
            detector=self._detector,
            max_faces=self._settings.max_faces,
            keep_samples=True,
            isolated=True,
            **how,
        )

    def _conditions(self, entry: Entry, encoded: EncodedVideo) -> list[Condition]:
        chance = {"seed": self._settings.seed, "video": _namesake(entry)}
        found = [Condition()]
        reach = self._settings.max_offset
        if self._settings.shift:
            moved = shift_conditions(self._settings.shift, max_offset=reach, **chance)
            # Not moved at all is the plain one, and would be right by itself.
            found += [condition for condition in moved if condition.moved_frames]
        if self._settings.pieces:
            found += piece_conditions(
                encoded.frames,
                self._settings.pieces,
                audio_samples=max(encoded.samples.size + encoded.samples_at, 0),
                max_offset=reach,
                **chance,
            )
        return found

    def _tried(
        self,
        encoded: EncodedVideo,
        conditions: Sequence[Condition],
        entry: Entry,
        label: Label,
        models: Sequence[LoadedModel] | None = None,
    ) -> Iterator[Trial]:
        return trials(
            encoded,
            self._models if models is None else models,
            conditions,
            label,
            film=entry.name,
            max_offset=self._settings.max_offset,
        )

    def _degraded(self, entry: Entry, encoded: EncodedVideo, name: str, level: int) -> EncodedVideo:
        """The degraded video: in memory where only the audio changes, else by way of a copy."""
        seed = self._settings.seed
        if changes_audio_only(name):
            return replace(encoded, samples=degraded_audio(encoded.samples, name, level, seed=seed))
        source = encoded.source
        pixels = source.width_px * source.height_px * VIDEO_FPS
        needed = source.duration_s * (pixels * _COPY_BYTES_PER_PIXEL + _COPY_BYTES_PER_S)
        with tempfile.TemporaryDirectory(dir=self._scratch, prefix="video-") as folder:
            _check_room(Path(folder), int(needed) + _COPY_LEAST_BYTES, entry.name)
            copy = write_degraded(
                entry.name,
                Path(folder) / "video.mkv",
                name,
                level,
                seed=seed,
                streams=self._settings.streams,
                allow_external=self._settings.allow_external,
                detector=self._detector,
            )
            return self._encoded_video(copy)

    def _judged(
        self,
        copy: EncodedVideo,
        condition: Condition,
        entry: Entry,
        own: dict[tuple[str, str], Trial],
    ) -> Iterator[Trial]:
        """Trials of a degraded video, against what is known of the undisturbed one.

        Where nothing is known, each network is held against its own answer to the undisturbed video,
        if it gave one. The label of such a trial says nothing, and still the trial has a truth.
        """
        label = entry.label
        factor = offset_factor(condition.perturbation, condition.level)
        if label.offset_frames is not None or label.segments:
            for trial in self._tried(copy, [condition], entry, _rescaled(label, factor)):
                yield replace(trial, label=label)
            return
        for model in self._models:
            before = own.get((model.spec.full_name, model.weights))
            truth = before.offset_frames if before and before.answered else None
            held = replace(label, offset_frames=None if truth is None else truth * factor)
            for trial in self._tried(copy, [condition], entry, held, [model]):
                yield replace(trial, label=label)

    def _failed(self, entry: Entry, condition: Condition, error: Exception) -> list[Trial]:
        names = [(model.spec.full_name, model.weights) for model in self._models]
        return failed_rows(names, condition, entry, described(error))


def failed_rows(
    networks: Sequence[tuple[str, str]], condition: Condition, entry: Entry, why: str
) -> list[Trial]:
    """A row for each network that says why there is no answer.

    Args:
        networks: Full name and weights of each.
        condition: How the video would have been presented.
        entry: The video.
        why: The reason.
    """
    return [
        failed_trial(network, condition, entry.label, film=entry.name, error=why)
        for network in networks
    ]


def _rescaled(label: Label, factor: float) -> Label:
    """The label of a video that plays for ``factor`` of its time: offsets shrink with it."""
    if factor == 1.0:
        return label
    offset = label.offset_frames
    return replace(
        label,
        offset_frames=None if offset is None else offset * factor,
        segments=tuple(
            replace(
                s,
                start_s=s.start_s * factor,
                end_s=s.end_s * factor,
                offset_frames=s.offset_frames * factor,
            )
            for s in label.segments
        ),
    )


def _namesake(entry: Entry) -> str:
    """Name for the chance: the same wherever the program was started."""
    return os.path.basename(entry.name) if entry.clip is None else entry.name


def _check_room(folder: Path, needed: int, video: str) -> None:
    free = free_bytes(folder)
    if needed > free:
        raise OutputError(
            f"a copy of {video} needs up to {amount(needed)} in {folder.parent}, and only "
            f"{amount(free)} are free",
            remedy="Free some space, or let TMPDIR name a folder on another disk.",
        )


def _lasting(error: Exception) -> bool:
    return not isinstance(error, OutputError | MemoryError | OSError)


def _note(video: str, error: Exception) -> None:
    _log.debug("%s: %s", video, error, exc_info=error)


def _share(done: int, total: int | None) -> float | None:
    return min(done / total, 1.0) if total else None
