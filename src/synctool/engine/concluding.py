"""From what one network saw and heard to what it says of the film: shared by ``detect`` and ``compare``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from synctool._version import __version__
from synctool.engine.loaded import LoadedModel
from synctool.engine.volumes import FaceScores, FilmScores, SeenFace, combine, score_face
from synctool.scoring.offset import OffsetEstimate, estimate_offset
from synctool.scoring.path import follow_offset
from synctool.scoring.segments import overall_offset
from synctool.scoring.syncnet import SyncNetScore, syncnet_score
from synctool.scoring.verdict import LEAST_CONFIDENCE, Decision, decide
from synctool.types import VIDEO_FPS, DetectResult, FrameSeries, Segment, Source, Track

SHORTEST_FACE_FRAMES = 5
"""Faces of fewer frames are not measured."""
_SILENT_PEAK = 33
"""Sound that never exceeds -60 dB of full scale is silence."""


@dataclass(frozen=True)
class Findings:
    """What one network finds in a film, or in a stretch of it.

    Attributes:
        faces: What each face says.
        film: What they say together.
        max_offset: K, the largest offset that was searched.
        estimate: The one offset that suits the film best; None where nothing can be compared.
        offset_frames: The best match, shown or not; that of the segments where it changes.
        confidence: Probability in 0..1 that it is right within a frame.
        decision: The verdict.
        segments: Stretches of one offset.
        drift_ms_per_min: Slope of the offset, None where it cannot be told.
        frames: Offset and confidence per frame.
        distances: SyncNet's own scores; None where nothing can be compared.
    """

    faces: tuple[FaceScores, ...]
    film: FilmScores
    max_offset: int
    estimate: OffsetEstimate | None
    offset_frames: float | None
    confidence: float
    decision: Decision
    segments: tuple[Segment, ...]
    drift_ms_per_min: float | None
    frames: FrameSeries
    distances: SyncNetScore | None


def is_silent(peak: int) -> bool:
    """Whether a sound with this largest value, of 32768, is silence."""
    return peak < _SILENT_PEAK


def find(
    model: LoadedModel,
    faces: Mapping[int, SeenFace],
    heard: np.ndarray,
    *,
    ticks: int,
    max_offset: int,
    silent: bool,
    heard_from: int = 0,
) -> Findings:
    """Compare what was seen with what was heard.

    Args:
        model: The network.
        faces: Embeddings of all faces by track number.
        heard: Embeddings of the sound, float16 ``[D, T_audio]``.
        ticks: Length of the film.
        max_offset: K.
        silent: Whether the sound is silence: whatever fits silence best is no answer.
        heard_from: Tick of the first of ``heard``; may lie before the film.
    """
    calibration = model.calibration
    scored = [
        score_face(model, number, face, heard, max_offset=max_offset, heard_from=heard_from)
        for number, face in sorted(faces.items())
        if face.frames >= SHORTEST_FACE_FRAMES
    ]
    if silent:
        scored = [replace(face, estimate=None, confidence=0.0) for face in scored]
    film = combine(scored, ticks, 2 * max_offset + 1, calibration)
    estimate = None if silent else estimate_offset(film.volume)
    confidence = calibration.confidence(estimate) if estimate else 0.0
    offset, at_edge, segments, drift = None, False, (), None
    series = FrameSeries((), (), ())
    if estimate is not None:
        path = follow_offset(film.volume, calibration=calibration)
        segments, drift, series = path.segments, path.drift_ms_per_min, path.series()
        offset, confidence = overall_offset(estimate, confidence, segments)
        at_edge = estimate.at_edge
    decision = decide(
        offset,
        confidence=confidence,
        max_offset=max_offset,
        frames=estimate.frames if estimate else 0,
        at_edge=at_edge,
        has_face=bool(faces),
        has_sound=not silent,
        segments=segments,
    )
    return Findings(
        faces=tuple(scored),
        film=film,
        max_offset=max_offset,
        estimate=estimate,
        offset_frames=offset,
        confidence=confidence,
        decision=decision,
        segments=segments,
        drift_ms_per_min=drift,
        frames=series,
        distances=syncnet_score(film.distances),
    )


def conclude(model: LoadedModel, findings: Findings, *, name: str, source: Source) -> DetectResult:
    """Findings as the result of ``detect``, which shows no offset where there is no verdict.

    Args:
        model: The network.
        findings: What it found.
        name: The film as it was given.
        source: Facts about it.

    Returns:
        The result, without the times.
    """
    verdict, distances = findings.decision.verdict, findings.distances
    return DetectResult(
        input=name,
        backbone=model.spec.full_name,
        weights=model.weights,
        runtime=model.runtime.name,
        synctool=__version__,
        source=source,
        offset_frames=None if verdict == "inconclusive" else findings.offset_frames,
        confidence=findings.confidence,
        verdict=verdict,
        reason=findings.decision.reason,
        coverage=findings.film.coverage,
        drift_ms_per_min=findings.drift_ms_per_min,
        syncnet_confidence=distances.syncnet_confidence if distances else None,
        min_distance=distances.min_distance if distances else None,
        segments=findings.segments,
        tracks=tuple(_track(face) for face in findings.faces),
        frames=findings.frames,
        timing_s={},
        max_offset=findings.max_offset,
    )


def _track(face: FaceScores) -> Track:
    speaking = face.confidence >= LEAST_CONFIDENCE
    left, top, right, bottom = (float(round(x, 1)) for x in face.box)
    return Track(
        id=face.number,
        start_s=face.first_tick / VIDEO_FPS,
        end_s=(face.first_tick + face.frames) / VIDEO_FPS,
        box_px=(left, top, round(right - left, 1), round(bottom - top, 1)),
        speaking=speaking,
        offset_frames=round(face.estimate.offset_frames, 3) if speaking and face.estimate else None,
        confidence=round(face.confidence, 4),
    )
