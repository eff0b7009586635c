"""What a comparison can be asked for by name: perturbations, and groups of metrics."""

from __future__ import annotations

from synctool.comparison.degradations import DEGRADATIONS, Degradation
from synctool.errors import UsageError


def degradations() -> list[Degradation]:
    """All that can be done to a video, in the order of their table."""
    return list(DEGRADATIONS.values())


def groupings() -> tuple[str, ...]:
    """What metrics can be broken down by."""
    from synctool.evaluation.metrics import GROUPINGS

    return GROUPINGS


def parse_by(text: str) -> list[str]:
    """Groups of metrics from their names with commas between, each once.

    Raises:
        UsageError: There is no such group.
    """
    asked = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    known = groupings()
    for name in asked:
        if name not in known:
            raise UsageError(
                f"metrics cannot be broken down by {name!r}",
                remedy=f"There are: {', '.join(known)}.",
            )
    return asked
