"""What the doctor finds: one line each, with a remedy where something is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from synctool._version import __version__
from synctool.errors import SyncToolError, described

SCHEMA = "synctool.doctor/1"
Status = Literal["ok", "note", "warning", "problem"]
"""``note`` is something that is not here and need not be; only a ``problem`` keeps from measuring."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        section: Heading that it belongs under.
        name: What was looked at.
        status: How it is.
        value: What was found.
        remedy: What to do about it, empty where nothing needs doing.
    """

    section: str
    name: str
    status: Status
    value: str
    remedy: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """All findings, in the order of their sections."""

    findings: Sequence[Finding]

    @property
    def healthy(self) -> bool:
        """Whether nothing keeps from measuring."""
        return not any(finding.status == "problem" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "schema": SCHEMA,
            "synctool": __version__,
            "healthy": self.healthy,
            "findings": [asdict(finding) for finding in self.findings],
        }


def guarded(
    section: str, look: Callable[[], Iterable[Finding]], *, remedy: str = ""
) -> Iterator[Finding]:
    """The findings of one section; a look that fails is a problem, and the others go on.

    Args:
        section: Heading.
        look: Gives the findings.
        remedy: What to do when it fails, where the error does not tell.
    """
    try:
        yield from look()
    except SyncToolError as error:
        yield Finding(section, "check", "problem", error.cause, error.remedy or remedy)
    except Exception as error:  # whatever an installation can be broken by
        yield Finding(section, "check", "problem", described(error), remedy)
