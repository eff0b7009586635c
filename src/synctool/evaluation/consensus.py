"""What the pieces of a video agree on: an offset that nobody needed to publish."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import numpy as np

LEAST_PIECES = 3
"""Videos of fewer pieces have no consensus."""
ACCEPTED_FRAMES = 1.0


@dataclass(frozen=True)
class Answer:
    """What was said about a segment of video.

    Attributes:
        offset_frames: The best match, whether or not it would be shown; None where there is none.
        confidence: 0..1.
        answered: Whether it is shown, or the segment is inconclusive.
    """

    offset_frames: float | None
    confidence: float
    answered: bool


@dataclass(frozen=True)
class Piece:
    """A piece of a video and the answer to it.

    Attributes:
        film: Which video.
        person: Who speaks in it.
        moved_frames: How far its audio was moved ahead.
        answer: The answer.
    """

    film: str
    person: Hashable
    moved_frames: float
    answer: Answer

    @property
    def offset_frames(self) -> float | None:
        """The offset of the video that the answer stands for."""
        found = self.answer.offset_frames
        return None if found is None else found - self.moved_frames


def consensus_of(pieces: Iterable[Piece]) -> dict[str, float]:
    """The offset that each video's pieces agree on, in frames.

    The median of the answered pieces, where there are three or more, and else of all that have a match.
    Videos of fewer than three pieces have none.
    """
    films: dict[str, list[Piece]] = {}
    for piece in pieces:
        here = films.setdefault(piece.film, [])
        if piece.offset_frames is not None:
            here.append(piece)
    consensus = {}
    for film, here in films.items():
        sure = [piece for piece in here if piece.answer.answered]
        chosen = sure if len(sure) >= LEAST_PIECES else here
        if len(chosen) >= LEAST_PIECES:
            found = [p.offset_frames for p in chosen if p.offset_frames is not None]
            consensus[film] = float(np.median(found))
    return consensus


def agrees(piece: Piece, consensus: float) -> bool:
    """Whether a piece's offset is within a frame of its video's; one without a match is not."""
    found = piece.offset_frames
    return found is not None and abs(found - consensus) <= ACCEPTED_FRAMES + 1e-9
