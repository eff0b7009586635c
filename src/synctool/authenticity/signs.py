"""Moments worth a look: lips still in speech, moving in silence, repeating, or matching at another offset.

None of them is proof of anything: people chew, smile and stop before a word.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from scipy.ndimage import uniform_filter1d

from synctool.authenticity.evidence import (
    AGREEING_FRAMES,
    FaceSeries,
    repeated_looks,
    still_frames,
    window_offsets,
)
from synctool.features.voice_activity import SPEECH
from synctool.scoring.confidence import Calibration
from synctool.scoring.offset import estimate_offset
from synctool.types import VIDEO_FPS, AuthenticitySign

Kind = Literal["still", "silent", "again", "elsewhere"]
LEAST_S = 0.6
"""Shorter ones are not told."""
_SURE = 0.5
_QUIET = 0.15
_BRIDGED = 5


def find_signs(
    number: int, face: FaceSeries, calibration: Calibration
) -> Iterator[AuthenticitySign]:
    """The signs of one face."""
    estimate = estimate_offset(face.volume)
    if estimate is None:
        return
    offset = estimate.offset_frames
    spoken = face.spoken(offset, SPEECH)
    if spoken.any():
        yield from _spans("still", number, face, still_frames(face.mouth) & spoken)
        yield from _spans("silent", number, face, _moving(face, spoken) & _quiet(face, offset))
    yield from _spans("again", number, face, repeated_looks(face.mouth.looks) & spoken)
    offsets, confidence = window_offsets(face.volume, calibration)
    with np.errstate(invalid="ignore"):
        away = (np.abs(offsets - offset) > AGREEING_FRAMES) & (confidence >= _SURE)
    yield from _spans("elsewhere", number, face, away & spoken)


def _moving(face: FaceSeries, spoken: np.ndarray) -> np.ndarray:
    """Whether the lips move as much as they usually do in speech."""
    lips = uniform_filter1d(face.mouth.lips, 9)
    return lips >= float(np.median(lips[spoken]))


def _quiet(face: FaceSeries, offset: float) -> np.ndarray:
    """Whether nobody speaks for a third of a second round a frame."""
    at = face.at_audio(offset)
    inside = (at >= 0) & (at < len(face.speech))
    heard = np.where(inside, face.speech[np.clip(at, 0, len(face.speech) - 1)], 1.0)
    return uniform_filter1d(heard, 9) < _QUIET


def _spans(
    kind: Kind, number: int, face: FaceSeries, flags: np.ndarray
) -> Iterator[AuthenticitySign]:
    edges = np.flatnonzero(np.diff(flags.astype(np.int8), prepend=0, append=0))
    runs: list[list[int]] = []
    for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist()):
        if runs and start - runs[-1][1] <= _BRIDGED:
            runs[-1][1] = stop
        else:
            runs.append([start, stop])
    for start, stop in runs:
        if stop - start >= LEAST_S * VIDEO_FPS:
            yield AuthenticitySign(
                kind,
                number,
                (face.first_frame + start) / VIDEO_FPS,
                (face.first_frame + stop) / VIDEO_FPS,
            )
