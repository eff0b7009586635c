"""The settings of ``pairs``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

from synctool.errors import UsageError
from synctool.settings import shared
from synctool.settings.base import Settings
from synctool.settings.fields import setting

RANDOM = "random"
_WHOLE = re.compile(r"\s*[+-]?[0-9]{1,6}\s*")


@dataclass(frozen=True, kw_only=True)
class PairsSettings(Settings):
    """How clips are split, and which pairs are made of them: see ``synctool pairs --help``."""

    section: ClassVar[str] = "pairs"

    max_offset: int = shared.max_offset(
        help="Largest offset of a shifted pair, in frames of 40 ms", minimum=1
    )
    val_fraction: float = setting(
        0.1, "Share of the clips for validation, by speaker", minimum=0, maximum=0.9
    )
    test_fraction: float = setting(
        0.1, "Share of the clips for the test, by speaker", minimum=0, maximum=0.9
    )
    offsets: str = setting(
        RANDOM,
        "Offsets of the shifted pairs in frames: random, or fixed ones such as -5,5,10",
        joined=True,
        metavar="FRAMES",
    )
    negatives_per_clip: int = setting(
        2, "Shifted pairs per clip", minimum=0, needs=(f"offsets={RANDOM}",)
    )
    hard_negatives: int = setting(
        0, "Additional pairs per clip, shifted by 1 or 2 frames", minimum=0, maximum=4
    )
    other_speaker: int = setting(
        0, "Additional pairs per clip, with another speaker's audio", minimum=0, maximum=1000
    )
    unnamed: Literal["auto", "face", "video"] = setting(
        "auto",
        "How unnamed speakers are told apart; auto by face while there are few",
        metavar="HOW",
        read=lambda text: "video" if text == "film" else text,  # its earlier name
    )
    seed: int = shared.seed()

    @cached_property
    def fixed_offsets(self) -> tuple[int, ...] | None:
        """The offsets of all shifted pairs, rising; None where they are random."""
        if self.offsets == RANDOM:
            return None
        return tuple(sorted({int(part) for part in self.offsets.split(",")}))

    def check(self) -> None:
        """See ``Settings.check``."""
        if self.val_fraction + self.test_fraction >= 1:
            raise UsageError(
                "val_fraction and test_fraction together leave nothing to train on",
                remedy="Give fractions whose sum is below 1.",
            )
        if self.offsets == RANDOM:
            return
        if wrong := [part for part in self.offsets.split(",") if not _WHOLE.fullmatch(part)]:
            raise UsageError(
                f"--offsets: {wrong[0]!r} is no whole number",
                remedy="Give frames with commas between them, as in --offsets -5,5,10, or random.",
            )
        fixed = self.fixed_offsets or ()
        if 0 in fixed:
            raise UsageError(
                "--offsets: 0 shifts nothing",
                remedy="Leave it out: every clip gets a pair in sync beside the shifted ones.",
            )
        if beyond := [n for n in fixed if abs(n) > self.max_offset]:
            raise UsageError(
                f"--offsets: {beyond[0]} is beyond --max-offset {self.max_offset}",
                remedy="Give a larger --max-offset, or smaller offsets.",
            )
