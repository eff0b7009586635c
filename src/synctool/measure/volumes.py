"""Score volumes of single faces, and of the video as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from synctool.measure.embeddings import AudioEmbeddings, FaceEmbeddings
from synctool.measure.threads import sharing_cores
from synctool.networks.loaded import LoadedModel
from synctool.scoring.confidence import Calibration, Certainty
from synctool.scoring.offset import OffsetEstimate, estimate_offset
from synctool.scoring.path import WINDOW_S
from synctool.scoring.smoothing import local_peaks
from synctool.scoring.syncnet import pairwise_distances

_BLOCK_CELLS = 60_000
HALO_FRAMES = 16
"""Frames beyond a block that a head may look at; one that looks further says so as its ``reach``."""


@dataclass(frozen=True)
class FaceScores:
    """What one face says.

    Attributes:
        number: Its track number.
        first_frame: Frame index of its first frame.
        box: ``[4]``: left, top, right, bottom in the middle of its time, in source pixels.
        eyes_apart: How far apart its eyes are in the median, as a share of their distance to the mouth; None
            where it is not known.
        volume: float32 ``[2K+1, T]``, NaN outside the audio.
        distances: float32 ``[2K+1, T]``, L2 between embeddings, NaN outside the audio.
        estimate: Its offset, None when there is nothing to compare.
        certainty: How sure that is.
    """

    number: int
    first_frame: int
    box: np.ndarray
    volume: np.ndarray
    distances: np.ndarray
    estimate: OffsetEstimate | None
    certainty: Certainty
    eyes_apart: float | None = None

    @property
    def frames(self) -> int:
        """T."""
        return self.volume.shape[1]


@dataclass(frozen=True)
class VideoScores:
    """What all faces together say: at each frame the face that fits the audio best is speaking.

    Attributes:
        volume: float32 ``[2K+1, frames]``, NaN where there is no face.
        distances: The same for distances.
        coverage: Share of the video with a face, 0..1.
        chosen: Number of the face that speaks at each frame, int64 ``[frames]``, -1 for none.
    """

    volume: np.ndarray
    distances: np.ndarray
    coverage: float
    chosen: np.ndarray


def score_face(
    model: LoadedModel, face: FaceEmbeddings, audio: AudioEmbeddings, *, max_offset: int
) -> FaceScores:
    """Score one face against the audio, and estimate its offset.

    Args:
        model: The model.
        face: The face.
        audio: The audio.
        max_offset: K.
    """
    volume = score_volume(model, face, audio, max_offset=max_offset)
    distances = pairwise_distances(
        face.rows[: model.compared].T.astype(np.float32),
        audio.rows[: model.compared].T.astype(np.float32),
        max_offset,
        audio.first_frame - face.first_frame,
    )
    estimate = estimate_offset(volume)
    return FaceScores(
        number=face.number,
        first_frame=face.first_frame,
        box=face.boxes[len(face.boxes) // 2],
        volume=volume,
        distances=distances,
        estimate=estimate,
        certainty=model.calibration.certainty(estimate) if estimate else Certainty(0.0, 0.0),
        eyes_apart=float(np.median(face.eyes_apart)) if face.eyes_apart else None,
    )


def combine(
    faces: Sequence[FaceScores], frames: int, *, max_offset: int, calibration: Calibration
) -> VideoScores:
    """The video's volume from those of its faces.

    Args:
        faces: All faces.
        frames: Length of the video.
        max_offset: K.
        calibration: Turns local peaks into confidences, which decide between faces.
    """
    rows = 2 * max_offset + 1
    volume = np.full((rows, frames), np.nan, np.float32)
    distances = volume.copy()
    chosen = np.full(frames, -1, np.int64)
    best = np.full(frames, -1.0, np.float32)
    for face in faces:
        end = min(face.first_frame + face.frames, frames)
        here = slice(face.first_frame, end)
        length = end - face.first_frame
        others = any(
            o is not face and o.first_frame < end and face.first_frame < o.first_frame + o.frames
            for o in faces
        )
        if others:
            local = local_peaks(face.volume, calibration, window_s=WINDOW_S).confidence[:length]
            local = np.nan_to_num(local, nan=0.0)
        else:
            local = np.zeros(length, np.float32)
        better = local > best[here]
        columns = np.flatnonzero(better) + face.first_frame
        volume[:, columns] = face.volume[:, :length][:, better]
        distances[:, columns] = face.distances[:, :length][:, better]
        best[columns], chosen[columns] = local[better], face.number
    return VideoScores(volume, distances, float((best >= 0).mean()), chosen)


def video_volume(
    model: LoadedModel,
    faces: Sequence[FaceEmbeddings],
    audio: AudioEmbeddings,
    chosen: np.ndarray,
    *,
    max_offset: int,
) -> np.ndarray:
    """The video's volume over another range, of the faces that ``combine`` chose.

    Args:
        model: The model.
        faces: All faces.
        audio: The audio.
        chosen: ``VideoScores.chosen``, or its beginning.
        max_offset: K.

    Returns:
        float32 ``[2K+1, frames]``, NaN outside the audio and where there is no face.
    """
    by_number = {face.number: face for face in faces}
    out = np.full((2 * max_offset + 1, len(chosen)), np.nan, np.float32)
    for number in np.unique(chosen[chosen >= 0]).tolist():
        face, columns = by_number[number], np.flatnonzero(chosen == number)
        part = replace(face, rows=face.rows[:, : columns[-1] + 1 - face.first_frame])
        own = score_volume(model, part, audio, max_offset=max_offset)
        out[:, columns] = own[:, columns - face.first_frame]
    return out


def score_volume(
    model: LoadedModel, face: FaceEmbeddings, audio: AudioEmbeddings, *, max_offset: int
) -> np.ndarray:
    """Scores of one face at every offset, in blocks, each with a halo for heads that look along time.

    Args:
        model: The model.
        face: The face.
        audio: The audio; may begin before the face or later, and end anywhere.
        max_offset: K.

    Returns:
        float32 ``[2K+1, T]``, NaN outside the audio.
    """
    video_rows, audio_rows = face.rows, audio.rows
    lead = face.first_frame - audio.first_frame
    frames = face.frames
    block = max(64, _BLOCK_CELLS // (2 * max_offset + 1))
    out = np.full((2 * max_offset + 1, frames), np.nan, np.float32)
    halo = max(HALO_FRAMES, model.runtime.reach)
    reach = max_offset + halo
    with sharing_cores(model.runtime):
        for start in range(0, frames, block):
            stop = min(start + block, frames)
            low, high = max(0, start - halo), min(frames, stop + halo)
            audio_low = max(0, min(lead + low - reach, audio_rows.shape[1]))
            audio_high = max(audio_low, min(lead + high + reach, audio_rows.shape[1]))
            if audio_low == audio_high:
                continue
            scores = model.runtime.score(
                audio_rows[None, :, audio_low:audio_high].astype(np.float32),
                video_rows[None, :, low:high].astype(np.float32),
                max_offset=max_offset,
                audio_lead=lead + low - audio_low,
            )[0]
            values = scores[:, start - low : stop - low]
            out[:, start:stop] = np.where(np.isfinite(values), values, np.nan)
    return out
