"""Occlusion (Zeiler & Fergus, "Visualizing and understanding convolutional networks", 2014), for any runtime.

A square of the crops is replaced by its mean look over the moment, so that it no longer moves; how much the
score falls is what the square carried. The same is done to every frame alone, and to the audio of every
frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from synctool.explaining.target import Target, still_crops

PATCHES = 12
"""Squares along a side, each two steps wide."""
_AUDIO_AROUND = 2
"""A moment of audio is five frames: less of it the networks hear through."""


def occlusion_map(
    target: Target, *, patches: int = PATCHES, on_step: Callable[[], None] | None = None
) -> np.ndarray:
    """How much the score falls where each place is still: float32 ``[S, S]``, in units of the scores.

    Args:
        target: What is explained.
        patches: Squares along a side.
        on_step: Called after each of them.
    """
    crops = target.moment.crops
    side = crops.shape[1]
    still, whole = still_crops(crops), target.score(target.volume)
    fallen, covered = np.zeros((side, side)), np.zeros((side, side))
    for rows, columns in _squares(side, patches):
        masked = crops.copy()
        masked[:, rows, columns] = still[:, rows, columns]
        fallen[rows, columns] += whole - target.score(target.volume_of(masked))
        covered[rows, columns] += 1
        if on_step is not None:
            on_step()
    return (fallen / np.maximum(covered, 1)).astype(np.float32)


def frame_importance(target: Target) -> np.ndarray:
    """How much the score falls where a frame and its neighbours do not move: float32 ``[T]``."""
    crops, whole = target.moment.crops, target.score(target.volume)
    still, found = still_crops(crops), []
    for t in range(len(crops)):
        masked = crops.copy()
        near = slice(max(t - 1, 0), t + 2)
        masked[near] = still[near]
        found.append(whole - target.score(target.volume_of(masked)))
    return np.array(found, np.float32)


def audio_importance(target: Target) -> np.ndarray:
    """How much the score falls where the audio of each frame is as the mean: float32 ``[T]``.

    Row t is the audio that belongs to frame t at the explained offset.
    """
    whole = target.score(target.volume)
    mean = target.audio.mean(-1, keepdims=True)
    found = []
    shift = target.row - target.max_offset
    for t in range(len(target.moment.crops)):
        at = target.lead + t - shift
        low = max(at - _AUDIO_AROUND, 0) * target.steps
        high = max(at + _AUDIO_AROUND + 1, 0) * target.steps
        masked = target.audio.copy()
        masked[..., low:high] = mean
        found.append(whole - target.score(target.volume_of_audio(masked)))
    return np.array(found, np.float32)


def _squares(side: int, patches: int) -> Iterator[tuple[slice, slice]]:
    edges = np.linspace(0, side, patches + 1).round().astype(int)
    for i in range(patches - 1):
        for j in range(patches - 1):
            yield slice(edges[i], edges[i + 2]), slice(edges[j], edges[j + 2])
