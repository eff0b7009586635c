"""Whether a model agrees with itself, on videos whose truth nobody knows: pieces and shifts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from synctool.evaluation.consensus import Answer, Piece, agrees, consensus_of
from synctool.types import Condition


class Answered(Protocol):
    """What is needed of a trial."""

    @property
    def film(self) -> str: ...
    @property
    def condition(self) -> Condition: ...
    @property
    def failed(self) -> bool: ...
    @property
    def answered(self) -> bool: ...
    @property
    def offset_frames(self) -> float | None: ...
    @property
    def reach_frames(self) -> int | None: ...


def pieces_agree(trials: Sequence[Answered]) -> list[bool | None]:
    """Whether each trial is a piece within a frame of its video's consensus.

    Args:
        trials: Of one model.

    Returns:
        One for each; None for what is no piece, failed, or is of a video without a consensus.
    """
    pieces = [_piece(trial) for trial in trials]
    consensus = consensus_of(piece for piece in pieces if piece is not None)
    return [
        None
        if piece is None or piece.film not in consensus
        else agrees(piece, consensus[piece.film])
        for piece in pieces
    ]


def shift_errors(trials: Sequence[Answered]) -> list[float | None]:
    """How far the change of the best match is from the amount that the audio was moved, in frames.

    A wrong match moves along with the audio: this finds errors of sign, time and rounding, and models
    that are drawn to certain offsets, but does not prove an answer right.

    Args:
        trials: Of one model.

    Returns:
        One for each; None for what was not moved, has no match, has nothing to be compared with, or
        would have to lie beyond the offsets that were searched.
    """
    still = {
        trial.film: trial.offset_frames
        for trial in trials
        if trial.condition.kind in ("plain", "shift") and trial.condition.moved_frames == 0
    }
    errors: list[float | None] = []
    for trial in trials:
        moved, before = trial.condition.moved_frames, still.get(trial.film)
        compared = trial.condition.kind == "shift" and moved != 0
        if not compared or before is None or trial.offset_frames is None:
            errors.append(None)
        elif trial.reach_frames is not None and abs(before + moved) > trial.reach_frames:
            errors.append(None)
        else:
            errors.append(trial.offset_frames - before - moved)
    return errors


def _piece(trial: Answered) -> Piece | None:
    if trial.condition.kind != "piece" or trial.failed:
        return None
    answer = Answer(trial.offset_frames, 0.0, trial.answered)
    return Piece(trial.film, None, trial.condition.moved_frames, answer)
