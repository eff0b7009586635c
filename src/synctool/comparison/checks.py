"""Checks of a comparison that need no model and no video."""

from __future__ import annotations

from collections.abc import Sequence

from synctool.comparison.choices import parse_by
from synctool.comparison.conditions import piece_conditions, shift_conditions
from synctool.comparison.degradations import changes_audio_only, parse_degradations
from synctool.comparison.entries import Entry
from synctool.errors import UsageError
from synctool.settings.compare import CompareSettings

_SOME_FRAMES = 25


def check_settings(settings: CompareSettings, entries: Sequence[Entry]) -> None:
    """Find mistakes before anything is loaded.

    Raises:
        UsageError: Nothing to compare, or settings that make no sense.
    """
    if not entries:
        raise UsageError("nothing to compare", remedy="Give videos, or a --dataset.")
    if not settings.backbones:
        raise UsageError("no models to compare", remedy="Name them: --backbones syncnet,fcn-cls")
    parse_by(",".join(settings.by))
    if settings.shift:
        shift_conditions(settings.shift, settings.seed, max_offset=settings.max_offset)
    if settings.pieces:
        piece_conditions(_SOME_FRAMES, settings.pieces, max_offset=settings.max_offset)
    made_worse = parse_degradations(settings.perturb) if settings.perturb else []
    coded = [name for name, _ in made_worse if not changes_audio_only(name)]
    if coded and any(entry.clip is not None for entry in entries):
        raise UsageError(
            f"clips of a processed folder cannot be degraded by {coded[0]}",
            remedy="Give videos, or only such as change nothing but the audio, like noise.",
        )
