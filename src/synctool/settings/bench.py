"""The settings of ``bench``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from synctool.errors import UsageError, no_effect
from synctool.settings import shared
from synctool.settings.base import Settings
from synctool.settings.compare import Part
from synctool.settings.fields import did_you_mean, setting

BENCH_PARTS = (
    *("offsets", "short", "drift", "faces", "timing", "degraded", "foreign", "dataset"),
    "speed",
)
"""Parts of the bench, in their order."""
_COMMAND = "Outside command"
_DATASET = "Dataset"
_BACKBONE_ONLY = ("weights", "trust", "device", "runtime")
_COMMAND_ONLY = ("answer_key", "answer_unit", "answer_sign", "timeout")


def _check_parts(names: tuple[str, ...]) -> None:
    for name in names:
        if name not in BENCH_PARTS:
            near = did_you_mean(name, BENCH_PARTS)
            raise ValueError(f"no part {name!r}{near}; there are: {', '.join(BENCH_PARTS)}")


@dataclass(frozen=True, kw_only=True)
class BenchSettings(Settings):
    """What is tested, and by which parts of the bench: see ``synctool bench --help``."""

    section: ClassVar[str] = "bench"

    backbone: str = shared.backbone()
    weights: Path | None = shared.weights()
    trust: tuple[str, ...] = shared.trust()
    device: shared.Device = shared.device()
    runtime: str = shared.runtime()
    command: str | None = setting(
        None,
        "Command to test in place of a backbone; {video} stands for the path of a video",
        metavar="COMMAND",
        group=_COMMAND,
        flag_only=True,  # a settings file that comes with somebody's data must not let it run code
    )
    answer_key: str | None = setting(
        None,
        "Key of the answer in the JSON that the command prints, with dots between levels",
        metavar="KEY",
        unset="the last number printed",
        group=_COMMAND,
    )
    answer_unit: Literal["ms", "s", "frames"] = setting(
        "ms", "Unit of the answer; 25 frames a second", metavar="UNIT", group=_COMMAND
    )
    answer_sign: Literal["audio-ahead", "audio-behind"] = setting(
        "audio-ahead", "What an answer above 0 means", metavar="SIGN", group=_COMMAND
    )
    timeout: float = setting(
        300.0,
        "Longest time in seconds that the command may take for a video",
        minimum=0.1,
        group=_COMMAND,
    )
    quick: bool = setting(False, "Take a fixed sample of the bench, about a minute")
    only: tuple[str, ...] = setting(
        (),
        "Parts to run, separated by commas: " + ", ".join(BENCH_PARTS),
        separator=",",
        metavar="PARTS",
        unset="all",
        check=_check_parts,
    )
    dataset: str | None = setting(
        None,
        "Also test on this data set: processed folder, or folder of videos such as LRS3 or GRID",
        metavar="PATH",
        group=_DATASET,
    )
    part: Part = setting(
        "auto", "Part of --dataset", metavar="PART", group=_DATASET, needs=("dataset",)
    )
    constants: Path | None = shared.constants(group=_DATASET, needs=("dataset",))
    limit: int = shared.limit(group=_DATASET, needs=("dataset",))
    jobs: int = shared.jobs(help="Videos at a time, 0 for one per core")

    def check(self) -> None:
        """See ``Settings.check``."""
        if "dataset" in self.only and self.dataset is None:
            raise UsageError("--only dataset has no data set", remedy="Add --dataset PATH.")
        if self.only and "dataset" not in self.only and self.dataset is not None:
            raise no_effect("--dataset", f"with --only {','.join(self.only)}")

    def refuse_idle(self, given) -> None:
        """See ``Settings.refuse_idle``."""
        given = list(given)
        super().refuse_idle(given)
        own, why, add = (
            (_BACKBONE_ONLY, "with --command", "")
            if self.command is not None
            else (_COMMAND_ONLY, "without --command", "--command COMMAND")
        )
        if idle := [name for name in given if name in own]:
            raise no_effect(f"--{idle[0].replace('_', '-')}", why, add=add)
        if self.command is not None and "backbone" in given:
            raise UsageError(
                "--backbone and --command cannot be tested together", remedy="Give one of them."
            )
