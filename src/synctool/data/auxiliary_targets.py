"""Values of every frame that another program measured, to be learned beside the offset."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from synctool.errors import SyncToolError
from synctool.untrusted.arrays import read_arrays


def read_targets(path: Path) -> dict[str, np.ndarray]:
    """The values of samples, by their keys.

    Args:
        path: safetensors file with a tensor ``[T, N]`` for each sample; NaN is not known.

    Returns:
        float32 arrays, all with the same N.

    Raises:
        MissingError: There is no such file.
        SyncToolError: It is damaged, or its tensors have other shapes.
    """
    remedy = "Make it with tools/mouth_shapes.py, or see docs/losses.md for what it holds."
    read, _ = read_arrays(path, "targets", flag="--targets", remedy=remedy)
    widths = {x.shape[1] if x.ndim == 2 and x.dtype.kind == "f" else 0 for x in read.values()}
    if len(widths) != 1 or 0 in widths:
        raise SyncToolError(
            f"{path} holds no targets: each tensor must be [frames, values] of floating-point "
            "numbers, as many values in all",
            remedy=remedy,
        )
    targets = {key: x.astype(np.float32) for key, x in read.items()}
    for key, x in targets.items():
        if np.isinf(x).any():
            raise SyncToolError(
                f"{path} holds no targets: {key[:80]} has infinite values", remedy=remedy
            )
    return targets
