"""The report of an export, and the list of formats, as JSON."""

from __future__ import annotations

import json
import os
from typing import Any

from synctool.report.json_out import clean
from synctool.report.stream import send


def write_json(data: Any, target: str | os.PathLike[str]) -> None:
    """Write plain data as indented JSON to a file, or for ``-`` to the standard output.

    Raises:
        OutputError: It cannot be written.
    """
    text = json.dumps(clean(data), indent=2, allow_nan=False) + "\n"
    send(target, text.encode("utf-8"))
