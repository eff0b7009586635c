"""What became of one film: a result or a failure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from synctool.errors import SyncToolError
from synctool.scoring.verdict import LEAST_CONFIDENCE
from synctool.types import FRAME_MS, DetectResult

FAILURE_SCHEMA = "synctool.failure/1"


@dataclass(frozen=True)
class Failure:
    """A film of which there is no result.

    Attributes:
        input: Name of the film, as the user gave it.
        cause: What went wrong.
        remedy: What can be done about it, if anything.
        exit_code: What the command ends with on its account.
    """

    input: str
    cause: str
    remedy: str | None
    exit_code: int

    @classmethod
    def of(cls, film: str, error: SyncToolError) -> Failure:
        """The failure that an error is for one film."""
        return cls(film, error.cause, error.remedy, error.exit_code)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "schema": FAILURE_SCHEMA,
            "input": self.input,
            "error": self.cause,
            "remedy": self.remedy,
            "exit_code": self.exit_code,
        }


Outcome = DetectResult | Failure


def worst_ms(result: DetectResult) -> int:
    """Largest offset, either way, of a film and of those of its segments that count for its verdict.

    Args:
        result: Not an inconclusive one.
    """
    sure = [s.offset_frames for s in result.segments if s.confidence >= LEAST_CONFIDENCE]
    return max(round(abs(frames) * FRAME_MS) for frames in (result.offset_frames, *sure))
