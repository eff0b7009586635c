"""From the embeddings of one model to what it says of a video: score volumes, offset path, estimate,
verdict. Everything that measures goes through here; what measures stored clips only, through
``synctool.measure.volumes``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from synctool._version import __version__
from synctool.faces.turning import box_before_turning
from synctool.features.voice_activity import SPEECH
from synctool.measure.embeddings import AudioEmbeddings, FaceEmbeddings
from synctool.measure.speakers import (
    activity_of,
    is_speaking,
    offset_by_frame,
    speaker_turn,
    while_speaking,
)
from synctool.measure.volumes import (
    FaceScores,
    VideoScores,
    combine,
    score_face,
    video_volume,
)
from synctool.networks.loaded import LoadedModel
from synctool.scoring.confidence import Certainty
from synctool.scoring.offset import OffsetEstimate
from synctool.scoring.offset_sets import moved
from synctool.scoring.overall import OverallOffset, TrackEvidence, with_tracks
from synctool.scoring.path import OffsetPath, follow_offset
from synctool.scoring.speaking import Activity
from synctool.scoring.syncnet import SyncNetScore, syncnet_score
from synctool.scoring.verdict import LEAST_CONFIDENCE, Circumstances, Decision, decide
from synctool.types import (
    VIDEO_FPS,
    DetectResult,
    FrameSeries,
    OffsetSet,
    Segment,
    Source,
    Track,
)

SHORTEST_FACE_FRAMES = 5
"""Faces of fewer frames are not measured."""
FAR_FRAMES = 125
"""Where the searched range holds no answer, one is looked for up to 5 s away, to say so."""
LEAST_FAR_FRAMES = 75
"""A match so far off is told only where 3 s of frames make it: of many offsets some fit by chance."""
MOST_FAR_FRAMES = 15_000
"""Frames with a face (10 min) that this looks at."""
NOTHING_KNOWN = Circumstances()
_USUAL_ROWS = 31


@dataclass(frozen=True)
class Findings:
    """What one model finds in a video, or in a segment of it.

    Attributes:
        faces: What each face says.
        video: What they say together.
        max_offset: K, the largest offset that was searched.
        estimate: The one offset that suits the video best; None where nothing can be compared.
        offset_frames: The best match, shown or not; that of the segments where it changes.
        confidence: Probability in 0..1 that it is right within a frame.
        belongs: Probability in 0..1 that the audio belongs to the face at all.
        decision: The verdict.
        segments: Segments of one offset.
        verdict_coverage: Share of the video, 0..1, that the segments cover which carry the verdict.
        drift_ms_per_min: Slope of the offset, None where the video is too short.
        drift_interval_ms_per_min: Its 95 % interval.
        frames: Offset and confidence per frame.
        distances: SyncNet's own scores; None where nothing can be compared.
        activity: Who speaks when; None where that is not known.
        offset_set: Where the true offset may lie; None where there is no answer, or no calibration for it.
    """

    faces: tuple[FaceScores, ...]
    video: VideoScores
    max_offset: int
    estimate: OffsetEstimate | None
    offset_frames: float | None
    confidence: float
    belongs: float
    decision: Decision
    segments: tuple[Segment, ...]
    verdict_coverage: float
    drift_ms_per_min: float | None
    drift_interval_ms_per_min: tuple[float, float] | None
    frames: FrameSeries
    distances: SyncNetScore | None
    activity: Activity | None = None
    offset_set: OffsetSet | None = None


def analyze(
    model: LoadedModel,
    faces: Sequence[FaceEmbeddings],
    audio: AudioEmbeddings,
    *,
    frames: int,
    max_offset: int,
    known: Circumstances = NOTHING_KNOWN,
    speech: np.ndarray | None = None,
    look_further: bool = False,
    unread_share: float = 0.0,
    frames_late: float = 0.0,
) -> Findings:
    """Compare faces with audio, and judge what comes of it.

    Args:
        model: The model.
        faces: All faces of the video, or their parts in a segment of it.
        audio: The audio, shifted or not: ``first_frame`` says where it lies.
        frames: Length of the video or segment.
        max_offset: K.
        known: What is known beside the embeddings: silence, steady audio, what the file says. Whatever
            fits silence best is no answer.
        speech: Probability of speech at every frame of the audio ``[frames]``; None where nobody listened.
        look_further: Whether to look for a match outside the searched range where there is none within.
        unread_share: Share of the video that was not decoded, 0..1; it is not covered.
        frames_late: How much later than their frame indices the images belong on average, in frames; it
            is added to all offsets.
    """
    silent = not known.has_audio
    heard = None if speech is None else speech >= SPEECH
    scored = [
        score_face(model, face, audio, max_offset=max_offset)
        for face in sorted(faces, key=lambda face: face.number)
        if face.frames >= SHORTEST_FACE_FRAMES
    ]
    if silent:
        scored = [replace(face, estimate=None, certainty=Certainty(0.0, 0.0)) for face in scored]
    video = combine(scored, frames, max_offset=max_offset, calibration=model.calibration)
    video = replace(video, coverage=video.coverage * (1 - unread_share))
    path, segments, overall = _followed(video, scored, model, silent=silent)
    offsets = offset_by_frame(frames, segments, overall, drift_ms_per_min=path.drift_ms_per_min)
    if frames_late:
        scored = [
            replace(f, estimate=f.estimate and _later(f.estimate, frames_late)) for f in scored
        ]
        segments = tuple(_later(s, frames_late) for s in segments)
        path, overall = _path_later(path, frames_late), overall and _later(overall, frames_late)
    known = replace(
        known,
        has_face=bool(faces),
        **_heard(heard, video.chosen >= 0),
        face_px=max((float(f.box[3] - f.box[1]) for f in scored), default=None),
        eyes_apart=max((f.eyes_apart for f in scored if f.eyes_apart is not None), default=None),
        edge_confidence=_edge_confidence(path.estimate, model),
        contradictory=overall is not None and overall.contradictory,
        belongs=overall.belongs if overall else 0.0,
        least_belongs=overall.least_belongs if overall else 0.0,
    )
    decision = _decided(overall, path.drift_ms_per_min, segments, max_offset, known)
    undecided = decision.verdict == "inconclusive"
    if look_further and undecided and overall is not None and not known.steady:
        far = _far_offset(model, faces, audio, video.chosen, max_offset, known)
        far = None if far is None else far + frames_late
        known = replace(known, far_offset_frames=far)
        decision = _decided(overall, path.drift_ms_per_min, segments, max_offset, known)
    answered = decision.verdict != "inconclusive"
    activity = None if heard is None else activity_of(decision, scored, offsets, heard, overall)
    if answered and activity is not None:
        scored = [
            face
            if is_speaking(face)
            else while_speaking(face, activity, model.calibration, frames_late=frames_late)
            for face in scored
        ]
    return Findings(
        faces=tuple(scored),
        video=video,
        max_offset=max_offset,
        estimate=path.estimate,
        offset_frames=overall.offset_frames if overall else None,
        confidence=overall.confidence if overall else 0.0,
        belongs=overall.belongs if overall else 0.0,
        decision=decision,
        segments=segments,
        verdict_coverage=_verdict_coverage(segments, frames, video.coverage, unread_share)
        if answered
        else 0.0,
        drift_ms_per_min=path.drift_ms_per_min,
        drift_interval_ms_per_min=path.drift_interval_ms_per_min,
        frames=path.series() if overall else FrameSeries((), (), ()),
        distances=syncnet_score(video.distances),
        activity=activity,
        offset_set=_offset_set(overall, model) if answered else None,
    )


def _offset_set(overall: OverallOffset | None, model: LoadedModel) -> OffsetSet | None:
    """Where the true offset may lie, round the offset that is shown."""
    if overall is None or overall.estimate is None:
        return None
    found = model.calibration.offset_set(overall.estimate)
    return moved(found, overall.offset_frames - overall.estimate.offset_frames)


def _heard(heard: np.ndarray | None, visible: np.ndarray) -> dict[str, float]:
    """Seconds of speech with a face and without, for ``Circumstances``."""
    if heard is None:
        return {}
    return {
        "speech_s": float((heard & visible).sum()) / VIDEO_FPS,
        "speech_elsewhere_s": float((heard & ~visible).sum()) / VIDEO_FPS,
    }


def _followed(
    video: VideoScores, scored: Sequence[FaceScores], model: LoadedModel, *, silent: bool
) -> tuple[OffsetPath, tuple[Segment, ...], OverallOffset | None]:
    """The offset along the video, its segments, and the one to report; nothing of a silent one."""
    if silent:
        return OffsetPath(np.zeros(0), np.zeros(0)), (), None
    path = follow_offset(video.volume, calibration=model.calibration)
    if path.overall is None:
        return path, (), None
    tracks = [
        TrackEvidence(f.first_frame, f.first_frame + f.frames, f.estimate, f.certainty)
        for f in scored
        if f.estimate is not None
    ]
    return path, *with_tracks(path.segments, path.overall, tracks)


_Offset = TypeVar("_Offset", OffsetEstimate, OverallOffset, Segment)


def _later(found: _Offset, frames: float) -> _Offset:
    """The same for images that belong so much later than they were shown."""
    later = replace(found, offset_frames=found.offset_frames + frames)
    if isinstance(later, Segment):
        later = replace(later, offset_set=moved(later.offset_set, frames))
    return later


def _path_later(path: OffsetPath, frames: float) -> OffsetPath:
    return replace(
        path,
        offset_frames=path.offset_frames + np.float32(frames),
        segments=tuple(_later(s, frames) for s in path.segments),
        estimate=path.estimate and _later(path.estimate, frames),
        overall=path.overall and _later(path.overall, frames),
    )


def _decided(
    overall: OverallOffset | None,
    drift_ms_per_min: float | None,
    segments: tuple[Segment, ...],
    max_offset: int,
    circumstances: Circumstances,
) -> Decision:
    return decide(
        overall.offset_frames if overall else None,
        confidence=overall.confidence if overall else 0.0,
        max_offset=max_offset,
        frames=overall.frames if overall else 0,
        at_edge=overall is not None and overall.at_edge,
        circumstances=circumstances,
        segments=segments,
        drift_ms_per_min=drift_ms_per_min or 0.0,
    )


def _edge_confidence(estimate: OffsetEstimate | None, model: LoadedModel) -> float:
    """Confidence of a match at the edge of the range, were it not there."""
    if estimate is None or not estimate.at_edge:
        return 0.0
    return model.calibration.confidence(replace(estimate, at_edge=False))


def _far_offset(
    model: LoadedModel,
    faces: Sequence[FaceEmbeddings],
    audio: AudioEmbeddings,
    chosen: np.ndarray,
    max_offset: int,
    circumstances: Circumstances,
) -> float | None:
    """A clear match outside the searched range, in frames; the embeddings are there already."""
    late = abs(circumstances.audio_starts_late_s) * VIDEO_FPS
    reach = max(FAR_FRAMES, round(late) + max_offset) if late < 2 * FAR_FRAMES else FAR_FRAMES
    if reach <= max_offset:
        return None
    seen = np.flatnonzero(chosen >= 0)[:MOST_FAR_FRAMES]
    part = chosen[: seen[-1] + 1] if seen.size else chosen[:0]
    volume = video_volume(model, faces, audio, part, max_offset=reach)
    found = follow_offset(volume, calibration=model.calibration).overall
    if found is None or found.at_edge or abs(found.offset_frames) < max_offset - 0.5:
        return None
    # The calibration is for fewer offset bins; the odds that one of them fits by chance grow with them.
    odds = found.confidence / max(1 - found.confidence, 1e-6) * _USUAL_ROWS / len(volume)
    clear = odds / (1 + odds) >= LEAST_CONFIDENCE and found.belongs >= found.least_belongs
    return found.offset_frames if clear and found.frames >= LEAST_FAR_FRAMES else None


def _verdict_coverage(
    segments: tuple[Segment, ...], frames: int, coverage: float, unread_share: float
) -> float:
    """Share of the video in confident segments; without any, all that shows a face carries the verdict."""
    carried_s = sum(s.end_s - s.start_s for s in segments if s.confidence >= LEAST_CONFIDENCE)
    return min(carried_s * VIDEO_FPS / frames, 1.0) * (1 - unread_share) if carried_s else coverage


def conclude(model: LoadedModel, findings: Findings, *, name: str, source: Source) -> DetectResult:
    """Findings as the result of ``detect``, which shows no offset where there is no verdict.

    Args:
        model: The model.
        findings: What it found.
        name: The video as it was given.
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
        audio_belongs=findings.belongs if model.calibration.belonging else None,
        verdict=verdict,
        reason=findings.decision.reason,
        reason_code=findings.decision.code,
        coverage=findings.video.coverage,
        verdict_coverage=findings.verdict_coverage,
        drift_ms_per_min=findings.drift_ms_per_min,
        drift_interval_ms_per_min=findings.drift_interval_ms_per_min,
        syncnet_confidence=distances.syncnet_confidence if distances else None,
        min_distance=distances.min_distance if distances else None,
        segments=findings.segments,
        tracks=tuple(_track(face, source) for face in findings.faces),
        speakers=None
        if findings.activity is None
        else tuple(map(speaker_turn, findings.activity.turns)),
        frames=findings.frames,
        timing_s={},
        max_offset=findings.max_offset,
        offset_set=findings.offset_set,
    )


def _track(face: FaceScores, source: Source) -> Track:
    speaking = is_speaking(face)
    box = box_before_turning(
        face.box, source.turned_deg // 90, width_px=source.width_px, height_px=source.height_px
    )
    left, top, right, bottom = (float(round(x, 1)) for x in box)
    return Track(
        id=face.number,
        start_s=face.first_frame / VIDEO_FPS,
        end_s=(face.first_frame + face.frames) / VIDEO_FPS,
        box_px=(left, top, round(right - left, 1), round(bottom - top, 1)),
        speaking=speaking,
        offset_frames=round(face.estimate.offset_frames, 3) if speaking and face.estimate else None,
        confidence=round(face.certainty.confidence, 4),
    )
