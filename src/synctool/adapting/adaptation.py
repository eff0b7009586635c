"""What an adaptation found, stage by stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from synctool._version import __version__
from synctool.adapting.gains import Figure
from synctool.types import ADAPT_SCHEMA


@dataclass(frozen=True)
class StageResult:
    """One stage that was tried.

    Attributes:
        name: ``calibration``, ``normalization`` or ``training``.
        accepted: Whether the model has it now.
        reason: Why, in a sentence without a full stop.
        figures: Of both sets, against the model as it was; empty where the stage could not be tried.
        zero_frames: By how many frames the sure answers to whole clips have moved, by set.
    """

    name: str
    accepted: bool
    reason: str
    figures: Sequence[Figure] = ()
    zero_frames: Mapping[str, float] | None = None

    def figure(self, set_name: str, name: str, length_s: int = 0) -> Figure | None:
        """One of its figures."""
        wanted = (set_name, name, length_s)
        return next((f for f in self.figures if (f.set, f.name, f.length_s) == wanted), None)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "name": self.name,
            "accepted": self.accepted,
            "reason": self.reason,
            "zero_frames": self.zero_frames and dict(self.zero_frames),
            "figures": [figure.to_dict() for figure in self.figures],
        }


@dataclass(frozen=True)
class Adaptation:
    """The result of ``adapt``.

    Attributes:
        folder: The folder of videos.
        backbone: Full name of the model.
        weights: Name and checksum of the weights that were adapted.
        output: File or folder with the adapted model; None where nothing was accepted.
        refused: Why nothing was written; None where something was.
        clips: Clips by part.
        units: People by part, or videos where nobody says who speaks.
        seconds: Length of all clips.
        labelled: Share of the clips to learn from that the model is sure of, 0..1.
        belonging: By how much more often segments agree with the rest of their clip than with another's
            audio, and its 95 % interval.
        general: What guards: a folder, or ``rendered faces``.
        margin: Most that may be lost there.
        seed: Seed.
        stages: In the order in which they were tried.
        settings: The settings by name.
    """

    folder: str
    backbone: str
    weights: str
    output: str | None
    refused: str | None
    clips: Mapping[str, int]
    units: Mapping[str, int]
    seconds: float
    labelled: float
    belonging: tuple[float, float, float]
    general: str
    margin: float
    seed: int
    stages: Sequence[StageResult]
    settings: Mapping[str, Any]

    @property
    def accepted(self) -> list[StageResult]:
        """The stages that the model has now."""
        return [stage for stage in self.stages if stage.accepted]

    @property
    def shown(self) -> StageResult | None:
        """The stage whose figures are those of the result: the last one accepted, else the last one with
        figures."""
        tried = [stage for stage in self.stages if stage.figures]
        kept = [stage for stage in tried if stage.accepted]
        return next(reversed(kept or tried), None)

    def to_dict(self) -> dict[str, Any]:
        """Keys as in docs/adapt.md."""
        return {
            "schema": ADAPT_SCHEMA,
            "synctool": __version__,
            "input": self.folder,
            "backbone": self.backbone,
            "weights": self.weights,
            "output": self.output,
            "refused": self.refused,
            "clips": dict(self.clips),
            "units": dict(self.units),
            "seconds": round(self.seconds, 2),
            "labelled": round(self.labelled, 4),
            "belonging": [round(x, 4) for x in self.belonging],
            "general": self.general,
            "margin": self.margin,
            "seed": self.seed,
            "settings": dict(self.settings),
            "stages": [stage.to_dict() for stage in self.stages],
        }
