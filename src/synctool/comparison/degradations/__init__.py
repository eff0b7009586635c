"""Copies of videos degraded in known ways, with the offset between video and audio as it was.

Importing this package is light; numpy, OpenCV and PyAV are loaded when a copy is made.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from synctool.comparison.degradations.table import (
    DEGRADATIONS,
    Degradation,
    changes_audio_only,
    offset_factor,
    parse_degradations,
)
from synctool.types import PLAYED, StreamSelection

if TYPE_CHECKING:
    import numpy as np

    from synctool.faces.detector import FaceDetector

__all__ = [
    "DEGRADATIONS",
    "Degradation",
    "changes_audio_only",
    "degraded_audio",
    "offset_factor",
    "parse_degradations",
    "write_degraded",
]


def write_degraded(
    video: str | os.PathLike[str],
    out: str | os.PathLike[str],
    name: str,
    level: int,
    *,
    seed: int = 0,
    streams: StreamSelection = PLAYED,
    allow_external: bool = False,
    detector: FaceDetector | None = None,
) -> Path:
    """Write a copy of a video with one degradation.

    Video and audio keep their places on the presentation timeline, so that the true offset between
    them stays what it was; with ``faster`` and ``slower`` it is multiplied by ``offset_factor``. The
    same arguments give the same file.

    Args:
        video: The video.
        out: The copy, which must end in ``.mkv``: H.264 that loses next to nothing (unless coding is
            the degradation) with 16 kHz mono PCM.
        name: One of ``DEGRADATIONS``.
        level: 1 (mild) to 5 (severe).
        seed: Of everything that is left to chance.
        streams: Which of its streams, as a player takes them unless told.
        allow_external: Whether a playlist may name local files outside its folder.
        detector: Finds the faces for ``mouth`` and ``head``; CenterFace if None.

    Returns:
        The path of the copy.

    Raises:
        UsageError: There is no such degradation or level, or the copy's name does not end in ``.mkv``.
        MissingError: There is no such video, or this FFmpeg lacks the encoder.
        MediaError: The video cannot be read or lacks video or audio, or no face is found in it where
            one is needed.
        OutputError: The copy cannot be written.
    """
    from synctool.comparison.degradations.degraded_copy import write_copy

    return write_copy(
        Path(video),
        Path(out),
        name,
        level,
        seed=seed,
        streams=streams,
        allow_external=allow_external,
        detector=detector,
    )


def degraded_audio(audio: np.ndarray, name: str, level: int, *, seed: int = 0) -> np.ndarray:
    """The audio that ``write_degraded`` would write, without a video.

    Args:
        audio: int16 ``[N]``, 16 kHz mono.
        name: One of those for which ``changes_sound_only`` holds.
        level: 1 (mild) to 5 (severe).
        seed: Of everything that is left to chance.

    Returns:
        int16 ``[N]``; nothing is moved in time.

    Raises:
        UsageError: There is no such degradation or level, or it changes the video.
        MissingError: This FFmpeg lacks the encoder.
    """
    from synctool.comparison.degradations.audio_degradations import audio_change

    return audio_change(name, level, seed=seed)(audio)
