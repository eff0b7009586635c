"""What is told of a source while it is watched: as objects, and as JSON Lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Literal

from synctool.live.answers import Answer
from synctool.live.clock_drift import ClockDrift

LIVE_SCHEMA = "synctool.live/1"
EventKind = Literal[
    "start",
    "part",
    "answer",
    "alarm",
    "recovery",
    "change",
    "lost",
    "break",
    "overload",
    "failed",
    "end",
]
"""``start``: watching begins. ``part``: data come. ``answer``: every second of a part. ``alarm`` and
``recovery``: see ``--alarm``. ``change``: a stream goes on in another codec, or in one that is not known.
``lost``: no data, and when the source is opened again. ``break``: the timestamps jump. ``overload``: this
machine is too slow. ``failed``: the source is given up. ``end``: watching ends."""


@dataclass(frozen=True)
class Event:
    """Something that happens.

    Attributes:
        kind: What.
        source: Name of the source.
        time: When, in UTC.
        t_s: Seconds of the stream that were measured until then, over all its parts.
        part: Number of the part; None before the first.
        answer: Of ``answer``, ``alarm`` and ``recovery``: the answer.
        alarm: Whether there is an alarm.
        drift: Of ``answer``: the drift of the clocks, where it is known.
        delay_s: Of ``answer``: how far the newest decoded frame is ahead of its evidence.
        detail: In words; empty where there is nothing to add.
        more: Further keys, as JSON knows them.
    """

    kind: EventKind
    source: str
    t_s: float = 0.0
    part: int | None = None
    answer: Answer | None = None
    alarm: bool = False
    drift: ClockDrift | None = None
    delay_s: float | None = None
    detail: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)
    time: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; keys without a value in this kind of event are left out."""
        made: dict[str, Any] = {
            "schema": LIVE_SCHEMA,
            "event": self.kind,
            "source": self.source,
            "time": self.time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "t_s": round(self.t_s, 2),
        }
        if self.part is not None:
            made["part"] = self.part
        if self.answer is not None:
            made |= _of_answer(self.answer) | {"alarm": self.alarm}
        if self.kind == "answer":
            drift = self.drift
            made["drift_ms_per_hour"] = None if drift is None else round(drift.ms_per_hour, 1)
            made["drift_interval_ms_per_hour"] = (
                None if drift is None else [round(drift.low, 1), round(drift.high, 1)]
            )
            made["delay_s"] = None if self.delay_s is None else round(self.delay_s, 2)
        if self.detail:
            made["detail"] = self.detail
        return made | dict(self.more)


def _of_answer(answer: Answer) -> dict[str, Any]:
    offset = answer.offset_frames
    return {
        "offset_frames": None if offset is None else round(offset, 3),
        "offset_ms": answer.offset_ms,
        "audio_is": answer.audio_is,
        "confidence": round(answer.confidence, 4),
        "verdict": answer.verdict,
        "reason": answer.reason,
        "reason_code": answer.reason_code,
        "faces": answer.faces,
        "speaker": answer.speaker,
        "speech": answer.speech,
    }
