"""Arrays by name in a safetensors file that somebody else may have written, read without PyTorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from synctool.untrusted.origin import MalformedError, Origin
from synctool.untrusted.regular import check_regular


def read_arrays(
    path: Path, what: str, *, flag: str, remedy: str
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """All arrays of a file, and the facts in its header.

    Args:
        path: The file.
        what: What it should hold, for the error.
        flag: The option that named it.
        remedy: How such a file is made.

    Raises:
        MissingError: There is no such file, or it cannot be read.
        SyncToolError: It is damaged.
    """
    from safetensors import SafetensorError, safe_open

    origin = Origin(str(path), remedy, f"holds no {what}")
    with origin.reading("file", path, missing=f"Check {flag}."):
        check_regular(path)
        try:
            with safe_open(path, framework="numpy") as file:
                return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}
        except (
            SafetensorError,
            MemoryError,
            KeyError,
            TypeError,
            ValueError,
            OverflowError,
        ) as error:
            raise MalformedError(error) from error
