"""JSON: one object for one video, JSON Lines (one object per line) for several.

The keys are those of :meth:`synctool.types.DetectResult.to_dict`; they may grow, and ``schema``
changes when one changes its meaning. A video without a result is an object with ``schema``
``synctool.failure/1``, ``input``, ``error``, ``remedy`` and ``exit_code``. NaN, which is not JSON, is
written as ``null``. The encoding is UTF-8.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from synctool.names import printable_document
from synctool.report.stream import send


class Reported(Protocol):
    """Anything that gives plain data for JSON: a result or a failure."""

    def to_dict(self) -> dict[str, Any]:
        """Keys as in the documented schema."""
        ...


def to_json(outcome: Reported) -> str:
    """One object, one line per key: readable, and no line per frame. Ends with a line feed."""
    entries = [f"  {dump(k)}: {dump(v)}" for k, v in clean(outcome.to_dict()).items()]
    return "{\n" + ",\n".join(entries) + "\n}\n"


def to_json_line(outcome: Reported) -> str:
    """One object in one line, with a line feed."""
    return dump(clean(outcome.to_dict())) + "\n"


def write_json(
    outcomes: Sequence[Reported], target: str | os.PathLike[str], *, lines: bool | None = None
) -> None:
    """Write outcomes to a file, or for ``-`` to the standard output.

    Args:
        outcomes: One or more.
        target: Path of the file, or ``-``.
        lines: Whether to write JSON Lines; when None, for anything but exactly one outcome.

    Raises:
        OutputError: It cannot be written.
    """
    as_lines = len(outcomes) != 1 if lines is None else lines
    text = "".join(map(to_json_line if as_lines else to_json, outcomes))
    send(target, text.encode("utf-8"))


def dump(value: Any, *, indent: int | None = None) -> str:
    """JSON, readable where the text is valid Unicode; nothing in it steers a terminal.

    Args:
        value: Plain data, see ``clean``.
        indent: Spaces for each level; None for one line.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # a file name that is no valid Unicode
        text = json.dumps(value, allow_nan=False, indent=indent)
    return printable_document(text)


def clean(value: Any) -> Any:
    """The same data with None for whatever is not a finite number."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(item) for item in value]
    return value
