"""The settings of ``compare``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from synctool.errors import no_effect
from synctool.settings import shared
from synctool.settings.fields import setting
from synctool.settings.shared import VideoSettings
from synctool.settings.times import seconds_of

_CONDITIONS = "Conditions"
_DATASET = "Dataset"
Part = Literal["auto", "val", "test", "all"]
"""Part of a dataset; ``auto`` is the test part where there is one."""


@dataclass(frozen=True, kw_only=True)
class CompareSettings(VideoSettings):
    """Which models are compared under which conditions: see ``synctool compare --help``."""

    section: ClassVar[str] = "compare"

    backbones: tuple[str, ...] = setting(
        (shared.DEFAULT_BACKBONE,),
        "Models, separated by commas, as listed by synctool backbones; NAME=FILE for your own weights, "
        "NAME=FOLDER for an exported model",
        short="-b",
        separator=",",
        metavar="NAMES",
        group=shared.MODEL,
    )
    trust: tuple[str, ...] = shared.trust(needs=())
    device: shared.Device = shared.device()
    runtime: str = shared.runtime()
    shift: str | None = setting(
        None,
        "Also shift the audio ahead, by frames such as -10,-5,5,10, or random:N for N shifts",
        joined=True,
        metavar="FRAMES",
        group=_CONDITIONS,
    )
    pieces: float = setting(
        0.0,
        "Length in seconds of the segments of the self-consistency test, 0 for no test",
        minimum=0,
        read=seconds_of,
        group=_CONDITIONS,
    )
    perturb: str | None = setting(
        None,
        "Also measure degraded copies: all, names, noise:1-3; list shows what there is",
        joined=True,
        metavar="NAMES",
        group=_CONDITIONS,
    )
    by: tuple[str, ...] = setting(
        (),
        "Also give metrics by person, source, language, tone, voicing, condition, perturbation",
        separator=",",
        metavar="NAMES",
        group=_CONDITIONS,
    )
    part: Part = setting("auto", "Part of --dataset", metavar="PART", group=_DATASET)
    split: Path | None = shared.split(group=_DATASET)
    constants: Path | None = shared.constants(group=_DATASET)
    languages: Path | None = setting(
        None,
        "Languages by sample, speaker or source, as a JSON object, where --dataset does not say",
        metavar="FILE",
        group=_DATASET,
    )
    limit: int = shared.limit(group=_DATASET)
    max_offset: int = shared.max_offset()
    seed: int = shared.seed()
    jobs: int = shared.jobs(help="Videos at a time, 0 for one per core")
    detector: str = shared.detector()
    max_faces: int = shared.max_faces()

    def refuse_idle(self, given: Iterable[str]) -> None:
        """See ``Settings.refuse_idle``."""
        given = list(given)
        super().refuse_idle(given)
        drawn = self.pieces or self.perturb or (self.shift or "").startswith("random")
        if "seed" in given and not drawn:
            raise no_effect(
                "--seed",
                "without --pieces, --perturb or --shift random:N, which draw at random",
                add="--shift random:N",
            )
        if "trust" in given and not any("=" in name for name in self.backbones):
            raise no_effect("--trust", "without an exported model, --backbones NAME=FOLDER")
