"""What was answered of an item, and what is stored of it in journal and card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from synctool.bench.items import TOLERANCE_MS
from synctool.plain_data import from_plain

ROW_SCHEMA = "synctool.bench-answer/1"
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Reply:
    """What a subject says of one video.

    Attributes:
        offset_ms: Its answer, audio ahead positive; None where it gives none.
        confidence: Its own, 0..1; None where it says none.
        drift_ms_per_min: Likewise.
        windows: Of each length of windows in frames, how many are right and how many there are.
        error: Why it failed; None where it did not.
        reason: Why it gives no answer, where it says so.
    """

    offset_ms: float | None = None
    confidence: float | None = None
    drift_ms_per_min: float | None = None
    windows: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    error: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Answer:
    """An item with what was answered: one row of the card.

    Attributes:
        id: Of the item.
        part: Of the bench.
        group: Within the part.
        person: Who is seen.
        truth_ms: The true offset; None where no offset is right.
        drift_truth_ms_per_min: The true drift; None where it is not asked for.
        duration_s: Length of the video.
        offset_ms: See ``Reply``.
        confidence: See ``Reply``.
        drift_ms_per_min: See ``Reply``.
        windows: See ``Reply``.
        error: See ``Reply``.
        seconds: Wall time that the answer took.
        decode_s: Wall time of decoding the video; None where it was not measured.
        usable: Whether it counts; not so where the video of a data set cannot be read.
        reason: See ``Reply``.
    """

    id: str
    part: str
    group: str
    person: str
    truth_ms: float | None
    drift_truth_ms_per_min: float | None
    duration_s: float
    offset_ms: float | None = None
    confidence: float | None = None
    drift_ms_per_min: float | None = None
    windows: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    error: str | None = None
    seconds: float = 0.0
    decode_s: float | None = None
    usable: bool = True
    reason: str | None = None

    @classmethod
    def of(cls, item: Any, reply: Reply, seconds: float, decode_s: float | None = None) -> Answer:
        """The row of an item."""
        return cls(
            id=item.id,
            part=item.part,
            group=item.group,
            person=item.person,
            truth_ms=item.truth_ms,
            drift_truth_ms_per_min=item.drift_ms_per_min,
            duration_s=item.duration_s,
            offset_ms=reply.offset_ms,
            confidence=reply.confidence,
            drift_ms_per_min=reply.drift_ms_per_min,
            windows=dict(reply.windows),
            error=reply.error,
            seconds=seconds,
            decode_s=decode_s,
            reason=reply.reason,
        )

    @property
    def failed(self) -> bool:
        """Whether there was an error in place of an answer."""
        return self.error is not None

    @property
    def answered(self) -> bool:
        """Whether an offset was given."""
        return not self.failed and self.offset_ms is not None

    @property
    def error_ms(self) -> float | None:
        """Answer minus truth; None where one of them is missing."""
        if not self.answered or self.truth_ms is None or self.offset_ms is None:
            return None
        return self.offset_ms - self.truth_ms

    @property
    def right(self) -> bool:
        """Whether an offset within a frame of the truth was given; of no truth, whether none was."""
        if self.failed:
            return False
        if self.truth_ms is None:
            return not self.answered
        error_ms = self.error_ms
        return error_ms is not None and abs(error_ms) <= TOLERANCE_MS + _ROUNDING

    def to_dict(self) -> dict[str, Any]:
        """Plain data for the journal and the card."""
        windows = {str(length): list(counts) for length, counts in self.windows.items()}
        return {"schema": ROW_SCHEMA, **asdict(self), "windows": windows}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Answer:
        """A row from what ``to_dict`` gave, also after a way through JSON.

        Raises:
            ValueError: Another schema, or something is missing.
        """
        return from_plain(cls, data, schema=ROW_SCHEMA)
