"""What an export is asked for, and the checks that need no network and no film."""

from __future__ import annotations

import math
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from synctool.errors import UsageError
from synctool.plugins.specs import ExporterSpec, Precision

PARTS = ("video", "audio", "head")
ENCODERS = ("video", "audio")
ONE = "one"
ALONE = "model"
"""Name of the graph that ``one`` asks for."""

TOLERANCES: dict[Precision, float] = {
    "float32": 1e-3,
    "float16": 2e-2,
    "int8-static": 1.2,
    "int8-dynamic": 1.2,
}
"""Largest relative difference, see ``Difference``, unless another is asked for.

float32: another order of sums changes the last of seven digits, in a deep network the fifth or sixth; a
wrong layer, a wrong padding or another rounding of lengths is far beyond a thousandth. float16: a weight
keeps eleven bits, 5e-4 of itself, and a few dozen layers add to that. int8: a weight keeps seven bits, and
no bound follows for the worst of thousands of numbers; this one tells a broken graph (embeddings at right
angles, 1.4; scores several times their spread) from one that is only coarse, and the agreement of the
offsets decides."""

LEAST_AGREEMENT: dict[Precision, float] = {
    "float32": 0.99,
    "float16": 0.99,
    "int8-static": 0.95,
    "int8-dynamic": 0.95,
}
"""Least share of real windows of whose sound both must find the same offset. Of windows in which nobody
speaks all offsets score alike, so that not all agree for ever."""


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """What to export, and how it is checked.

    Attributes:
        out: Folder of the exported model.
        backbone: ``NAME[.TAG]`` or ``VIDEO[.TAG]+AUDIO[.TAG]``.
        weights: Weight file; None takes the backbone's own.
        format: Name of the format.
        parts: Graphs, of ``video``, ``audio`` and ``head``; or ``("one",)`` for all in one.
        precision: How numbers are kept.
        clips: A processed folder, or films: real windows to check and to find ranges with.
        windows: How many windows are compared.
        dataset: Labelled set for the accuracy before and after.
        constants: Constant offsets of its clips and of those of ``fine_tune``, JSON by sample, person or
            source.
        limit: Most clips of each of its sources; 0 for all.
        tolerance: Largest relative difference; None takes that of the precision.
        prune: Share of the channels that is taken out first, 0 for none.
        fine_tune: Processed folder to train the pruned network on.
        steps: How long.
        detector: Face detector for films.
        allow_external: Whether a playlist may name local files outside its folder.
        seed: Of all chance.
    """

    out: Path
    backbone: str = "fcn-cls"
    weights: Path | None = None
    format: str = "onnx"
    parts: tuple[str, ...] = PARTS
    precision: Precision = "float32"
    clips: tuple[str, ...] = ()
    windows: int = 100
    dataset: str | None = None
    constants: Path | None = None
    limit: int = 0
    tolerance: float | None = None
    prune: float = 0.0
    fine_tune: Path | None = None
    steps: int = 400
    detector: str = "centerface"
    allow_external: bool = False
    seed: int = 0

    @property
    def allowed(self) -> float:
        """Largest relative difference."""
        return TOLERANCES[self.precision] if self.tolerance is None else self.tolerance


def parse_parts(text: str) -> tuple[str, ...]:
    """``video,audio`` as the names in it, or ``one``.

    Raises:
        UsageError: There is another name in it, or one twice.
    """
    names = tuple(part.strip() for part in text.split(","))
    if names == (ONE,):
        return names
    for name in names:
        if name not in PARTS:
            near = get_close_matches(name, [*PARTS, ONE], n=1)
            said = f"Did you mean {near[0]}? " if near else ""
            raise UsageError(
                f"{name!r} is no part of a model",
                remedy=f"{said}Give {', '.join(PARTS)}, some of them, or {ONE} for one graph of all.",
            )
    if len(set(names)) < len(names):
        raise UsageError(f"--parts {text} has a part twice", remedy="Name each once.")
    return names


def check_settings(settings: ExportSettings, spec: ExporterSpec) -> None:
    """Find mistakes before anything is loaded.

    Raises:
        UsageError: Settings that make no sense, or that the format does not have.
    """
    if settings.precision not in spec.precisions:
        raise UsageError(
            f"{spec.name} cannot be written in {settings.precision}",
            remedy=f"It has {', '.join(spec.precisions)}.",
        )
    if settings.precision == "int8-static" and not settings.clips:
        raise UsageError(
            "int8-static finds the ranges of its numbers on real clips, and there are none",
            remedy="Add --clips PROCESSED (or films), or take --int8 dynamic.",
        )
    if settings.parts == (ONE,):
        _check_one(settings)
    if settings.windows < 1:
        raise UsageError(f"{settings.windows} windows", remedy="Compare at least one.")
    if settings.tolerance is not None and not 0 < settings.tolerance < math.inf:
        raise UsageError(
            f"the tolerance is {settings.tolerance}", remedy="Give a number above 0, such as 0.001."
        )
    if not 0 <= settings.prune < 1:
        raise UsageError(
            f"--prune {settings.prune:g} would leave nothing",
            remedy="Give the share to take out, such as 0.3.",
        )
    if settings.fine_tune is not None and not settings.prune:
        raise UsageError(
            "--fine-tune trains what was pruned, and nothing is",
            remedy="Add --prune 0.3, or use synctool train.",
        )
    if settings.fine_tune is not None and settings.steps < 1:
        raise UsageError(f"{settings.steps} steps", remedy="Train for at least one.")
    labelled = settings.dataset is not None or settings.fine_tune is not None
    if settings.constants is not None and not labelled:
        raise UsageError(
            "--constants belongs to --dataset and --fine-tune", remedy="Add --dataset FOLDER."
        )
    if settings.limit and settings.dataset is None:
        raise UsageError("--limit belongs to --dataset", remedy="Add --dataset FOLDER.")


def _check_one(settings: ExportSettings) -> None:
    if settings.precision.startswith("int8"):
        raise UsageError(
            "eight bits are for the encoders, and --parts one has them in one graph with the head",
            remedy="Leave --parts out, or take --half.",
        )
    if settings.dataset is not None:
        raise UsageError(
            "--dataset measures whole clips, which --parts one cannot be given: its graph is for windows",
            remedy="Leave one of them out.",
        )
