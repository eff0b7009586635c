"""What answers are worth that have nothing to do with the video: the chance level of every metric.

The answers of a model are exchanged among its trials, at random, and scored again (a permutation test:
Ojala & Garriga, "Permutation tests for studying classifier performance", JMLR 11, 2010). Whoever answers at
random scores the same before and after; how often, how surely and where a model answers does not matter, as
that stays what it is. Windows of a few frames are counted while a video is scored, and cannot be exchanged
afterwards: they are scored against wrong labels instead, those of other videos.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from synctool.evaluation.metrics import METRICS, summarise
from synctool.types import Trial

DRAWS = 20
BLIND = frozenset({"lse", "cost"})
"""Families that do not look at the truth."""
WITHOUT = frozenset({"inconclusive_rate", "failure_rate", "frame_coverage", "bias_ms"})
"""Metrics that say how often there is an answer, or to which side it errs."""
FOLLOWING = frozenset({"shift_mae_ms", "shift_max_ms", "shift_accuracy_0"})
"""A wrong match moves along with the audio: what follows a move need not be right."""
_ANSWER = ("offset_frames", "confidence", "verdict", "answered", "reason", "segments", "frames")


def judged(name: str) -> bool:
    """Whether a metric tells right answers from answers at random."""
    return METRICS[name].family not in BLIND and name not in WITHOUT | FOLLOWING


def chance_levels(
    trials: Sequence[Trial], mislabelled: Sequence[Trial], *, draws: int = DRAWS, seed: int = 0
) -> dict[str, float]:
    """What each metric would be if the answers belonged to other trials.

    Args:
        trials: Of one model.
        mislabelled: Of the same model on the same videos, each with the label of another.
        draws: How often the answers are exchanged.
        seed: Seed.

    Returns:
        By name of the metric; those that are not defined, or that chance says nothing about, are left
        out.
    """
    rng = np.random.default_rng(seed)
    found: dict[str, list[float]] = {}
    for part in [*(_exchanged(trials, rng) for _ in range(draws)), mislabelled]:
        for metric in summarise(part):
            windows = METRICS[metric.name].family == "windows"
            if metric.defined and judged(metric.name) and windows == (part is mislabelled):
                found.setdefault(metric.name, []).append(metric.value)
    return {name: float(np.mean(found[name])) for name in METRICS if name in found}


def _exchanged(trials: Sequence[Trial], rng: np.random.Generator) -> list[Trial]:
    """Trials with each other's answers, within a kind of condition: pieces are shorter than videos."""
    made = list(trials)
    for kind in dict.fromkeys(trial.condition.kind for trial in trials):
        places = [i for i, trial in enumerate(trials) if trial.condition.kind == kind]
        for i, j in zip(places, rng.permutation(places).tolist()):
            made[i] = replace(trials[i], **{name: getattr(trials[j], name) for name in _ANSWER})
    return made
