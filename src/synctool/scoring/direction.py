"""Whether voices come from where their faces are: directions of a stereo pair beside places in the image.

How a pair of microphones stands is not known, so only the order counts: a face further right should be heard
further right. Where faces are at several places, their order is compared whatever the pair is turned to;
where there is one place only, its side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from synctool.types import DirectionVerdict

LEAST_SPEECH_S = 2.0
"""Less speech of a visible face tells nothing."""
LEAST_AGREEMENT = 0.6
"""Correlation from which directions follow the faces, or their mirror image."""
MIDDLE = 0.12
"""Faces nearer to the middle of the image, whose edges are -1 and +1, have no side."""
APART = 0.15
"""Standard deviation of places from which there are several of them."""
CLEAR_SIDE = 0.25
"""Sides nearer to 0, in -1..1, are the middle: 1.5 dB, or 0.06 ms."""
_FAR_SIDE = 0.6


@dataclass(frozen=True)
class Moment:
    """Up to a second of one face's speech.

    Attributes:
        place: Where the face is, from -1, the left edge of the image, to +1.
        side: Where the voice is heard, from -1 to +1.
        speech_s: How much speech that is.
    """

    place: float
    side: float
    speech_s: float


@dataclass(frozen=True)
class Compared:
    """What the moments say together.

    Attributes:
        verdict: See ``DirectionVerdict``.
        agreement: Correlation of sides and places, -1..1; None where there is none.
        reason: A sentence without a full stop.
    """

    verdict: DirectionVerdict
    agreement: float | None
    reason: str


def compare_directions(moments: Sequence[Moment]) -> Compared:
    """Compare where voices are heard with where their faces are."""
    weights = np.array([m.speech_s for m in moments])
    if weights.sum() < LEAST_SPEECH_S:
        return Compared("cannot tell", None, "too little speech of a visible face")
    weights = weights / weights.sum()
    places, sides = (np.array([getattr(m, name) for m in moments]) for name in ("place", "side"))
    if _deviation(places, weights) >= APART:
        return _by_order(places, sides, weights)
    return _by_side(places, sides, weights)


def _by_order(places: np.ndarray, sides: np.ndarray, weights: np.ndarray) -> Compared:
    """Several places: which is further right."""
    if _deviation(sides, weights) < CLEAR_SIDE:
        if abs(weights @ sides) < _FAR_SIDE:
            return Compared("cannot tell", None, "all voices are heard in the middle, or all over")
        return Compared("not consistent", 0.0, "voices of faces at several places come from one")
    x, y = places - weights @ places, sides - weights @ sides
    agreement = _cosine(x, y, weights)
    if agreement >= LEAST_AGREEMENT:
        return Compared("consistent", agreement, "voices are heard in the order of their faces")
    if agreement <= -LEAST_AGREEMENT:
        return Compared("mirrored", agreement, "voices are heard in the reverse order of the faces")
    return Compared("not consistent", agreement, "voices are heard elsewhere than their faces are")


def _by_side(places: np.ndarray, sides: np.ndarray, weights: np.ndarray) -> Compared:
    """One place: on which side of the middle."""
    place, side = weights @ places, weights @ sides
    level = float(np.sqrt(weights @ sides**2))
    if abs(place) < MIDDLE:
        if abs(side) >= _FAR_SIDE:
            return Compared(
                "not consistent", None, "the face is in the middle, the voice at the side"
            )
        return Compared("cannot tell", None, "the face is in the middle of the image")
    if level < CLEAR_SIDE:
        return Compared("cannot tell", None, "the voice is heard in the middle, or all over")
    agreement = _cosine(places, sides, weights)
    if agreement >= LEAST_AGREEMENT:
        return Compared("consistent", agreement, "the voice is heard on the side of its face")
    if agreement <= -LEAST_AGREEMENT:
        return Compared("mirrored", agreement, "the voice is heard on the other side of its face")
    return Compared("not consistent", agreement, "the voice is heard now here, now there")


def _deviation(values: np.ndarray, weights: np.ndarray) -> float:
    return float(np.sqrt(weights @ (values - weights @ values) ** 2))


def _cosine(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> float:
    size = np.sqrt((weights @ x**2) * (weights @ y**2))
    return float(weights @ (x * y) / size) if size > 0 else 0.0
