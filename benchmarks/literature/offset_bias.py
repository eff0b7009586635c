"""The constant delay of people's recordings, so that a clip's true offset is known to better than a frame.

Corpora, studios and channels differ by about a frame (microphone distance, encoder delay). A person's
constant is where the mean score over the person's clips peaks. To judge a clip by it, the clip itself
must have no say: each clip gets the constant of the person's *other* clips.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from synctool.scoring.offset import parabola_vertex

FARTHEST_FRAMES = 3.0
"""A constant is looked for no further away: what is further is an error of the network."""
FARTHEST_FROM_SOURCE_FRAMES = 2.0
"""Nor is a person's further from the source's."""
PRIOR_CLIPS = 8
"""A person's own clips weigh against so many of the source's mean."""
CLIP_SPREAD_FRAMES = 1.0
"""How far clips of many videos lie from their person's constant: standard deviation."""
EVIDENCE = 0.35
"""Neighbouring frames say nearly the same: so much of a frame counts as evidence of its own."""


def constants_of_others(
    curves: np.ndarray, people: Sequence[str], sources: Sequence[str]
) -> np.ndarray:
    """The constant of each clip by all other clips.

    Args:
        curves: Summed log-probabilities of each clip by offset, ``[clips, 2K+1]``.
        people: Person of each clip.
        sources: Collection of each clip.

    Returns:
        Frames, audio ahead positive, ``[clips]``; a person with few clips is drawn towards the mean
        of the source, and a source of one clip gets 0.
    """
    constants = np.zeros(len(curves))
    for i in range(len(curves)):
        others = [j for j in range(len(curves)) if j != i and sources[j] == sources[i]]
        if not others:
            continue
        middle = _peak(curves[others].sum(0), -FARTHEST_FRAMES, FARTHEST_FRAMES)
        own = [j for j in others if people[j] == people[i]]
        if own:
            low = max(middle - FARTHEST_FROM_SOURCE_FRAMES, -FARTHEST_FRAMES)
            high = min(middle + FARTHEST_FROM_SOURCE_FRAMES, FARTHEST_FRAMES)
            peak = _peak(curves[own].sum(0), low, high)
            constants[i] = (len(own) * peak + PRIOR_CLIPS * middle) / (len(own) + PRIOR_CLIPS)
        else:
            constants[i] = middle
    return constants


def clip_constant(curve: np.ndarray, expected: float) -> float:
    """The most likely offset of one clip, where clips have offsets of their own.

    Args:
        curve: Summed log-probabilities of the clip by offset, ``[2K+1]``.
        expected: The constant of its person, about a frame from which its clips are taken to lie.
    """
    offsets = np.arange(len(curve)) - len(curve) // 2
    likely = EVIDENCE * curve - ((offsets - expected) / CLIP_SPREAD_FRAMES) ** 2 / 2
    return _peak(likely, offsets[0], offsets[-1])


def _peak(curve: np.ndarray, low: float, high: float) -> float:
    """Sub-frame offset of the highest point between two offsets."""
    offsets = np.arange(len(curve)) - len(curve) // 2
    row = int(np.where((offsets >= low) & (offsets <= high), curve, -np.inf).argmax())
    vertex = 0.0
    if 0 < row < len(curve) - 1:
        vertex = float(parabola_vertex(*curve[row - 1 : row + 2]))
    return float(np.clip(offsets[row] + vertex, low, high))
