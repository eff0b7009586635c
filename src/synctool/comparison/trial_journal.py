"""The journal of ``compare``: its rows are trials."""

from __future__ import annotations

from synctool.journal import RowKind
from synctool.types import Trial

TRIALS: RowKind[Trial] = RowKind(
    schema="synctool.compare-journal/1",
    command="synctool compare",
    counted="trials",
    to_dict=Trial.to_dict,
    from_dict=Trial.from_dict,
    shape=Trial,
)
