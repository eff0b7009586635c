"""What the bench is made of: items, each a video with a known truth, as plain data that has a checksum."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

from synctool.comparison.degradations.table import degradation
from synctool.synthetic.scene import Scene
from synctool.synthetic.video import Timing

VERSION = "SyncBench 1"
"""Changes whenever an item, its rendering, or what counts as right does."""
TOLERANCE_MS = 40.0
"""An answer is right within a frame of the truth (Chung & Zisserman, Out of time, ACCV workshops 2016)."""
MAX_OFFSET = 25
"""Offsets that a backbone searches, in frames on either side: room for 15 beyond every truth."""

PARTS: Mapping[str, str] = MappingProxyType(
    {
        "offsets": "constant offsets of both signs, whole and fractional frames; videos of 6 s",
        "short": "videos of 2, 3 and 6 s",
        "drift": "offsets that grow or shrink with time; the truth is that at the middle of the video",
        "faces": "two faces that speak in turns",
        "timing": "other frame rates, a variable one, streams that begin late",
        "degraded": "degraded copies: noise, reverb, coding, low light, resolution and more",
        "foreign": "the voice of another person, or silence: no offset is right",
        "dataset": "videos or clips of a data set, their audio moved by a known number of frames",
        "speed": "how long a video takes, beside decoding it in the same run",
    }
)
"""Parts of the bench and what each holds."""


@dataclass(frozen=True)
class Item:
    """One video of which an answer is asked.

    Attributes:
        id: Name, unique in the bench.
        part: One of ``PARTS``.
        group: What it is within its part, such as ``noise`` or ``2 s``; "" for nothing.
        scene: What is seen and heard.
        timing: When the streams show and play what.
        suffix: Of the file.
        truth_ms: The true offset, audio ahead positive; None where no offset is right.
        drift_ms_per_min: True drift; None where it is not asked for.
        degradation: Name and level of the degradation; None for none.
        voice: The scene whose audio it has in place of its own; None for its own.
        silent: Whether its audio is silence.
    """

    id: str
    part: str
    group: str
    scene: Scene
    timing: Timing = field(default_factory=Timing)
    suffix: str = ".mp4"
    truth_ms: float | None = None
    drift_ms_per_min: float | None = None
    degradation: tuple[str, int] | None = None
    voice: Scene | None = None
    silent: bool = False

    @property
    def person(self) -> str:
        """Who is in it, for the bootstrap."""
        return f"face {self.scene.seed}"

    @property
    def duration_s(self) -> float:
        """Its length."""
        return self.scene.duration_s

    @property
    def base(self) -> tuple[Any, ...]:
        """What items share that are made from one rendering."""
        return self.part, self.scene, self.timing, self.suffix, _kind(self.degradation)

    def plain(self) -> dict[str, Any]:
        """All that makes it, as JSON knows it; a degradation with its value."""
        data = asdict(self)
        if self.degradation is not None:
            row = degradation(self.degradation[0])
            data["degradation_value"] = [row.value(self.degradation[1]), row.unit]
        return data


def _kind(chosen: tuple[str, int] | None) -> str:
    return "" if chosen is None else degradation(chosen[0]).kind


def checksum(items: Iterable[Any]) -> str:
    """SHA-256 over the version and the specification of items, not over pixels: ``sha256:...``.

    Args:
        items: What has ``plain``.
    """
    told = {"bench": VERSION, "tolerance_ms": TOLERANCE_MS, "items": [i.plain() for i in items]}
    text = json.dumps(told, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode('ascii')).hexdigest()}"


def batches(items: Sequence[Item]) -> list[tuple[Item, ...]]:
    """Items in batches that are rendered once, in the order of their first."""
    found: dict[Any, list[Item]] = {}
    for item in items:
        found.setdefault(item.base, []).append(item)
    return [tuple(own) for own in found.values()]
