"""How far models agree with each other, whether or not anybody knows the truth."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from synctool.evaluation.bootstrap import Interval, numbered, ratio_of, units_of
from synctool.evaluation.model_names import model_names
from synctool.types import VIDEO_FPS, Trial

AGREED_FRAMES = 1.0
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Agreement:
    """How often two models say the same of one video under one condition.

    Attributes:
        first: One model.
        second: The other.
        frames: Share of the 25 Hz frames where both have an offset, that are within a frame.
        frame_count: How many frames these are.
        trials: Share of the trials where both have a best match, that are within a frame.
        trial_count: How many trials these are.
        frames_interval: ``frames`` with its 95% interval.
        trials_interval: ``trials`` with its interval.
    """

    first: str
    second: str
    frames: float
    frame_count: int
    trials: float
    trial_count: int
    frames_interval: Interval
    trials_interval: Interval


@dataclass
class _Pair:
    """What two models share: who, which video, and how many frames and trials agree of how many."""

    people: list[Hashable] = field(default_factory=list)
    videos: list[str] = field(default_factory=list)
    counts: list[tuple[int, int, int, int]] = field(default_factory=list)


def agreement(trials: Iterable[Trial]) -> list[Agreement]:
    """Compare every two models on the videos and conditions that both have.

    One video after the other, so that the series per frame of one are in memory at a time, where those of
    the trials are elsewhere.

    Args:
        trials: Of any conditions, in any order; those that failed take no part.

    Returns:
        Every pair of models, in the order of their first trials.
    """
    videos: dict[str, list[Trial]] = {}
    models: dict[tuple[str, str], None] = {}
    for trial in trials:
        models[trial.backbone, trial.weights] = None
        if trial.error is None:
            videos.setdefault(trial.film, []).append(trial)
    pairs: dict[frozenset, _Pair] = {}
    for of_video in videos.values():
        _add_video(pairs, of_video)
    names = model_names(models)
    return [
        _agreement(names[a], names[b], pairs.get(frozenset((a, b)), _Pair()))
        for a, b in combinations(models, 2)
    ]


def _add_video(pairs: dict[frozenset, _Pair], trials: Iterable[Trial]) -> None:
    """Count what every two models share of one video."""
    by_condition: dict[Hashable, dict[tuple[str, str], tuple[float | None, np.ndarray]]] = {}
    for trial in trials:
        model = (trial.backbone, trial.weights)
        others = by_condition.setdefault(trial.condition, {})
        mine = (trial.offset_frames, _by_frame(trial))
        for other, theirs in others.items():
            if other != model:
                pair = pairs.setdefault(frozenset((model, other)), _Pair())
                person = trial.label.person
                pair.people.append((trial.label.source, person) if person else None)
                pair.videos.append(trial.film)
                pair.counts.append((*_agreeing(mine[1], theirs[1]), *_same(mine[0], theirs[0])))
        others[model] = mine


def _agreement(first: str, second: str, pair: _Pair) -> Agreement:
    # In one order, whichever model or video came first, so that the intervals are the same.
    order = sorted(range(len(pair.videos)), key=lambda i: (pair.videos[i], pair.counts[i]))
    counts = np.array([pair.counts[i] for i in order], float).reshape(-1, 4)
    people = numbered([pair.people[i] for i in order])
    videos = numbered([pair.videos[i] for i in order])
    shares = []
    for right, of in ((0, 1), (2, 3)):
        kept = counts[:, of] > 0
        units = units_of(people[kept], videos[kept])
        shares.append(ratio_of(counts[kept, right], counts[kept, of], units, share=True))
    totals = counts.sum(0).astype(int)
    return Agreement(
        first=first,
        second=second,
        frames=shares[0].value,
        frame_count=int(totals[1]),
        trials=shares[1].value,
        trial_count=int(totals[3]),
        frames_interval=shares[0],
        trials_interval=shares[1],
    )


def _by_frame(trial: Trial) -> np.ndarray:
    """Offsets by 25 Hz frame of the video, float32, NaN where there is none."""
    times = np.array(trial.frames.t_s, float)
    indices = np.rint(times * VIDEO_FPS).astype(int)
    offsets = np.full(indices.max(initial=-1) + 1, np.nan, np.float32)
    offsets[indices] = np.array(trial.frames.offset_frames, float)
    return offsets


def _agreeing(a: np.ndarray, b: np.ndarray) -> tuple[int, int]:
    """How many frames agree, of how many where both have an offset."""
    length = min(len(a), len(b))
    apart = np.abs(a[:length].astype(float) - b[:length])
    near = apart <= AGREED_FRAMES + 1e-5  # what float32 keeps of an offset
    return int(near.sum()), int((~np.isnan(apart)).sum())


def _same(a: float | None, b: float | None) -> tuple[int, int]:
    if a is None or b is None:
        return 0, 0
    return int(abs(a - b) <= AGREED_FRAMES + _ROUNDING), 1
