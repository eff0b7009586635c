"""Speech units of every frame, as a file: written by ``synctool units``, learned by ``train --units``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from synctool.errors import SyncToolError
from synctool.tensor_files import write_tensors
from synctool.untrusted.arrays import read_arrays

_COUNT = "units"
_CENTRES = "_"
"""Names of the centres begin with this; keys of clips are file names and do not."""
_REMEDY = "Make it with: synctool units PROCESSED --out FILE"
UNKNOWN = -1


def write_units(
    path: Path,
    labels: Mapping[str, np.ndarray],
    *,
    count: int,
    facts: Mapping[str, str],
    centres: Mapping[str, np.ndarray],
) -> None:
    """Write the units of clips.

    Args:
        path: safetensors file.
        labels: By key of the clip int16 ``[T]``.
        count: K.
        facts: What they were made with, for the header.
        centres: What a further clip would be named by.

    Raises:
        OutputError: It cannot be written.
    """
    from safetensors.numpy import save

    tensors = {f"{_CENTRES}{name}": np.asarray(x, np.float32) for name, x in centres.items()}
    write_tensors(path, save({**tensors, **labels}, {**facts, _COUNT: str(count)}))


def read_units(path: Path) -> tuple[dict[str, np.ndarray], int]:
    """The units of clips by their keys, int64 ``[T]`` each, and how many units there are.

    Raises:
        MissingError: There is no such file.
        SyncToolError: It is damaged, or holds something else.
    """
    read, facts = read_arrays(path, "speech units", flag="--units", remedy=_REMEDY)
    try:
        count = int(facts[_COUNT])
    except (KeyError, ValueError) as error:
        raise SyncToolError(
            f"{path} holds no speech units: its header names no number of them", remedy=_REMEDY
        ) from error
    labels = {key: x for key, x in read.items() if not key.startswith(_CENTRES)}
    for key, x in labels.items():
        if x.ndim != 1 or x.dtype.kind != "i" or (x.size and not 0 <= x.min() <= x.max() < count):
            raise SyncToolError(
                f"{path} holds no speech units: {key[:80]} is no list of numbers from 0 to {count - 1}",
                remedy=_REMEDY,
            )
    return {key: x.astype(np.int64) for key, x in labels.items()}, count
