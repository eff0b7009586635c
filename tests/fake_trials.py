"""Trials of made-up videos and models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fake_results import series
from synctool.evaluation.metric_specs import Metric
from synctool.report.compare_out import compare_json_parts
from synctool.types import Condition, Label, Segment, Trial

NETWORKS = ("fcn-cls", "syncnet")


def made_trial(film: str = "talk.mp4", backbone: str = "fcn-cls", **changes: Any) -> Trial:
    """A video of four seconds with the audio 3 frames ahead, or whatever ``changes`` says."""
    trial = Trial(
        film=film,
        backbone=backbone,
        weights=f"{backbone}.v2 sha256:0123",
        offset_frames=3.0,
        confidence=0.98,
        verdict="unacceptable",
        answered=True,
        lse_c=8.0,
        lse_d=5.4,
        coverage=0.97,
        segments=(Segment(0.0, 4.0, 3.0, 0.98),),
        frames=series(*[3.0] * 90, *[None] * 10),
        duration_s=4.0,
        seconds=0.5,
        memory_mb=300.0,
    )
    return replace(trial, **changes)


def failed_trial(film: str = "talk.mp4", backbone: str = "syncnet", **changes: Any) -> Trial:
    """A video that one model cannot read."""
    trial = Trial(film=film, backbone=backbone, weights=f"{backbone}.v2 sha256:0123")
    return replace(trial, **{"error": "it takes 5 frames and there are 3", **changes})


def labelled(trial: Trial, offset_frames: float, **label: str) -> Trial:
    """The same with its true offset known."""
    moved = trial.condition.moved_frames
    return replace(
        trial,
        label=Label(offset_frames, **label),
        truth_frames=offset_frames + moved,
        windows={n: (min(10, 2 + n // 2), 10) for n in (5, 7, 9, 11, 13, 15)},
    )


def set_of(
    films: int = 6, backbones: Sequence[str] = NETWORKS, *, noise_frames: float = 0.8
) -> list[Trial]:
    """A labelled set of several people, plain, moved and with noise, through several models."""
    rng = np.random.default_rng(0)
    trials = []
    for number in range(films):
        truth = float(rng.integers(-5, 6))
        person = f"person-{number % 5}"
        for condition in (
            Condition(),
            Condition("shift", moved_frames=5.0),
            *(
                Condition("perturbed", perturbation="noise", level=n, value=v, unit="dB")
                for n, v in enumerate((20.0, 10.0, 5.0, 0.0, -5.0), 1)
            ),
        ):
            for backbone in backbones:
                spread = noise_frames * (1 + condition.level)
                found = truth + condition.moved_frames + float(rng.normal(0, spread))
                sure = float(np.clip(1 - 0.2 * condition.level + 0.1 * rng.normal(), 0.01, 0.99))
                trial = made_trial(
                    f"video-{number}.mp4",
                    backbone,
                    condition=condition,
                    offset_frames=found,
                    confidence=sure,
                    answered=sure >= 0.5,
                    verdict="in sync" if sure >= 0.5 else "inconclusive",
                    reason=None if sure >= 0.5 else "the evidence is weak",
                    segments=(Segment(0.0, 4.0, found, sure),) if sure >= 0.5 else (),
                    frames=series(*[found] * 100) if condition == Condition() else series(),
                )
                trials.append(labelled(trial, truth, person=person, source="made"))
    return trials


def compare_json(trials: Iterable[Trial], metrics: Iterable[Metric], **more: Any) -> str:
    """What ``compare --json`` writes."""
    return "".join(compare_json_parts(list(trials), metrics, **more))
