"""Everything of a training run that is settled before its first step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from synctool._version import __version__
from synctool.data.augment import AugmentSettings, parse_augment
from synctool.data.augmentation.backgrounds import Backgrounds
from synctool.data.auxiliary_targets import read_targets
from synctool.data.unit_targets import UNKNOWN, read_units
from synctool.data.windows import WindowSettings, WindowStream
from synctool.errors import UsageError
from synctool.extras import require
from synctool.features.stored_crops import fitted
from synctool.models.offset_classifier import OffsetClassifier
from synctool.models.offset_regressor import OffsetRegressor
from synctool.networks.build import SIDES, build, load_pretrained
from synctool.networks.load import load_model
from synctool.networks.load_torch import choose_device, training_facts
from synctool.networks.names import model_spec
from synctool.networks.options import network_options
from synctool.plugins.specs import AudioInput, ModelSpec, VideoInput
from synctool.settings.train import TrainSettings, randaugment_policy
from synctool.training import replicas
from synctool.training.checkpoint import save_weights
from synctool.training.config import begun_with, check_config, mixture
from synctool.training.data import TrainData, train_data
from synctool.training.devices import choose_precision
from synctool.training.logs import check_loggers, loggers
from synctool.training.loop import LoopSettings, Schedule
from synctool.training.losses.loss_inputs import head_margin
from synctool.training.losses.objective import LossTerm, build_objective
from synctool.training.regression_objective import RegressionObjective, fit_line
from synctool.training.tasks.task_table import TASKS
from synctool.training.unfreezing import LayerGroups, Unfreezing
from synctool.training.validation import Validation
from synctool.weights.files import fit, load_weights

_RAMP_SHARE = 0.5
_MARGIN = 5
"""Frames of audio beyond the searched range, for networks without a head that asks for some."""
_LINE_BATCHES = 32
"""Batches that the line of a regressor is fitted on."""


@dataclass(frozen=True)
class TrainPlan:
    """What would be trained.

    Attributes:
        backbone: Its full name.
        parameters: How many it has.
        trained: How many of them are trained in the first epoch.
        pretrained: Published weights in its encoders, by side.
        video_input: What it is given to see.
        device: Kind of device.
        precision: Numbers that it computes with.
        losses: Their weights by name; empty for a task with a loss of its own.
        teacher: The network that is learned from as well, its size and its weights; empty without one.
        steps: Of the whole run.
        windows: Clips drawn in all of them.
        train: Clips, people and hours of each source.
        val: The same of those validated with.
        continues: Whether a run in the folder would go on.
    """

    backbone: str
    parameters: int
    trained: int
    pretrained: dict[str, str]
    video_input: VideoInput
    device: str
    precision: str
    losses: dict[str, float]
    teacher: str
    steps: int
    windows: int
    train: dict[str, dict[str, float]]
    val: dict[str, dict[str, float]]
    continues: bool


class TrainRun:
    """Everything of a run that is settled before the first step; building it finds what is wrong."""

    def __init__(self, settings: TrainSettings) -> None:
        self.settings = settings
        self.processed = _given("data", settings.data)
        self.output = _given("out", settings.out)
        self.loggers = loggers(settings.logger, tensorboard=settings.tensorboard)
        check_loggers(self.loggers)
        self.device = choose_device(settings.device)
        self.precision = choose_precision(settings.precision, self.device)
        torch.manual_seed(settings.seed)
        plain, self.model = _built(settings)
        self._check_freezing(plain)
        self.pretrained: dict[str, str] = {}
        if settings.init is not None:
            fit(self.model, load_weights(settings.init), backbone=plain.full_name)
        elif settings.pretrained != "no":
            begun, wanted = begun_with(self.output), settings.pretrained == "yes"
            self.pretrained = (
                load_pretrained(plain, self.model, required=wanted) if begun is None else begun
            )
        self._begun = settings.init is not None
        self.data = self._found_data()
        seen = fitted(self.data.train[0].info, plain.video, any_crop=plain.any_crop)
        self.spec = replace(plain, video=seen)
        teacher, self.teacher = (
            (None, "") if settings.teacher is None else _teacher(settings.teacher, self.spec)
        )
        self.targets = {} if settings.targets is None else read_targets(settings.targets)
        self.units, self.unit_count = (
            ({}, 0) if settings.units is None else read_units(settings.units)
        )
        folder = settings.backgrounds
        self.backgrounds = None if folder is None else Backgrounds(folder)
        self.terms = self._terms(teacher)
        self.objective = _objective(settings, self.spec, self.model, self.terms, teacher)
        self.continues = check_config(self.output, settings, split=self.data.split)
        self.validation = Validation(
            spec=self.spec,
            samples=self.data.val,
            true_offset=self.data.constant,
            person=self.data.person,
            tolerance=self.data.tolerance,
            backgrounds=self.backgrounds,
        )
        self.stream()

    def _check_freezing(self, spec: ModelSpec) -> None:
        """Options that freeze or thaw encoders need a network that has them."""
        s = self.settings
        if (s.freeze != "none" or s.unfreeze_epoch > 1) and not hasattr(
            self.model, "video_encoder"
        ):
            raise UsageError(
                f"{spec.full_name} has no encoders that could be frozen",
                remedy="Leave --freeze and --unfreeze-epoch out.",
            )

    def _terms(self, teacher: nn.Module | None) -> tuple[LossTerm, ...]:
        """The mixture of losses; none for a task with a loss of its own."""
        s = self.settings
        if s.task != "sync" or isinstance(self.model, OffsetRegressor):
            return mixture(s) if s.losses is not None else ()  # refused later, in its own words
        width = next(iter(self.targets.values())).shape[1] if self.targets else 0
        size = self.spec.embedding_size
        return mixture(
            s, teacher=teacher is not None, values=width, units=self.unit_count, embedding=size
        )

    @property
    def validates(self) -> bool:
        """Whether the task brings video and audio together, which is what the validation looks at."""
        return self.settings.task not in TASKS or TASKS[self.settings.task].compares

    @property
    def facts(self) -> dict[str, Any]:
        """What the header of the weights says."""
        facts = training_facts(self.spec, model_spec(self.spec.full_name))
        if self.pretrained:
            facts["pretrained"] = self.pretrained
        return {**facts, "synctool": __version__, "seed": self.settings.seed}

    def fit_line(self, path: Path) -> None:
        """Put the calibration of a regressor behind its last layer, in stored weights.

        Args:
            path: The weights.
        """
        assert isinstance(self.model, OffsetRegressor)
        loaded = load_weights(path)
        fit(self.model, loaded, backbone=self.spec.full_name)
        stream = self.stream()
        fit_line(self.model.eval(), (stream.batch(i) for i in range(_LINE_BATCHES)))
        save_weights(path, self.model.state_dict(), loaded.metadata)

    @property
    def schedule(self) -> Schedule:
        """Length and rates."""
        s = self.settings
        return Schedule(
            epochs=s.epochs,
            steps_per_epoch=s.steps_per_epoch,
            learning_rate=s.learning_rate,
            weight_decay=s.weight_decay,
            clip_norm=s.clip_norm,
            shape=s.schedule,
            warmup=s.warmup,
        )

    @property
    def loop(self) -> LoopSettings:
        """How it goes."""
        s = self.settings
        return LoopSettings(
            ema=s.ema,
            accumulate=s.accumulate,
            early_stopping=s.early_stopping,
            plateau_epochs=s.plateau_epochs,
            save_every=s.save_every,
            save_minutes=s.save_minutes,
            log_every=s.log_every,
            loggers=self.loggers,
            unfreezing=self.unfreezing,
        )

    @property
    def unfreezing(self) -> Unfreezing:
        """Which encoders stay as they are, and when the others are thawed."""
        s = self.settings
        sides = SIDES if s.freeze == "both" else () if s.freeze == "none" else (s.freeze,)
        return Unfreezing(
            s.unfreeze_epoch,
            s.unfreeze_every,
            s.layer_decay,
            frozen=tuple(f"{side}_encoder" for side in sides),
            top=s.train_top,
        )

    def window_settings(self) -> WindowSettings:
        """How windows are drawn."""
        s = self.settings
        batches = s.steps_per_epoch * s.accumulate
        return WindowSettings(
            frames=s.window_frames,
            batch=s.batch_size,
            max_offset=s.max_offset,
            margin=head_margin(self.model) or _MARGIN,
            video=self.spec.video,
            audio=self.spec.audio,
            strength=s.augment,
            ramp_steps=0 if self._begun else int(_RAMP_SHARE * s.epochs * batches),
            augment=self._augment(),
            views=TASKS[s.task].views if s.task in TASKS else 1,
            curriculum_steps=s.curriculum * batches,
            rhythm_pairs=s.rhythm_pairs,
            resolution_steps=s.progressive_resolution * batches,
        )

    def stream(self) -> WindowStream:
        """The batches; in each process its share of every batch."""
        s = self.settings
        return WindowStream(
            self.data.train,
            self.window_settings(),
            constants=[self.data.constant(x) for x in self.data.train],
            people=[self.data.person(x) for x in self.data.train],
            seed=s.seed,
            offsets=self.data.offsets,
            shard=(replicas.rank(), replicas.world_size()),
            targets=self._targets(),
            backgrounds=self.backgrounds,
            units=self._units(),
        )

    def _units(self) -> list[np.ndarray | None] | None:
        """Speech units of every clip trained on, None for a clip without.

        They are of the audio as it is stored: where that is a constant off the frames, they are moved.
        """
        if not self.units:
            return None
        found: list[np.ndarray | None] = []
        for sample in self.data.train:
            labels, late = self.units.get(sample.info.key), -round(self.data.constant(sample))
            if labels is not None and late:
                at = np.arange(len(labels)) + late
                inside = (at >= 0) & (at < len(labels))
                labels = np.where(inside, labels[at.clip(0, len(labels) - 1)], UNKNOWN)
            found.append(labels)
        if all(labels is None for labels in found):
            raise UsageError(
                "the speech units are of other clips than those trained on",
                remedy="Make them from the same processed folder: synctool units.",
            )
        return found

    def _augment(self) -> AugmentSettings:
        """What is done to the windows."""
        s = self.settings
        augment = parse_augment(s.augmentations or {})
        if s.randaugment is not None:
            augment = augment.with_randaugment(*randaugment_policy(s.randaugment))
        if augment.dose("randaugment").probability > 0:
            require("train", "RandAugment", "torchvision")
        return augment

    def _targets(self) -> list[np.ndarray | None] | None:
        """Auxiliary targets of every clip trained on, None for a clip without."""
        if not self.targets:
            return None
        found = [self.targets.get(x.info.key) for x in self.data.train]
        if all(x is None for x in found):
            raise UsageError(
                "the targets are of other clips than those trained on",
                remedy="Make them from the same processed folder.",
            )
        return found

    def plan(self) -> TrainPlan:
        """What would be trained."""
        s = self.settings
        steps = self.schedule.steps
        LayerGroups(self.model, self.unfreezing).at(1)
        local = getattr(self.model, "local_scale", None) is not None
        return TrainPlan(
            backbone=self.spec.full_name,
            parameters=sum(p.numel() for p in self.model.parameters()),
            trained=sum(p.numel() for p in self.model.parameters() if p.requires_grad),
            pretrained=self.pretrained,
            video_input=self.spec.video,
            device=self.device.type,
            precision=self.precision,
            losses={
                term.part: term.weight for term in self.terms if local or not term.where_available
            },
            teacher=self.teacher,
            steps=steps,
            windows=steps * s.accumulate * s.batch_size,
            train=self.data.summary(self.data.train),
            val=self.data.summary(self.data.val),
            continues=self.continues,
        )

    def _found_data(self) -> TrainData:
        s = self.settings
        data = train_data(
            self.processed,
            split=s.split,
            constants=s.constants,
            source=s.source,
            pairs=s.pairs,
            max_offset=s.max_offset,
            cache_mb=s.cache_mb / (s.workers + 1),
        )
        needing = [
            name
            for name, wanted in (
                ("--early-stopping", s.early_stopping > 0),
                ("--schedule plateau", s.schedule == "plateau"),
            )
            if wanted
        ]
        if needing and not self.validates:
            raise UsageError(
                f"{needing[0]} looks at the validation score, which says nothing of the task {s.task}",
                remedy="Leave it out.",
            )
        if needing and not data.val:
            raise UsageError(
                f"{needing[0]} looks at the validation score, and the split keeps nobody for it",
                remedy="Leave it out, or make the split anew with --val-fraction.",
            )
        return data


def _given(name: str, place: Path | None) -> Path:
    if place is None:
        raise UsageError(f"--{name} is missing", remedy="'synctool train --help' says more.")
    return place


def _built(settings: TrainSettings) -> tuple[ModelSpec, nn.Module]:
    """The network, with random weights."""
    spec = model_spec(settings.backbone)
    options = network_options(settings.options or ())
    if "max_offset" in spec.options:
        options.setdefault("max_offset", settings.max_offset)
    if settings.use_attention != "auto":
        if "use_attention" not in spec.options:
            raise UsageError(
                f"{settings.backbone} has no choice about attention",
                remedy="Leave --use-attention and --no-use-attention out.",
            )
        options["use_attention"] = settings.use_attention == "yes"
    return build(settings.backbone, **options)


def _objective(
    settings: TrainSettings,
    spec: ModelSpec,
    model: nn.Module,
    terms: tuple[LossTerm, ...],
    teacher: nn.Module | None,
) -> nn.Module:
    """What the network is trained towards."""
    if isinstance(model, OffsetRegressor) and settings.task == "sync":
        if teacher is not None or len(terms) > 1 or any(term.options for term in terms):
            raise UsageError(
                f"{spec.full_name} is trained with one loss and no teacher",
                remedy="Give --loss l1 or --loss mse without options, or nothing for l1.",
            )
        return RegressionObjective(
            max_offset=settings.max_offset, loss=terms[0].name if terms else "l1"
        )
    return build_objective(
        settings.task,
        terms=terms,
        max_offset=settings.max_offset,
        teacher=teacher,
        embedding=spec.embedding_size,
        model=model,
    )


def _teacher(path: Path, student: ModelSpec) -> tuple[nn.Module, str]:
    """A trained network that sees what the student sees, and what it is."""
    name = load_weights(path).metadata.get("backbone", student.full_name)
    loaded = load_model(name, weights=path, device="cpu", runtime="torch")
    if not isinstance(loaded.network, OffsetClassifier):
        raise UsageError(
            f"{name} cannot be a teacher: it gives no logits over offsets",
            remedy="Give weights of fcn-cls or another network that can be trained.",
        )
    inputs = [(spec.video, spec.audio) for spec in (loaded.spec, student)]
    if inputs[0] != inputs[1]:
        theirs, own = (_in_words(*pair) for pair in inputs)
        raise UsageError(
            f"the teacher {name} takes other frames or audio than {student.full_name}: "
            f"{theirs}, not {own}",
            remedy="Give weights of a network with the same crops and audio features.",
        )
    millions = sum(p.numel() for p in loaded.network.parameters()) / 1e6
    return loaded.network, f"{name}, {millions:.2f} million parameters, {loaded.weights}"


def _in_words(video: VideoInput, audio: AudioInput) -> str:
    """What a network takes."""
    video_input = f"{video.colour} {video.crop} crops of {video.size_px} px"
    low, high = video.value_range
    norm = f" in {low:g}..{high:g}"
    if any(video.mean) or any(x != 1 for x in video.std):
        norm += ", normalised"
    return f"{video_input}{norm} and {audio.kind}"
