"""Where a video is cut into segments that must agree, and how far each one's audio is moved."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from synctool.types import SAMPLES_PER_FRAME

LARGEST_MOVE_FRAMES = 10
"""The audio of a segment is moved by up to this."""


def cuts(
    frames: int,
    piece_frames: int,
    audio_samples: int,
    rng: np.random.Generator,
    *,
    largest_move: int = LARGEST_MOVE_FRAMES,
) -> Iterator[tuple[int, int, int]]:
    """Where to cut a video, and how to move each piece's audio.

    Args:
        frames: T.
        piece_frames: Length of a piece.
        audio_samples: N; sample 0 belongs to frame 0.
        rng: Random generator.
        largest_move: Audio is moved by up to so many frames.

    Yields:
        First frame of a piece, first sample of its audio, and how many samples that is moved ahead;
        a move that would leave the audio is turned round.
    """
    length = piece_frames * SAMPLES_PER_FRAME
    reach = largest_move * SAMPLES_PER_FRAME
    for start in range(0, frames - piece_frames + 1, piece_frames):
        moved = int(rng.integers(-reach, reach + 1))
        begin = start * SAMPLES_PER_FRAME
        if not 0 <= begin + moved <= audio_samples - length:
            moved = -moved
        if 0 <= begin + moved <= audio_samples - length:
            yield start, begin + moved, moved
