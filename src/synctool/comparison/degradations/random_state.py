"""Chance of its own for every degradation, the same wherever and whenever it is asked for."""

from __future__ import annotations

import zlib

import numpy as np


def chance(seed: int, name: str, level: int) -> np.random.Generator:
    """Chance for one degradation at one level.

    Args:
        seed: Any number.
        name: Of the degradation.
        level: 1 to 5.
    """
    return np.random.default_rng([seed % 2**64, zlib.crc32(name.encode()), level])
