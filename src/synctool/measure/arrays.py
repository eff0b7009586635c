"""What a result is concluded from, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synctool.measure.analyze import Findings
from synctool.measure.embeddings import AudioEmbeddings, FaceEmbeddings
from synctool.types import DetectResult


@dataclass(frozen=True)
class FaceArrays:
    """One face.

    Attributes:
        id: As in ``DetectResult.tracks``.
        first_frame: Frame index (25 Hz) of its first frame.
        embeddings: float32 ``[T, D]``.
        volume: float32 ``[2K+1, T]``: score of every offset from -K to K, NaN outside the audio; None for a
            face that is too short to be scored.
    """

    id: int
    first_frame: int
    embeddings: np.ndarray
    volume: np.ndarray | None


@dataclass(frozen=True)
class DetectArrays:
    """A video, with what its result is concluded from.

    Attributes:
        result: The result.
        volume: float32 ``[2K+1, T]``: score of every offset from -K to K at every frame of the video, by the
            face that speaks; NaN where there is none.
        distances: float32 ``[2K+1, T]``: L2 between the embeddings.
        offsets_frames: int64 ``[2K+1]``: the offset of each row.
        audio: float32 ``[T_audio, D]``: embeddings of the audio.
        audio_first_frame: Frame index of the first of them.
        faces: The faces.
    """

    result: DetectResult
    volume: np.ndarray
    distances: np.ndarray
    offsets_frames: np.ndarray
    audio: np.ndarray
    audio_first_frame: int
    faces: tuple[FaceArrays, ...]


def arrays_of(
    result: DetectResult,
    findings: Findings,
    faces: tuple[FaceEmbeddings, ...],
    audio: AudioEmbeddings,
) -> DetectArrays:
    """Collect them."""
    volumes = {face.number: face.volume for face in findings.faces}
    return DetectArrays(
        result=result,
        volume=findings.video.volume,
        distances=findings.video.distances,
        offsets_frames=np.arange(-findings.max_offset, findings.max_offset + 1),
        audio=audio.rows.T.astype(np.float32),
        audio_first_frame=audio.first_frame,
        faces=tuple(
            FaceArrays(
                face.number,
                face.first_frame,
                face.rows.T.astype(np.float32),
                volumes.get(face.number),
            )
            for face in sorted(faces, key=lambda face: face.number)
        ),
    )
