"""The settings of ``units``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from synctool.errors import no_effect
from synctool.settings import shared
from synctool.settings.base import Settings
from synctool.settings.fields import setting

MFCC = "mfcc"


@dataclass(frozen=True, kw_only=True)
class UnitsSettings(Settings):
    """How speech units are found: see ``synctool units --help``."""

    section: ClassVar[str] = "units"

    units: int = setting(100, "Number of units", minimum=2, maximum=10_000, short="-n")
    features: str = setting(
        MFCC,
        "What is clustered: mfcc, or the embeddings of an audio encoder or a model",
        metavar="NAME",
    )
    weights: Path | None = setting(
        None, "Weight file of that model, in place of the published weights", metavar="FILE"
    )
    frames: int = setting(
        100_000, "Frames of 40 ms that the centres are found from, drawn by clips", minimum=1
    )
    iterations: int = setting(30, "Maximum number of iterations of k-means", minimum=1)
    seed: int = shared.seed()

    def refuse_idle(self, given: Iterable[str]) -> None:
        """See ``Settings.refuse_idle``."""
        given = list(given)
        super().refuse_idle(given)
        if "weights" in given and self.features == MFCC:
            raise no_effect("--weights", "on --features mfcc")
