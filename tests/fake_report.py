"""Made-up comparisons for the page: many videos, several models, every kind of condition."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import numpy as np

from synctool.report.html.pages import CompareReport
from synctool.scoring.verdict import judge
from synctool.types import FRAME_MS, Condition, FrameSeries, Label, Segment, Trial

MODELS = {"fcn-cls": 0.25, "syncnet": 0.9, "resnet3d+vggish": 6.0}
"""Names and the spread of their errors in frames."""


def made_trial(video: str, backbone: str = "fcn-cls", **changes: Any) -> Trial:
    """A video of four seconds with the audio 3 frames ahead, or whatever ``changes`` says."""
    given: dict[str, Any] = {
        "weights": f"{backbone}.v1 sha256:0123",
        "offset_frames": 3.0,
        "confidence": 0.97,
        "verdict": "unacceptable",
        "answered": True,
        "lse_c": 7.0,
        "lse_d": 6.5,
        "coverage": 0.98,
        "duration_s": 4.0,
        "seconds": 0.5,
        "memory_mb": 800.0,
    }
    return Trial(video, backbone, **{**given, **changes})


def made_trials(
    videos: int = 6,
    *,
    models: int = 3,
    seconds: float = 4.0,
    labelled: bool = True,
    moved: bool = True,
) -> list[Trial]:
    """Videos with and without answers, with shifts, pieces and perturbations."""
    dice = random.Random(7)
    trials: list[Trial] = []
    for number in range(videos):
        name, truth = f"clips/s{number % 5}/film-{number:04d}.mp4", float(dice.randint(-6, 6))
        label = Label(truth if labelled else None, person=f"s{number % 5}", source="grid")
        for backbone, spread in list(MODELS.items())[:models]:
            found = _found(dice, truth, spread, seconds)
            trials.append(made_trial(name, backbone, label=label, duration_s=seconds, **found))
            if not moved:
                continue
            for amount in (-5.0, 5.0):
                trials.append(_moved(dice, trials[-1], label, Condition("shift", amount), spread))
            piece = Condition("piece", 2.5, 0.0, 2.0)
            trials.append(_moved(dice, trials[-1], label, piece, spread))
            for level in (1, 3, 5):
                worse = Condition(
                    "perturbed", perturbation="noise", level=level, value=10.0, unit="dB"
                )
                trials.append(_moved(dice, trials[-1], label, worse, spread * (1 + level)))
    return trials


def made_report(videos: int = 6, **changes: Any) -> CompareReport:
    """A comparison with metrics, frames and all."""
    from synctool.evaluation.metrics import summarise

    trials = changes.pop("trials", None)
    if trials is None:
        trials = made_trials(
            videos, **{k: changes.pop(k) for k in ("models", "seconds") if k in changes}
        )
    given: dict[str, Any] = {
        "title": "3 models, 6 videos",
        "command": "synctool compare clips/ --backbones fcn-cls,syncnet --report report.html",
        "trials": trials,
        "metrics": summarise(trials, by=("person", "condition", "perturbation")),
        "thumbnails": {trials[0].film: [made_image(25 * n) for n in range(3)]} if trials else {},
        "versions": {"torch": "2.0", "python": "3.12"},
    }
    return CompareReport(**{**given, **changes})


def made_image(frame_index: int, *, colour: bool = False) -> SimpleNamespace:
    """A small frame with one face."""
    ramp = np.linspace(20, 200, 96, dtype=np.uint8)
    image = np.add.outer(ramp[:54] // 2, ramp // 2)
    if colour:
        image = np.stack([image, image // 2, 255 - image], axis=-1)
    return SimpleNamespace(
        frame_index=frame_index, image=image, boxes=((30.0, 10.0, 24.0, 30.0),), numbers=(0,)
    )


def _found(dice: random.Random, truth: float, spread: float, seconds: float) -> dict[str, Any]:
    """What a model of that spread makes of a video."""
    offset = max(-15.0, min(15.0, truth + dice.gauss(0, spread)))
    confidence = max(0.02, min(0.99, 0.98 - 0.09 * spread + dice.gauss(0, 0.05)))
    if abs(offset - truth) > 4:
        confidence *= 0.4
    answered = confidence >= 0.5
    count = round(25 * seconds)
    series = FrameSeries(
        tuple(t / 25 for t in range(count)),
        tuple(offset + dice.gauss(0, 0.1) if t > 10 else None for t in range(count)),
        tuple(min(1.0, max(0.0, confidence + dice.gauss(0, 0.04))) if t > 10 else None for t in range(count)),
    )  # fmt: skip
    return {
        "truth_frames": truth,
        "offset_frames": offset,
        "confidence": confidence,
        "verdict": judge(offset * FRAME_MS) if answered else "inconclusive",
        "answered": answered,
        "reason": None if answered else "the evidence is weak",
        "segments": (Segment(0.4, seconds, offset, confidence),) if answered else (),
        "frames": series,
        "windows": {n: (round((80 + n) / (1 + 0.12 * spread)), 100) for n in (5, 7, 9, 11, 13, 15)},
        "seconds": 0.3 + 0.2 * spread,
    }


def _moved(
    dice: random.Random, trial: Trial, label: Label, condition: Condition, spread: float
) -> Trial:
    truth = (label.offset_frames or 0.0) + condition.moved_frames
    found = {**_found(dice, truth, spread, 2.0), "frames": FrameSeries((), (), ()), "windows": {}}
    if label.offset_frames is None:
        found["truth_frames"] = None
    return made_trial(trial.film, trial.backbone, condition=condition, label=label, **found)
