"""The settings of ``detect``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

from synctool.errors import UsageError
from synctool.settings import shared
from synctool.settings.fields import setting
from synctool.settings.shared import MODEL, VIDEO, VideoSettings
from synctool.types import DEFAULT_SET_COVERAGE, StreamSelection, Verdict

Channels = Literal["auto", "each", "mix", "W"]
"""How the channels of the audio are taken."""
VERDICTS: tuple[Verdict, ...] = ("detectable", "unacceptable")
"""Limits by name of ``fail_over``, the tighter one first."""


def check_limit(text: str) -> None:
    """See that a text is a limit: the name of a verdict, or milliseconds.

    Raises:
        ValueError: It is not.
    """
    if text in VERDICTS:
        return
    try:
        limit = float(text)
    except ValueError:
        limit = float("nan")
    if limit != limit:
        raise ValueError(f"{text!r} is neither {', nor '.join(VERDICTS)}, nor milliseconds")


@dataclass(frozen=True, kw_only=True)
class DetectSettings(VideoSettings):
    """What measures videos, and how: see ``synctool detect --help``."""

    section: ClassVar[str] = "detect"

    backbone: str = shared.backbone()
    weights: Path | None = shared.weights()
    trust: tuple[str, ...] = shared.trust()
    device: shared.Device = shared.device()
    runtime: str = shared.runtime()
    max_offset: int = shared.max_offset()
    fail_over: str | None = setting(
        None,
        "Exit with 4 if a video is out of tolerance: detectable, unacceptable, or milliseconds",
        metavar="LIMIT",
        check=check_limit,
    )
    ensemble: tuple[str, ...] = setting(
        (),
        "Measure with these models as well, each with its own weights, and add the scores",
        separator=",",
        metavar="NAMES",
        group=MODEL,
    )
    mc_dropout: int = setting(
        0,
        "Monte Carlo dropout: measure with so many passes of the network in PyTorch, 0 for none",
        minimum=0,
        maximum=100,
        group=MODEL,
    )
    set_coverage: float = setting(
        DEFAULT_SET_COVERAGE,
        "Share of people for whom the set of offsets shall hold the true one",
        minimum=0.5,
        maximum=0.99,
    )
    channels: Channels = setting(
        "auto",
        "Multi-channel audio: each (an offset per channel, and the mix), mix (aligned, weighed by "
        "coherence), W (ambisonic), or auto as --channel says",
        metavar="HOW",
        group=VIDEO,
    )
    detector: str = shared.detector()
    max_faces: int = shared.max_faces()
    player_mb: float = setting(
        8.0,
        "Maximum size of the players in the --html page, in MB, 0 for no players",
        minimum=0,
        group="Results",
    )
    jobs: int = shared.jobs(help="Videos of a batch at a time, 0 for one per core")

    def check(self) -> None:
        """Refuse one channel and several at once, and what an ensemble cannot do."""
        if self.mc_dropout == 1:
            raise UsageError(
                "--mc-dropout 1 has no spread", remedy="Give 2 or more, or 0 for none."
            )
        names = (*(() if self.weights else (self.backbone,)), *self.ensemble)
        if twice := [name for name in names if names.count(name) > 1]:
            raise UsageError(
                f"{twice[0]} is in the ensemble twice, which is the same as once",
                remedy="Name each model once, beside that of --backbone.",
            )
        if self.ensemble and self.mc_dropout:
            raise UsageError(
                "--ensemble and --mc-dropout contradict each other", remedy="Give one."
            )
        if (self.ensemble or self.mc_dropout) and self.channels in ("each", "mix"):
            raise UsageError(
                f"--channels {self.channels} measures with one model",
                remedy="Leave --ensemble and --mc-dropout out.",
            )
        if self.channels != "auto" and self.channel.strip().lower() != "auto":
            raise UsageError(
                f"--channels {self.channels} and --channel {self.channel} contradict each other",
                remedy="Give one.",
            )

    @property
    def streams(self) -> StreamSelection:
        """See ``VideoSettings.streams``."""
        chosen = super().streams
        if self.channels == "auto":
            return chosen
        return replace(chosen, channel="W" if self.channels == "W" else "mix")

    @property
    def limit(self) -> Verdict | float | None:
        """``fail_over`` as a verdict or in milliseconds, None for no limit."""
        if self.fail_over is None:
            return None
        for verdict in VERDICTS:
            if verdict == self.fail_over:
                return verdict
        return abs(float(self.fail_over))
