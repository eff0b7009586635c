"""How far an export is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class ExportEvent:
    """How far an export is.

    Attributes:
        step: What is being done.
        done: How much of it.
        total: Of how much; 0 where that is not known.
    """

    step: str
    done: int = 0
    total: int = 0


Tell = Callable[[ExportEvent], None]
