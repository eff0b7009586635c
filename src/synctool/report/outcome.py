"""What became of one video: a result or a failure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from synctool.errors import SyncToolError
from synctool.names import printable
from synctool.types import DetectResult

FAILURE_SCHEMA = "synctool.failure/1"


def beside_name(said: str, video: str) -> str:
    """What is said of a video, for a place beside its name: without the name at the beginning."""
    rest = said.removeprefix(printable(video))
    return rest.lstrip(": ") if rest != said and rest[:1] in (":", " ") else said


@dataclass(frozen=True)
class Failure:
    """A video of which there is no result.

    Attributes:
        input: Name of the video, as the user gave it.
        cause: What went wrong.
        remedy: What can be done about it, if anything.
        exit_code: What the command ends with on its account.
    """

    input: str
    cause: str
    remedy: str | None
    exit_code: int

    @classmethod
    def of(cls, video: str, error: SyncToolError) -> Failure:
        """The failure that an error is for one video."""
        return cls(video, error.cause, error.remedy, error.exit_code)

    @property
    def said(self) -> str:
        """The cause, and the remedy if there is one."""
        return f"{self.cause}. {self.remedy}" if self.remedy else self.cause

    @property
    def remark(self) -> str:
        """What is said of the failure beside the name of its video, which is not repeated."""
        return beside_name(self.said, self.input)

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
