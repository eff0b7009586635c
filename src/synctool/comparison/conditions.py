"""Under which conditions a video is measured: its audio moved by known amounts, whole or in pieces."""

from __future__ import annotations

import math
import zlib

import numpy as np

from synctool.comparison.segment_cuts import LARGEST_MOVE_FRAMES, cuts
from synctool.errors import UsageError
from synctool.types import DEFAULT_MAX_OFFSET, SAMPLES_PER_FRAME, VIDEO_FPS, Condition

SHORTEST_PIECE_S = 1.0
"""Shorter pieces carry no answer."""
MOST_SHIFTS = 1000
ROOM_FRAMES = 3
"""Random moves stay so far within the searched range: a video has an offset of its own as well."""
_FORM = "Give frames of 40 ms with commas between them, as -10,-5,0,5,10, or random:N for N moves."


def shift_conditions(
    spec: str, seed: int = 0, *, max_offset: int = DEFAULT_MAX_OFFSET, video: str = ""
) -> list[Condition]:
    """Moves of a video's audio.

    Args:
        spec: Frames by which the audio is moved ahead, ``-10,-5,0,5,10``, or ``random:N`` for N moves
            evenly distributed within ±10 frames, or ``max_offset`` less three where that is less.
        seed: Of chance.
        max_offset: Largest offset searched, in frames; nothing is moved further.
        video: Mixed into the seed, so that every video has moves of its own.

    Returns:
        Conditions in the order given, moved by whole samples; the same move only once.

    Raises:
        UsageError: It is neither of the two forms, or moves too far.
    """
    kind, _, number = spec.strip().partition(":")
    samples: list[int]
    if kind.strip().lower() == "random":
        samples = _random(number, seed, max_offset, video)
    else:
        samples = [_samples(part, spec, max_offset) for part in spec.split(",")]
    return [Condition("shift", n / SAMPLES_PER_FRAME) for n in dict.fromkeys(samples)]


def piece_conditions(
    frames: int,
    seconds: float,
    seed: int = 0,
    *,
    audio_samples: int | None = None,
    max_offset: int = DEFAULT_MAX_OFFSET,
    video: str = "",
) -> list[Condition]:
    """The pieces of a video, each with its audio from a place moved by its own amount, as ``cuts``.

    Args:
        frames: Length of the video in frames.
        seconds: Length of a piece.
        seed: Of chance.
        audio_samples: Length of its audio at 16 kHz; None: as long as the video.
        max_offset: Largest offset searched, in frames.
        video: Mixed into the seed, so that every video has moves of its own.

    Returns:
        Conditions in the order of time; none for a video that is shorter than a piece. A move by which a
        piece would leave the audio is turned round, and what leaves it both ways is left out.

    Raises:
        UsageError: A piece is too short, or the searched range is too small to move anything.
    """
    if not (math.isfinite(seconds) and seconds >= SHORTEST_PIECE_S):
        raise UsageError(
            f"pieces of {seconds:g} s are too short",
            remedy=f"Give {SHORTEST_PIECE_S:g} seconds or more; 2 and 3 are usual.",
        )
    audio = frames * SAMPLES_PER_FRAME if audio_samples is None else audio_samples
    found = cuts(
        frames,
        round(seconds * VIDEO_FPS),
        audio,
        _chance(seed, video),
        largest_move=_reach(max_offset),
    )
    length_s = round(seconds * VIDEO_FPS) / VIDEO_FPS
    return [
        Condition(
            "piece", moved / SAMPLES_PER_FRAME, start / VIDEO_FPS, start / VIDEO_FPS + length_s
        )
        for start, _, moved in found
    ]


def _random(number: str, seed: int, max_offset: int, video: str) -> list[int]:
    try:
        count = int(number)
    except ValueError:
        raise UsageError(f"no number of moves: {number!r}", remedy=_FORM) from None
    if not 1 <= count <= MOST_SHIFTS:
        raise UsageError(f"{count} moves", remedy=f"Give a number from 1 to {MOST_SHIFTS}.")
    reach = _reach(max_offset) * SAMPLES_PER_FRAME
    drawn = _chance(seed, video).choice(2 * reach + 1, count, replace=False)
    return (drawn - reach).tolist()


def _samples(text: str, spec: str, max_offset: int) -> int:
    try:
        frames = float(text)
    except ValueError:
        frames = math.nan
    if not math.isfinite(frames):
        raise UsageError(f"these are no shifts: {spec!r}", remedy=_FORM)
    if abs(frames) > max_offset:
        raise UsageError(
            f"a shift of {frames:g} frames is beyond the searched range of ±{max_offset}",
            remedy="Shift by less, or search wider with --max-offset.",
        )
    return round(frames * SAMPLES_PER_FRAME)


def _reach(max_offset: int) -> int:
    """Frames that audio is moved at most by chance."""
    reach = min(LARGEST_MOVE_FRAMES, max_offset - ROOM_FRAMES)
    if reach < 1:
        raise UsageError(
            f"a searched range of ±{max_offset} frames leaves no room to move the audio",
            remedy=f"Search wider: --max-offset {ROOM_FRAMES + 1} or more.",
        )
    return reach


def _chance(seed: int, video: str) -> np.random.Generator:
    return np.random.default_rng([seed % 2**32, zlib.crc32(video.encode("utf-8", "surrogatepass"))])
