"""Checks of an export that need no model and no video, and what passes."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from synctool.errors import UsageError
from synctool.plugins.specs import ExporterSpec
from synctool.settings.export import PARTS, ExportSettings
from synctool.types import Precision

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
"""Least share of real windows of whose audio both must find the same offset. Of windows in which nobody
speaks all offsets score alike, so that not all agree for ever."""


def allowed_difference(settings: ExportSettings) -> float:
    """Largest relative difference."""
    return TOLERANCES[settings.precision] if settings.tolerance is None else settings.tolerance


def check_parts(names: Sequence[str]) -> None:
    """Check the names of graphs.

    Raises:
        UsageError: There is another name among them, or one twice.
    """
    if tuple(names) == (ONE,):
        return
    for name in names:
        if name not in PARTS:
            near = get_close_matches(name, [*PARTS, ONE], n=1)
            said = f"Did you mean {near[0]}? " if near else ""
            raise UsageError(
                f"{name!r} is no part of a model",
                remedy=f"{said}Give {', '.join(PARTS)}, some of them, or {ONE} for one graph of all.",
            )
    if len(set(names)) < len(names):
        raise UsageError(f"--parts {','.join(names)} has a part twice", remedy="Name each once.")


def check_settings(settings: ExportSettings, spec: ExporterSpec) -> None:
    """Find mistakes before anything is loaded.

    Raises:
        UsageError: Settings that make no sense, or that the format does not have.
    """
    check_parts(settings.parts)
    if settings.precision not in spec.precisions:
        raise UsageError(
            f"{spec.name} cannot be written in {settings.precision}",
            remedy=f"It has {', '.join(spec.precisions)}.",
        )
    if settings.precision == "int8-static" and not settings.clips:
        raise UsageError(
            "int8-static finds the ranges of its numbers on real clips, and there are none",
            remedy="Add --clips PROCESSED (or videos), or take --int8 dynamic.",
        )
    if settings.parts == (ONE,):
        _check_one(settings)
    if settings.fine_tune is not None and not settings.prune:
        raise UsageError(
            "--fine-tune trains what was pruned, and nothing is",
            remedy="Add --prune 0.3, or use synctool train.",
        )


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
