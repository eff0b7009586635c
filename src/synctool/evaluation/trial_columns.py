"""What the metrics keep of a trial: a few numbers, so that any number of trials can stream by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np

from synctool.evaluation.bootstrap import numbered
from synctool.evaluation.consistency import pieces_agree, shift_errors
from synctool.evaluation.detection import in_sync_score, true_segments, truly_in_sync
from synctool.evaluation.metric_specs import CONTEXTS
from synctool.evaluation.temporal import NO_FRAMES, FrameCounts, frame_counts, off_sync_seconds
from synctool.types import Condition, Trial


@dataclass(frozen=True, slots=True)
class Kept:
    """One trial without its series; None where something is not known, or not to be had.

    Attributes:
        film: The video.
        condition: How it was presented.
        model: Backbone and weights.
        person: Who speaks, "" for somebody unknown.
        source: The collection.
        language: What is spoken.
        voiced_share: Share of the speech that is voiced, 0..1.
        failed: Whether there is no answer at all; then all that follows is None or empty.
        offset_frames: The best match.
        truth_frames: The truth.
        reach_frames: Largest offset that was searched.
        confidence: 0..1.
        answered: Whether the offset was shown.
        in_sync: Whether it truly is in sync.
        called_in_sync: Whether the model says so.
        score: How strongly it does, -1..1.
        windows: By length of ``CONTEXTS``, how many are right and how many there are.
        frames: Frames against the truth.
        off_sync_s: Seconds off sync and found to be, and seconds that are either.
        lse_c: SyncNet's confidence.
        lse_d: SyncNet's distance.
        duration_s: Length of the segment.
        seconds: Time that it took.
        memory_mb: Memory.
    """

    film: str
    condition: Condition
    model: tuple[str, str]
    person: str = ""
    source: str = ""
    language: str = ""
    voiced_share: float | None = None
    failed: bool = False
    offset_frames: float | None = None
    truth_frames: float | None = None
    reach_frames: int | None = None
    confidence: float | None = None
    answered: bool = False
    in_sync: bool | None = None
    called_in_sync: bool = False
    score: float = 0.0
    windows: tuple[tuple[int, int], ...] = ()
    frames: FrameCounts = NO_FRAMES
    off_sync_s: tuple[float, float] = (0.0, 0.0)
    lse_c: float | None = None
    lse_d: float | None = None
    duration_s: float = 0.0
    seconds: float = 0.0
    memory_mb: float | None = None


@dataclass(frozen=True)
class Columns:
    """Trials of one model as columns of ``N``, NaN where something is not known.

    Attributes:
        person: Number of the person, -1 for somebody unknown.
        film: Number of the video.
        failed: Whether the trial failed.
        answered: Whether it was answered.
        offset: Best match, frames.
        truth: Truth, frames.
        confidence: 0..1.
        in_sync: Whether it truly is in sync, 0 or 1.
        called_in_sync: Whether the model says so.
        score: How strongly.
        windows: Right ones and all by length, ``[N, L, 2]``.
        frames: Known, decided and right, ``[N, 3]``.
        off_sync_s: Intersection and union, ``[N, 2]``.
        lse_c: SyncNet's confidence.
        lse_d: SyncNet's distance.
        piece_agrees: Whether a piece is within a frame of its video's consensus, 0 or 1.
        shift_error: Change of the best match minus the move, frames.
        duration_s: Length.
        seconds: Time that it took.
        memory_mb: Memory.
    """

    person: np.ndarray
    film: np.ndarray
    failed: np.ndarray
    answered: np.ndarray
    offset: np.ndarray
    truth: np.ndarray
    confidence: np.ndarray
    in_sync: np.ndarray
    called_in_sync: np.ndarray
    score: np.ndarray
    windows: np.ndarray
    frames: np.ndarray
    off_sync_s: np.ndarray
    lse_c: np.ndarray
    lse_d: np.ndarray
    piece_agrees: np.ndarray
    shift_error: np.ndarray
    duration_s: np.ndarray
    seconds: np.ndarray
    memory_mb: np.ndarray

    def __len__(self) -> int:
        return len(self.film)

    def only(self, chosen: np.ndarray) -> Columns:
        """Some of the trials, by number ``[M]`` or by a mask ``[N]``."""
        return Columns(**{f.name: getattr(self, f.name)[chosen] for f in fields(self)})


def kept(trial: Trial) -> Kept:
    """What is kept of a trial."""
    label = trial.label
    who = {
        "film": trial.film,
        "condition": trial.condition,
        "model": (trial.backbone, trial.weights),
        "person": label.person,
        "source": label.source,
        "language": label.language,
        "voiced_share": trial.voiced_share,
    }
    if trial.error is not None:
        return Kept(**who, failed=True)
    truth = true_segments(trial)
    return Kept(
        **who,
        offset_frames=trial.offset_frames,
        truth_frames=trial.truth_frames,
        reach_frames=len(trial.curve) // 2 if trial.curve else None,
        confidence=trial.confidence,
        answered=trial.answered,
        in_sync=truly_in_sync(trial),
        called_in_sync=trial.verdict == "in sync",
        score=in_sync_score(trial),
        windows=tuple(trial.windows.get(n, (0, 0)) for n in CONTEXTS),
        frames=frame_counts(trial.frames, truth),
        off_sync_s=off_sync_seconds(trial.segments, truth),
        lse_c=trial.lse_c,
        lse_d=trial.lse_d,
        duration_s=trial.duration_s,
        seconds=trial.seconds,
        memory_mb=trial.memory_mb,
    )


def in_one_order(trials: Iterable[Kept]) -> list[Kept]:
    """Sorted, so that figures are the same to the last digit in whatever order trials were done."""
    return sorted(
        trials,
        key=lambda k: (
            k.film,
            k.condition.kind,
            k.condition.start_s or 0.0,
            k.condition.moved_frames,
            k.condition.perturbation,
            k.condition.level,
            k.model,
        ),
    )


def columns(trials: Sequence[Kept]) -> Columns:
    """All trials of one model as columns, and how consistent they are with each other."""
    return Columns(
        person=numbered([(k.source, k.person) if k.person else None for k in trials]),
        film=numbered([k.film for k in trials]),
        failed=np.array([k.failed for k in trials], bool),
        answered=np.array([k.answered for k in trials], bool),
        offset=_numbers(k.offset_frames for k in trials),
        truth=_numbers(k.truth_frames for k in trials),
        confidence=_numbers(k.confidence for k in trials),
        in_sync=_numbers(k.in_sync for k in trials),
        called_in_sync=np.array([k.called_in_sync for k in trials], bool),
        score=_numbers(k.score for k in trials),
        windows=np.array([k.windows or ((0, 0),) * len(CONTEXTS) for k in trials], float),
        frames=np.array(
            [(k.frames.known, k.frames.decided, k.frames.right) for k in trials], float
        ),
        off_sync_s=np.array([k.off_sync_s for k in trials], float),
        lse_c=_numbers(k.lse_c for k in trials),
        lse_d=_numbers(k.lse_d for k in trials),
        piece_agrees=_numbers(pieces_agree(trials)),
        shift_error=_numbers(shift_errors(trials)),
        duration_s=_numbers(k.duration_s for k in trials),
        seconds=_numbers(k.seconds for k in trials),
        memory_mb=_numbers(k.memory_mb for k in trials),
    )


def _numbers(values: Iterable[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], float)
