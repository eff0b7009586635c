"""Trials in the order of a report: by video and by model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from synctool.evaluation.metric_specs import Metric
from synctool.evaluation.model_names import model_names
from synctool.report.text import printable, shortened
from synctool.types import Trial

AGREED_FRAMES = 1.0
"""Offsets as near as this agree, or are right."""
_ROUNDING = 1e-9
_LONGEST = 32
"""Characters of a model's name."""

Model = tuple[str, str]
"""Backbone and weights."""


def model_of(trial: Trial) -> Model:
    """The backbone and its weights."""
    return trial.backbone, trial.weights


def names_of(trials: Iterable[Trial]) -> dict[Model, str]:
    """A name for each model, in the order in which they come."""
    return model_names(dict.fromkeys(map(model_of, trials)))


def brief_names(names: Iterable[str], most: int) -> dict[str, str]:
    """Names of models for people: printable, without checksums, of at most ``most`` characters.

    Where two models would then look alike, their places in the order tell them apart: ``best #2``.

    Returns:
        Brief name by name, in order.
    """
    full = list(dict.fromkeys(names))
    for cut in (_without_checksum, str):
        brief = [shortened(printable(cut(name)), most) for name in full]
        if len(set(brief)) == len(full):
            return dict(zip(full, brief, strict=True))
    marks = [f" #{number}" for number in range(1, len(full) + 1)]
    return {
        name: shortened(printable(_without_checksum(name)), most - len(mark)) + mark
        for name, mark in zip(full, marks, strict=True)
    }


def _without_checksum(name: str) -> str:
    return re.sub(r" sha256:[0-9a-f]+(?=\)$)", "", name)


@dataclass(frozen=True)
class Models:
    """The models of a comparison, by backbone and weights: their names as charts and pages show them."""

    names: Mapping[Model, str]

    @classmethod
    def of(cls, trials: Sequence[Trial]) -> Models:
        """The models in the order in which they come."""
        names = names_of(trials)
        brief = brief_names(names.values(), _LONGEST)
        return cls({model: brief[name] for model, name in names.items()})

    def named(self, metrics: Iterable[Metric]) -> list[Metric]:
        """Metrics with the names of the models as they are shown."""
        brief = self.brief()
        return [replace(m, backbone=brief.get(m.backbone, m.backbone)) for m in metrics]

    def brief(self) -> dict[str, str]:
        """The names that are shown, by the full ones."""
        return dict(zip(model_names(self.names).values(), self.names.values(), strict=True))

    @property
    def numbers(self) -> dict[str, int]:
        """The number of each model, which chooses its colour, by the name that is shown."""
        return {name: number for number, name in enumerate(self.names.values())}

    def name(self, trial: Trial) -> str:
        """The model of a trial."""
        return self.names[model_of(trial)]


def plain_trials(trials: Iterable[Trial]) -> dict[str, list[Trial]]:
    """The videos as they are, by name, in order."""
    videos: dict[str, list[Trial]] = {}
    for trial in trials:
        if trial.condition.kind == "plain":
            videos.setdefault(trial.film, []).append(trial)
    return videos


def agrees_with_others(trial: Trial, others: Iterable[Trial]) -> float | None:
    """Share of frames on which a model agrees with the others, 0..1.

    Each 25 Hz frame counts once for every other model that has an offset there too; it agrees where
    these are within a frame of each other. Whether they are right is another question: two models
    may share a mistake.

    Args:
        trial: A video through one model.
        others: The same video through others; the model itself is passed over.

    Returns:
        None where nothing can be compared.
    """
    agreed = [
        is_within(x - y, AGREED_FRAMES)
        for other in others
        if model_of(other) != model_of(trial)
        for x, y in zip(trial.frames.offset_frames, other.frames.offset_frames, strict=False)
        if x is not None and y is not None
    ]
    return sum(agreed) / len(agreed) if agreed else None


def is_right(trial: Trial) -> bool:
    """Whether there is a best match, and within a frame of the truth."""
    error = trial.error_frames
    return trial.error is None and error is not None and is_within(error, AGREED_FRAMES)


def is_within(difference_frames: float, frames: float) -> bool:
    """Whether a difference is at most so many frames, but for rounding."""
    return abs(difference_frames) <= frames + _ROUNDING
