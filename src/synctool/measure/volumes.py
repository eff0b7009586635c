"""Score volumes of single faces, and of the film as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from synctool.networks.loaded import LoadedModel
from synctool.scoring.confidence import Calibration, Certainty
from synctool.scoring.offset import OffsetEstimate, estimate_offset
from synctool.scoring.path import WINDOW_S
from synctool.scoring.smoothing import local_peaks
from synctool.scoring.syncnet import pairwise_distances

_BLOCK_CELLS = 60_000
_HALO_FRAMES = 16
"""Frames beyond a block that a head may look at; one that looks further says so as its ``reach``."""


class SeenFace(Protocol):
    """One face as a network sees it: a ``FaceStream``, or what was kept of one."""

    first_tick: int
    frames: int
    boxes: Sequence[np.ndarray]

    def embeddings(self) -> np.ndarray:
        """float16 ``[D, T]``."""
        ...


@dataclass(frozen=True)
class FaceScores:
    """What one face says.

    Attributes:
        number: Its track number.
        first_tick: Tick of its first frame.
        box: ``[4]``: left, top, right, bottom in the middle of its time, in source pixels.
        volume: float32 ``[2K+1, T]``, NaN outside the sound.
        distances: float32 ``[2K+1, T]``, L2 between embeddings, NaN outside the sound.
        estimate: Its offset, None when there is nothing to compare.
        certainty: How sure that is.
    """

    number: int
    first_tick: int
    box: np.ndarray
    volume: np.ndarray
    distances: np.ndarray
    estimate: OffsetEstimate | None
    certainty: Certainty

    @property
    def frames(self) -> int:
        """T."""
        return self.volume.shape[1]


@dataclass(frozen=True)
class FilmScores:
    """What all faces together say: at each tick the face that fits the sound best is heard.

    Attributes:
        volume: float32 ``[2K+1, ticks]``, NaN where there is no face.
        distances: The same for distances.
        coverage: Share of the film with a face, 0..1.
        chosen: Number of the face that is heard at each tick, int64 ``[ticks]``, -1 for none.
    """

    volume: np.ndarray
    distances: np.ndarray
    coverage: float
    chosen: np.ndarray


def score_face(
    model: LoadedModel,
    number: int,
    face: SeenFace,
    heard: np.ndarray,
    *,
    max_offset: int,
    heard_from: int = 0,
) -> FaceScores:
    """Score one face against the sound.

    Args:
        model: The network.
        number: Track number.
        face: Its embeddings.
        heard: Embeddings of the sound, float16 ``[D, T_audio]``.
        max_offset: K.
        heard_from: Tick of the first of ``heard``.
    """
    seen, lead = face.embeddings(), face.first_tick - heard_from
    volume = _volume(model, seen, heard, lead, max_offset)
    distances = pairwise_distances(
        seen.T.astype(np.float32), heard.T.astype(np.float32), max_offset, -lead
    )
    estimate = estimate_offset(volume)
    return FaceScores(
        number=number,
        first_tick=face.first_tick,
        box=face.boxes[len(face.boxes) // 2],
        volume=volume,
        distances=distances,
        estimate=estimate,
        certainty=model.calibration.certainty(estimate) if estimate else Certainty(0.0, 0.0),
    )


def combine(faces: list[FaceScores], ticks: int, rows: int, calibration: Calibration) -> FilmScores:
    """The film's volume from those of its faces.

    Args:
        faces: All faces.
        ticks: Length of the film.
        rows: 2K+1.
        calibration: Turns local peaks into confidences, which decide between faces.
    """
    volume = np.full((rows, ticks), np.nan, np.float32)
    distances = volume.copy()
    chosen = np.full(ticks, -1, np.int64)
    best = np.full(ticks, -1.0, np.float32)
    for face in faces:
        end = min(face.first_tick + face.frames, ticks)
        here = slice(face.first_tick, end)
        length = end - face.first_tick
        others = any(
            o is not face and o.first_tick < end and face.first_tick < o.first_tick + o.frames
            for o in faces
        )
        if others:
            local = local_peaks(face.volume, calibration, window_s=WINDOW_S).confidence[:length]
            local = np.nan_to_num(local, nan=0.0)
        else:
            local = np.zeros(length, np.float32)
        better = local > best[here]
        columns = np.flatnonzero(better) + face.first_tick
        volume[:, columns] = face.volume[:, :length][:, better]
        distances[:, columns] = face.distances[:, :length][:, better]
        best[columns], chosen[columns] = local[better], face.number
    return FilmScores(volume, distances, float((best >= 0).mean()), chosen)


def film_volume(
    model: LoadedModel,
    faces: Mapping[int, SeenFace],
    heard: np.ndarray,
    chosen: np.ndarray,
    *,
    max_offset: int,
    heard_from: int = 0,
) -> np.ndarray:
    """The film's volume over another range, of the faces that ``combine`` chose.

    Args:
        model: The network.
        faces: All faces by track number.
        heard: Embeddings of the sound, float16 ``[D, T_audio]``.
        chosen: ``FilmScores.chosen``.
        max_offset: K.
        heard_from: Tick of the first of ``heard``.

    Returns:
        float32 ``[2K+1, ticks]``, NaN outside the sound and where there is no face.
    """
    out = np.full((2 * max_offset + 1, len(chosen)), np.nan, np.float32)
    for number in np.unique(chosen[chosen >= 0]).tolist():
        face, columns = faces[number], np.flatnonzero(chosen == number)
        lead = face.first_tick - heard_from
        seen = face.embeddings()[:, : columns[-1] + 1 - face.first_tick]
        own = _volume(model, seen, heard, lead, max_offset)
        out[:, columns] = own[:, columns - face.first_tick]
    return out


def _volume(
    model: LoadedModel, seen: np.ndarray, heard: np.ndarray, first_tick: int, max_offset: int
) -> np.ndarray:
    """Score volume in blocks, each with a halo for heads that look along time; ``first_tick`` counts
    from the first of ``heard``, and may be negative where the sound begins later."""
    frames = seen.shape[1]
    block = max(64, _BLOCK_CELLS // (2 * max_offset + 1))
    out = np.full((2 * max_offset + 1, frames), np.nan, np.float32)
    halo = max(_HALO_FRAMES, model.runtime.reach)
    reach = max_offset + halo
    for start in range(0, frames, block):
        stop = min(start + block, frames)
        low, high = max(0, start - halo), min(frames, stop + halo)
        sound_low = max(0, min(first_tick + low - reach, heard.shape[1]))
        sound_high = max(sound_low, min(first_tick + high + reach, heard.shape[1]))
        if sound_low == sound_high:
            continue
        scores = model.runtime.score(
            heard[None, :, sound_low:sound_high].astype(np.float32),
            seen[None, :, low:high].astype(np.float32),
            max_offset=max_offset,
            audio_lead=first_tick + low - sound_low,
        )[0]
        values = scores[:, start - low : stop - low]
        out[:, start:stop] = np.where(np.isfinite(values), values, np.nan)
    return out
