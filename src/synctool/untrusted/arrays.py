"""Arrays by name in a safetensors file that somebody else may have written, read without PyTorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from synctool.errors import MissingError, SyncToolError
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
        MissingError: There is no such file.
        SyncToolError: It is damaged, or cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    try:
        check_regular(path)
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}
    except FileNotFoundError as error:
        raise MissingError(f"no such file: {path}", remedy=f"Check {flag}.") from error
    except (
        SafetensorError,
        OSError,
        MemoryError,
        KeyError,
        TypeError,
        ValueError,
        OverflowError,
    ) as error:
        raise SyncToolError(f"{path} holds no {what}: {error}", remedy=remedy) from error
