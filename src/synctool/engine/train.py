"""``train``: from processed films to weights."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import torch
from torch import nn

from synctool._version import __version__
from synctool.data.pairs import read_pairs
from synctool.data.processed import Processed
from synctool.data.samples import Sample
from synctool.data.split import Assignment
from synctool.data.windows import WindowSettings, WindowStream
from synctool.engine.models import build, choose_device
from synctool.engine.pairs import SPLIT_FILE, read_split
from synctool.errors import MissingError, SyncToolError, UsageError
from synctool.evaluation.calibration import calibrate, known_stretches
from synctool.evaluation.multiway import multiway
from synctool.files import make_folder, write_text
from synctool.models.offset_classifier import OffsetClassifier
from synctool.training.checkpoint import BEST, STATE, WEIGHTS, metadata, save_weights
from synctool.training.loop import Schedule, Trainer, TrainProgress
from synctool.training.objective import offset_objective
from synctool.types import BackboneSpec
from synctool.weights.files import fit, load_weights

_VALIDATED_CLIPS = 96
"""At most so many clips of a source are validated after each epoch."""
_RAMP_SHARE = 0.5
_UNNAMED_TOLERANCE = 2.0
"""People told apart by their faces only share a group with others, whose constants differ: their
true offsets are known to about a frame."""
_SHOWN = 3
CONFIG = "config.json"
CALIBRATION = "calibration.json"
"""Reliability of the best weights."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainSettings:
    """A run: see the settings of the section ``train``."""

    backbone: str
    epochs: int
    steps_per_epoch: int
    batch_size: int
    learning_rate: float
    max_offset: int
    window_frames: int
    seed: int
    device: str
    augment: float = 1.0


def train(
    processed: Path,
    output: Path,
    settings: TrainSettings,
    *,
    split: Path | None = None,
    constants: Path | None = None,
    init: Path | None = None,
    source: str | None = None,
    pairs: Path | None = None,
    on_progress: Callable[[TrainProgress], None] | None = None,
) -> Path:
    """Train a backbone; a killed run in the same folder is continued.

    Args:
        processed: What ``preprocess`` made.
        output: Folder of the run.
        settings: Length, rates, sizes.
        split: ``split.json`` of ``pairs``; None looks beside ``pairs``, and in ``processed``.
        constants: JSON object of constant offsets in frames by person or source.
        init: Weights to start from.
        source: Train on the films of this source only.
        pairs: Train on the samples and offsets that this file of ``pairs`` lists; None draws offsets.
        on_progress: Called after each step and epoch.

    Returns:
        Path of the weights of the best epoch; the last ones lie beside them.

    Raises:
        MissingError: No processed films, no split, or pairs of films that are not there.
        UsageError: The backbone cannot be trained so, the folder holds another run, or the pairs do
            not fit the split or the settings.
        TrainingError: The loss is not a number.
    """
    cv2.setNumThreads(1)  # the windows are made in a process of their own beside the training
    torch.manual_seed(settings.seed)
    spec, model = build(settings.backbone, max_offset=settings.max_offset)
    _check(spec, model)
    device = choose_device(settings.device)
    folder = Processed(processed)
    assignments = read_split(split or _split_of(processed, pairs))
    listed = _listed_offsets(pairs, folder, assignments, settings.max_offset)
    samples = list(folder.samples())
    moved = _constants(constants)
    parts = {name: _of_split(samples, assignments, name) for name in ("train", "val")}
    parts["train"] = [s for s in parts["train"] if source in (None, s.info.source)]
    if listed is not None:
        parts["train"] = [s for s in parts["train"] if s.info.key in listed]
    if not parts["train"]:
        raise MissingError(
            "the split leaves nothing to train on", remedy="Make it anew: synctool pairs."
        )
    make_folder(output)
    _settle_config(output, settings, constants=moved, init=init, source=source, pairs=pairs)
    if init is not None:
        fit(model, load_weights(init), backbone=spec.full_name)
    model = model.to(memory_format=torch.channels_last)
    stream = WindowStream(
        parts["train"],
        WindowSettings(
            frames=settings.window_frames,
            batch=settings.batch_size,
            max_offset=settings.max_offset,
            margin=model.head.margin,
            size_px=spec.video.size_px,
            strength=settings.augment,
            ramp_steps=0 if init else int(_RAMP_SHARE * settings.epochs * settings.steps_per_epoch),
        ),
        constants=[_constant(s, assignments, moved) for s in parts["train"]],
        people=[assignments[s.info.key].person for s in parts["train"]],
        seed=settings.seed,
        offsets=None if listed is None else [listed[s.info.key] for s in parts["train"]],
    )
    trainer = Trainer(
        model=model,
        objective=lambda network, batch: offset_objective(
            network, batch, max_offset=settings.max_offset
        ),
        schedule=Schedule(settings.epochs, settings.steps_per_epoch, settings.learning_rate),
        output=output,
        facts={"backbone": spec.full_name, "synctool": __version__, "seed": settings.seed},
        device=device,
        validate=lambda network: _validate(network, spec, parts["val"], assignments, moved),
        on_progress=on_progress,
    )
    if trainer.resume():
        stream.start_at(trainer.step)
    trainer.fit(stream)
    for name in (WEIGHTS, BEST):
        _calibrate(output / name, model, spec, parts["val"], assignments, moved)
    return output / BEST


def _calibrate(
    path: Path,
    network: nn.Module,
    spec: BackboneSpec,
    samples: list[Sample],
    assignments: dict[str, Assignment],
    moved: dict[str, float],
) -> None:
    """Calibrate the confidence on the validation people and store it with the weights."""
    loaded = load_weights(path)
    if not samples or "calibration" in loaded.metadata:
        return
    fit(network, loaded, backbone=spec.full_name)
    network.eval()
    examples = known_stretches(
        network,
        samples,
        size_px=spec.video.size_px,
        true_offset=lambda s: _constant(s, assignments, moved),
        person=lambda s: assignments[s.info.key].person,
        tolerance=lambda s: 1.0 if s.info.speaker else _UNNAMED_TOLERANCE,
    )
    report = calibrate(examples)
    facts = {"calibration": report.calibration.to_dict(), "calibration_error": report.error}
    save_weights(path, loaded.state, metadata({**loaded.metadata, **facts}))
    table = [vars(row) for row in report.table]
    write_text(
        path.parent / CALIBRATION, json.dumps({**facts, "reliability": table}, indent=1) + "\n"
    )


def _check(spec: BackboneSpec, model: nn.Module) -> None:
    if not isinstance(model, OffsetClassifier):
        raise UsageError(
            f"{spec.full_name} cannot be trained yet", remedy="Train fcn-cls, the default backbone."
        )
    if spec.video.crop != "mouth" or spec.audio.kind != "logmel64":
        raise UsageError(
            f"{spec.full_name} needs {spec.video.crop} crops with {spec.audio.kind}, and processed "
            "folders hold mouth crops for logmel64",
            remedy="Train fcn-cls, the default backbone.",
        )


def _validate(
    network: nn.Module,
    spec: BackboneSpec,
    samples: list[Sample],
    assignments: dict[str, Assignment],
    moved: dict[str, float],
) -> dict[str, float]:
    """Multi-way accuracy on people who are not trained on, per source, and their mean as ``score``."""
    sources: dict[str, list[Sample]] = {}
    for sample in samples:
        sources.setdefault(sample.info.source, []).append(sample)
    metrics: dict[str, float] = {}
    for source, clips in sorted(sources.items()):
        step = -(-len(clips) // _VALIDATED_CLIPS)
        figures = multiway(
            network,
            clips[::step],
            size_px=spec.video.size_px,
            true_offset=lambda s: _constant(s, assignments, moved),
        )
        metrics |= {f"{source}_{name}": value for name, value in figures.items()}
    if sources:
        metrics["score"] = sum(metrics[f"{s}_head_5"] for s in sources) / len(sources)
    return metrics


def _of_split(
    samples: list[Sample], assignments: dict[str, Assignment], split: str
) -> list[Sample]:
    return [
        s for s in samples if s.info.key in assignments and assignments[s.info.key].split == split
    ]


def _split_of(processed: Path, pairs: Path | None) -> Path:
    beside = pairs and pairs.with_name(SPLIT_FILE)
    return beside if beside and beside.is_file() else processed / SPLIT_FILE


def _listed_offsets(
    path: Path | None, folder: Processed, assignments: dict[str, Assignment], max_offset: int
) -> dict[str, list[int]] | None:
    """Offsets that a pairs file lists for each sample; None without a file."""
    if path is None:
        return None
    listed: dict[str, list[int]] = {}
    rows = read_pairs(path, folder)
    for pair in rows:
        if pair.kind == "other":
            continue
        if abs(pair.offset) > max_offset:
            raise UsageError(
                f"{path} lists an offset of {pair.offset} frames, beyond --max-offset {max_offset}",
                remedy="Give a larger --max-offset, or make the pairs with a smaller one.",
            )
        listed.setdefault(pair.video_dir.rpartition("#")[2], []).append(pair.offset)
    strangers = [k for k in listed if k not in assignments or assignments[k].split != "train"]
    if strangers:
        raise UsageError(
            f"{path} lists {len(strangers)} clips that the split keeps out of training: "
            f"{', '.join(strangers[:_SHOWN])}",
            remedy="Give the pairs of train, and --split with the split.json made with them.",
        )
    others = sum(pair.kind == "other" for pair in rows)
    if others:
        _log.warning(
            "%d of %d pairs take no part: another speaker's sound has no offset", others, len(rows)
        )
    return listed


def _constants(path: Path | None) -> dict[str, float]:
    if path is None:
        return {}
    try:
        return {str(k): float(v) for k, v in json.loads(path.read_text("utf-8")).items()}
    except FileNotFoundError as error:
        raise MissingError(f"no such file: {path}", remedy="Check --constants.") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise SyncToolError(
            f"{path} holds no constants", remedy='Give a JSON object like {"GRID": 0.0}.'
        ) from error


def _constant(sample: Sample, assignments: dict[str, Assignment], moved: dict[str, float]) -> float:
    person = assignments[sample.info.key].person
    return moved.get(person, moved.get(sample.info.source, 0.0))


def _settle_config(
    output: Path,
    settings: TrainSettings,
    *,
    constants: dict[str, float],
    init: Path | None,
    source: str | None,
    pairs: Path | None,
) -> None:
    facts: dict[str, Any] = {**vars(settings), "constants": constants, "source": source}
    for name, file in (("init", init), ("pairs", pairs)):
        known = file is not None and file.is_file()
        facts[name] = hashlib.sha256(file.read_bytes()).hexdigest() if known else None
    path = output / CONFIG
    if (output / STATE).is_file() and path.is_file():
        old = json.loads(path.read_text("utf-8"))
        changed = sorted(k for k in facts if old.get(k) != facts[k])
        if changed:
            raise UsageError(
                f"{output} holds a run with another {', '.join(changed)}",
                remedy="Give the same settings to continue it, or another --out.",
            )
    write_text(path, json.dumps(facts, indent=1) + "\n")
