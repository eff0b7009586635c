"""What the offset of a clip is, told by the model itself: labels of a folder that nobody labelled.

The videos are taken to be in sync up to an offset that nobody knows: of each video, or of all videos of a
folder. Where the model is sure of a whole clip, its answer is the label.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from synctool.adapting.domain import DomainClip
from synctool.adapting.measured_segments import WHOLE, MeasuredSegments
from synctool.scoring.confidence import Calibration

SURE = 0.6
"""Least confidence of an answer that is learned from; a calibration may be wrong, so the halves of the clip
must agree as well."""
AGREEING_FRAMES = 1.0
"""Answers within this agree."""
_LEAST_OTHERS = 3


def references(
    measured: MeasuredSegments,
    clips: Sequence[DomainClip],
    calibration: Calibration,
    *,
    or_whole: bool = False,
) -> np.ndarray:
    """The offset that each segment should answer before its audio is moved, from other frames than its
    own: float ``[N]``, NaN where nothing tells it.

    That of the other clips that share its offset, where at least three of them are sure; else that of the
    other frames of its own clip.

    Args:
        measured: Segments of the clips.
        clips: The clips, in their order.
        calibration: Tells which answers are sure.
        or_whole: Whether the sure answer of the whole clip stands in for both: another model can be held to
            that, and no model to its own.
    """
    found = measured.rest.copy()
    whole = measured.length_s == WHOLE
    sure = sure_clips(measured, calibration)
    for foreign in (False, True):
        # Of another's audio no answer is sure: its chance is that of all answers.
        usable = np.flatnonzero(whole & (measured.foreign == foreign) & (sure | foreign))
        groups = np.array([clips[i].group for i in measured.clip[usable]])
        for i in np.flatnonzero(~whole & (measured.foreign == foreign)):
            own = measured.clip[i]
            same = usable[(groups == clips[own].group) & (measured.clip[usable] != own)]
            same = same[~np.isnan(measured.offset[same])]
            if len(same) >= _LEAST_OTHERS:
                found[i] = np.median(measured.offset[same])
    if or_whole:
        chosen = sure & ~measured.foreign
        known = dict(zip(measured.clip[chosen].tolist(), measured.offset[chosen].tolist()))
        own = np.array([known.get(i, np.nan) for i in measured.clip.tolist()])
        found = np.where(np.isnan(found) & ~whole & ~measured.foreign, own, found)
    return found


def sure_clips(measured: MeasuredSegments, calibration: Calibration) -> np.ndarray:
    """Whole clips that are answered surely, and alike by both of their halves: bool ``[N]``."""
    agree = np.isnan(measured.halves) | (measured.halves <= AGREEING_FRAMES)
    sure = measured.confidence(calibration) >= SURE
    return (measured.length_s == WHOLE) & sure & agree & ~measured.at_edge


def agreement(measured: MeasuredSegments, reference: np.ndarray) -> np.ndarray:
    """Whether each segment answers its reference and the move within a frame: 1, 0, or NaN where that is
    not known."""
    error = measured.offset - measured.moved - reference
    right = (np.abs(error) <= AGREEING_FRAMES).astype(float)  # no answer at all is not right
    return np.where(np.isnan(reference), np.nan, right)


def labels(
    measured: MeasuredSegments, clips: Sequence[DomainClip], calibration: Calibration
) -> dict[str, float]:
    """Offsets in frames by the key of the clip, of those that the model is sure of.

    Where clips share an offset, those that are within a frame of the median of three or more get the median.

    Args:
        measured: Segments of the clips.
        clips: The clips, in their order.
        calibration: Tells which answers are sure.
    """
    chosen = sure_clips(measured, calibration) & ~measured.foreign
    groups: dict[str, list[tuple[str, float]]] = {}
    for i in np.flatnonzero(chosen):
        clip = clips[measured.clip[i]]
        groups.setdefault(clip.group, []).append((clip.key, float(measured.offset[i])))
    found: dict[str, float] = {}
    for members in groups.values():
        middle = float(np.median([offset for _, offset in members]))
        for key, offset in members:
            near = abs(offset - middle) <= AGREEING_FRAMES
            found[key] = middle if near and len(members) >= _LEAST_OTHERS else offset
    return found
