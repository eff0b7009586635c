"""The three questions of ``experiments.py``: what is trained for each, and what comes out in figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from experiment_answers import (
    Windows,
    answers,
    better_by,
    classified,
    cut_windows,
    others_crops,
    quality,
    regressed,
    soft_argmax,
    within,
)
from experiment_runs import (
    MAX_OFFSET,
    Runs,
    best,
    curve,
    epoch_weights,
    pace,
    spread_out,
    taken_up,
)

from synctool.errors import MissingError
from synctool.models.offset_regressor import fitted_line
from synctool.training.schedules import Patience

PER_CLIP = {"held out": 8, "learnt": 4, "target": 2, "glance": 1}
"""Windows of each clip: few long clips, or many short ones."""
_CALIBRATION_CLIPS = 60
_JUDGES = 40
_LEAST_SLOPE = 1e-3


# ----------------------------------------------------------------------- regression or choice


def collapse(runs: Runs) -> dict[str, Any]:
    """Regression and classification on the same batches from the same first weights."""
    plan = runs.plan
    clips = runs.learners(plan.source)
    folders = {
        "classifier": _classifier(runs),
        "regression": runs.regress("regression", clips),
        "soft-argmax": runs.train(
            "soft-argmax", clips, settings=plan.settings(plan.steps, losses=("mse",))
        ),
    }
    learnt = _windows(runs, spread_out(clips, _CALIBRATION_CLIPS), "learnt")
    sources = [plan.source]
    if runs.has_constants and plan.target != plan.source:
        sources.append(plan.target)  # without, its own delay would be read as an error
    kinds = {plan.target: "glance", plan.source: "held out"}
    held = {s: _windows(runs, runs.held_out_speakers(s), kinds[s]) for s in sources}
    answering = _collapse_networks(folders, learnt)
    said = {source: answering(windows) for source, windows in held.items()}
    blind = {source: answering(others_crops(windows)) for source, windows in held.items()}
    return {
        "sources": {
            source: {
                "true": windows.offset_frames.tolist(),
                "people": len(set(windows.people)),
                "clips": len(set(windows.clips)),
                "said": {name: x.tolist() for name, x in said[source].items()},
                "quality": {
                    name: asdict(quality(x, blind[source][name], windows))
                    for name, x in said[source].items()
                },
            }
            for source, windows in held.items()
        },
        "loss": plan.loss,
        "seconds_per_step": {name: pace(folder) for name, folder in folders.items()},
    }


def _collapse_networks(
    folders: Mapping[str, Path], learnt: Windows
) -> Callable[[Windows], dict[str, np.ndarray]]:
    """The trained networks and the lines behind the regression, ready to answer."""
    regression = taken_up(best(folders["regression"]), regression=True)
    chosen = taken_up(best(folders["classifier"]))
    averaged = taken_up(best(folders["soft-argmax"]))
    before = answers(regression, learnt, regressed)
    # On people learnt from: the best guess of the truth by the answers (``calibrate`` would store it
    # in the network), and how the answers follow the truth, to be turned round.
    guess, base = map(float, fitted_line(*_tensors(before, learnt.offset_frames)))
    slope, intercept = map(float, fitted_line(*_tensors(learnt.offset_frames, before)))

    def answering(windows: Windows) -> dict[str, np.ndarray]:
        raw = answers(regression, windows, regressed)
        said = {"middle": np.zeros(len(raw)), "regression": raw, "line": guess * raw + base}
        if abs(slope) > _LEAST_SLOPE:
            said["stretched"] = ((raw - intercept) / slope).clip(-MAX_OFFSET, MAX_OFFSET)
        said["soft-argmax"] = answers(averaged, windows, soft_argmax)
        said["classifier"] = answers(chosen, windows, classified)
        return said

    return answering


# ----------------------------------------------------------------------- early stopping


def early(runs: Runs) -> dict[str, Any]:
    """A run on a few clips of one person, judged on other people after each epoch."""
    plan = runs.plan
    clips = runs.learners(plan.source)
    people = Counter(map(runs.data.person, clips))
    person = max(sorted(people), key=people.__getitem__)
    own = [s for s in clips if runs.data.person(s) == person]
    others = [s for s in clips if runs.data.person(s) != person]
    if not others:
        raise MissingError(
            f"all clips of {plan.source} to learn from are of one person",
            remedy="Early stopping needs others to judge with: process more videos.",
        )
    judges = spread_out(others, _JUDGES)
    folder = runs.train(
        "early",
        few := spread_out(own, plan.few_clips),
        settings=plan.settings(plan.steps, augment=0.0, schedule="constant"),
        judges=judges,
        keep_epochs=True,
    )
    rows = curve(folder)
    kept, ended = picked([row["score"] for row in rows], plan.patience)
    windows = _windows(runs, runs.held_out_speakers(plan.source), "held out")
    chosen = {"kept": kept, "best": picked([row["score"] for row in rows], 0)[0], "last": len(rows)}
    said = {
        epoch: answers(taken_up(epoch_weights(folder, epoch)), windows, classified)
        for epoch in sorted(set(chosen.values()))
    }
    return {
        "curve": rows,
        "epochs": chosen,
        "ended": ended,
        "patience": plan.patience,
        "clips": len(few),
        "judges": {"clips": len(judges), "people": len(set(map(runs.data.person, judges)))},
        "within": {str(epoch): asdict(within(x, windows)) for epoch, x in said.items()},
        "lost": asdict(better_by(said[len(rows)], said[kept], windows)),
        "test": {"clips": len(set(windows.clips)), "people": len(set(windows.people))},
    }


def picked(scores: Sequence[float], patience: int) -> tuple[int, int]:
    """What early stopping makes of the scores of a run's epochs.

    Args:
        scores: In order.
        patience: Epochs without a better score before the run ends; 0 for never.

    Returns:
        The epoch whose weights are kept, and the last that is trained, both from 1.
    """
    waiting, kept = Patience(patience), 1
    for epoch, score in enumerate(scores, 1):
        better = epoch == 1 or score > scores[kept - 1]
        kept = epoch if better else kept
        if waiting.see(better=better):
            return kept, epoch
    return kept, len(scores)


# ----------------------------------------------------------------------- carrying over


def transfer(runs: Runs) -> dict[str, Any]:
    """A few clips of another collection, learnt from four beginnings."""
    plan = runs.plan
    clips = spread_out(runs.learners(plan.target), plan.target_clips)
    held_out_speakers = runs.held_out_speakers(plan.target)
    trained = best(_classifier(runs))
    pretext = best(
        runs.train(
            f"pretext-{plan.pretext}",
            runs.learners(plan.source),
            settings=plan.settings(plan.steps, task=plan.pretext),
        )
    )
    beginnings: dict[str, tuple[Path | None, dict[str, Any]]] = {
        "nothing": (None, {}),
        "pretext": (pretext, {}),
        "sync": (trained, {}),
        "thawed": (trained, {"unfreeze_epoch": 2, "unfreeze_every": 1}),
    }
    windows = _windows(runs, held_out_speakers, "target")
    said, blind = {}, {}
    for name, (init, changes) in beginnings.items():
        settings = plan.settings(max(1, plan.steps // 2), **changes)
        folder = runs.train(f"transfer-{name}", clips, settings=settings, init=init)
        network = taken_up(best(folder))
        said[name] = answers(network, windows, classified)
        blind[name] = answers(network, others_crops(windows), classified)
    return {
        "clips": len(clips),
        "people": len(set(map(runs.data.person, clips))),
        "test": {"clips": len(set(windows.clips)), "people": len(set(windows.people))},
        "windows": len(windows.clips),
        "names": _beginnings(plan.source, plan.pretext),
        "target": plan.target,
        "quality": {name: asdict(quality(x, blind[name], windows)) for name, x in said.items()},
        "gain": {
            name: asdict(better_by(x, said["nothing"], windows))
            for name, x in said.items()
            if name != "nothing"
        },
    }


def _beginnings(source: str, pretext: str) -> dict[str, str]:
    return {
        "nothing": "nothing (random weights)",
        "pretext": f"{source} without labels (`--task {pretext}`)",
        "sync": f"{source}, trained for sync (`--init`)",
        "thawed": "the same, layers thawed one by one (`--unfreeze-epoch 2`)",
    }


PARTS: dict[str, Callable[[Runs], dict[str, Any]]] = {
    "collapse": collapse,
    "early": early,
    "transfer": transfer,
}


def _classifier(runs: Runs) -> Path:
    """The run that two parts use."""
    return runs.train("classifier", runs.learners(runs.plan.source))


def _windows(runs: Runs, samples: Sequence[Any], kind: str) -> Windows:
    return cut_windows(
        samples, runs.data, frames=runs.plan.frames, per_clip=PER_CLIP[kind], seed=runs.plan.seed
    )


def _tensors(*arrays: np.ndarray) -> tuple[torch.Tensor, ...]:
    return tuple(torch.from_numpy(np.asarray(x, float)) for x in arrays)
