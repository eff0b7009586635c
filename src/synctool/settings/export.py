"""The settings of ``export``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from synctool.settings import shared
from synctool.settings.base import Settings
from synctool.settings.fields import setting
from synctool.types import Precision

PARTS = ("video", "audio", "head")
_CHECK = "Check"
_PRUNING = "Pruning"


def _above_zero(value: float) -> None:
    if value <= 0:
        raise ValueError(f"{value:g} is not above 0")


def _share(value: float) -> None:
    if not 0 <= value < 1:
        raise ValueError(f"{value:g} would leave nothing; give the share to take out, such as 0.3")


@dataclass(frozen=True, kw_only=True)
class ExportSettings(Settings):
    """What is exported, and how it is checked: see ``synctool export --help``."""

    section: ClassVar[str] = "export"

    out: Path | None = setting(None, "Folder of the exported model", short="-o", metavar="FOLDER")
    backbone: str = shared.backbone(help="Model to export, as listed by synctool backbones")
    weights: Path | None = shared.weights(
        help="Weight file in place of the published weights", metavar="FILE"
    )
    format: str = setting("onnx", "Format, as listed by --list-formats", short="-f")
    parts: tuple[str, ...] = setting(
        PARTS, "Graphs to write, or one for a single graph", separator=",", metavar="NAMES"
    )
    precision: Precision = setting("float32", "Precision of the weights", metavar="PRECISION")
    clips: tuple[str, ...] = setting(
        (),
        "Processed folder, or videos, to compare on; may be given again",
        metavar="PATH",
        group=_CHECK,
    )
    windows: int = setting(100, "Windows that are compared with PyTorch", minimum=1, group=_CHECK)
    tolerance: float | None = setting(
        None,
        "Largest relative difference",
        unset="by precision",
        check=_above_zero,
        group=_CHECK,
    )
    dataset: str | None = setting(
        None, "Accuracy before and after on this, as in compare", metavar="PATH", group=_CHECK
    )
    constants: Path | None = shared.constants(group=_CHECK, needs=("dataset", "fine_tune"))
    limit: int = shared.limit(group=_CHECK, needs=("dataset",))
    prune: float = setting(
        0.0, "Prune this share of the channels first, such as 0.3", check=_share, group=_PRUNING
    )
    fine_tune: Path | None = setting(
        None,
        "Train the pruned model on this processed folder",
        metavar="FOLDER",
        group=_PRUNING,
        needs=("prune",),
    )
    steps: int = setting(400, "Steps of --fine-tune", minimum=1, group=_PRUNING, needs=("prune",))
    detector: str = shared.detector(group=_CHECK, needs=("clips", "dataset"))
    allow_external: bool = shared.allow_external(group=_CHECK, needs=("clips", "dataset"))
    seed: int = shared.seed()
