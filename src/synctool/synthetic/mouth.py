"""What lips and jaw do for what is said.

Every sound pulls the mouth towards its own shape, the more the nearer it is in time (Cohen & Massaro 1993,
"Modeling coarticulation in synthetic visual speech"); lips that must close are closed exactly while the
sound is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synctool.synthetic.phonemes import CLOSED, PAUSE, TUCKED, Utterance

_SPREAD_S = 0.055
"""How far in time the pull of a sound reaches beyond its own half length."""
_CLOSING_S, _OPENING_S = 0.07, 0.05
_RESTING_S = 0.12
_FARTHEST_S = 0.8
"""Sounds farther away than this have no pull to speak of."""


@dataclass(frozen=True)
class MouthShapes:
    """The mouth at some times.

    Attributes:
        open: ``[N]`` 0..1: how far the jaw is open.
        spread: ``[N]``, -1 rounded to 1 spread.
        pressed: ``[N]`` 0..1: how closed the lips are, whatever the jaw does.
        tucked: ``[N]`` 0..1: how far the lower lip lies on the upper teeth.
    """

    open: np.ndarray
    spread: np.ndarray
    pressed: np.ndarray
    tucked: np.ndarray


def mouth_shapes(said: Utterance, speech_s: np.ndarray) -> MouthShapes:
    """The mouth at times of the speech ``[N]``, in seconds; memory grows with their span squared."""
    said = said.between(float(speech_s.min()) - _FARTHEST_S, float(speech_s.max()) + _FARTHEST_S)
    starts, ends = said.bounds_s[:-1], said.bounds_s[1:]
    names = np.array(said.names)
    is_closed, is_tucked = np.isin(names, list(CLOSED)), np.isin(names, list(TUCKED))
    is_rest = names == PAUSE
    outside = np.maximum(
        np.maximum(starts - speech_s[:, None], speech_s[:, None] - ends), 0.0
    )  # [N, sounds]: seconds to each sound
    pull = np.exp(-outside / _SPREAD_S) * np.where(is_closed, 0.15, said.attribute("weight"))
    pull /= pull.sum(1, keepdims=True)
    releases = np.where(said.releases_s > starts, said.releases_s, ends)
    pressed = _held(speech_s, starts[is_closed], releases[is_closed], _CLOSING_S, _OPENING_S)
    resting = _held(speech_s, starts[is_rest] + _RESTING_S, ends[is_rest], _RESTING_S, _CLOSING_S)
    return MouthShapes(
        open=pull @ said.attribute("open"),
        spread=pull @ said.attribute("spread") * (1 - resting),
        pressed=np.maximum(pressed, 0.97 * resting),
        tucked=_held(speech_s, starts[is_tucked], ends[is_tucked], _CLOSING_S, _OPENING_S),
    )


def at_rest(count: int) -> MouthShapes:
    """A mouth that says nothing, at ``count`` times."""
    nothing = np.zeros(count)
    return MouthShapes(nothing, nothing, np.full(count, 0.97), nothing)


def _held(
    t: np.ndarray, starts: np.ndarray, ends: np.ndarray, before_s: float, after_s: float
) -> np.ndarray:
    """1 from each start to its end, with smooth flanks outside: ``[N]``."""
    if not starts.size:
        return np.zeros(len(t))
    flank = np.maximum((starts - t[:, None]) / before_s, (t[:, None] - ends) / after_s)
    near = np.clip(1 - flank, 0, 1)
    return (near * near * (3 - 2 * near)).max(1)
