"""``plugins check``: the contract of all networks, run over some of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from synctool.types import BackboneSpec


@dataclass(frozen=True)
class CheckOutcome:
    """What one check says of one network.

    Attributes:
        backbone: Its full name.
        check: Name of the check.
        passed: Whether the network keeps to it.
        reason: One sentence on what is wrong, None if nothing is.
    """

    backbone: str
    check: str
    passed: bool
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def run_checks(
    specs: Iterable[BackboneSpec], checks: Iterable[Callable[[BackboneSpec], None]]
) -> Iterator[CheckOutcome]:
    """Run every check over every network.

    Args:
        specs: The networks.
        checks: Each raises ``AssertionError`` with a sentence; whatever else is raised while it runs
            is the network's fault, too.

    Yields:
        The outcomes, one by one, network after network.
    """
    checks = tuple(checks)
    for spec in specs:
        for check in checks:
            name = check.__name__.removeprefix("check_").replace("_", " ")
            reason = None
            try:
                check(spec)
            except AssertionError as error:
                reason = _line(str(error)) or "AssertionError"
            except (Exception, SystemExit) as error:  # a plugin may fail in any way
                reason = _line(f"{type(error).__name__}: {error}")
            yield CheckOutcome(spec.full_name, name, reason is None, reason)


def _line(text: str) -> str:
    return " ".join(text.split())
