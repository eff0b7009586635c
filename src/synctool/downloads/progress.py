"""How the modules that work for a long time tell how far they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """What is being done at the moment.

    Attributes:
        doing: ``fetching``, ``importing``, ``checking``, ``unpacking`` or ``waiting``.
        path: The file that it is done to.
        bytes_done: How far it is.
        bytes_total: How far it goes, None if nobody knows.
        note: What is waited for, None if nothing is.
    """

    doing: str
    path: str
    bytes_done: int
    bytes_total: int | None = None
    note: str | None = None


Report = Callable[[Step], None]
"""Called again and again; what it raises ends the work."""
