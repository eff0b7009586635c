"""Whether lips and voice of a video belong together, from what was measured of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from synctool.authenticity.evidence import FaceSeries
from synctool.authenticity.judge import Face, judge_video
from synctool.authenticity.scores import bundled_scores
from synctool.features.mouth_motion import MouthSeries
from synctool.measure.analyze import Findings
from synctool.measure.embeddings import EncodedVideo
from synctool.measure.volumes import FaceScores
from synctool.networks.loaded import LoadedModel
from synctool.types import Authenticity

_BEFORE_ALL = ("no_face", "no_speech", "face_too_small", "face_turned_away", "out_of_range")
"""Reasons of an inconclusive offset that leave nothing to judge here either."""


def authenticity_of(
    model: LoadedModel,
    encoded: EncodedVideo,
    findings: Findings,
    *,
    speech: np.ndarray,
    levels_db: np.ndarray,
) -> Authenticity:
    """Judge a video that was measured.

    Args:
        model: The model.
        encoded: The video, with its mouths.
        findings: What the model found in it.
        speech: Probability of speech at every frame of the audio.
        levels_db: Level of the audio in steps of 10 ms.
    """
    scores, decision = bundled_scores(), findings.decision
    reason = None
    if model.spec.full_name != scores.backbone:
        reason = f"the scores are fitted on {scores.backbone}, and {model.spec.full_name} measured this video"
    elif encoded.silent or encoded.steady:
        reason = decision.reason or "there is no speech in the audio"
    elif decision.code in _BEFORE_ALL:
        reason = decision.reason
    faces = _faces(findings, encoded.mouths, speech, levels_db)
    return judge_video(
        faces,
        model.calibration,
        scores,
        frames_late=encoded.frames_late,
        cannot_because=reason,
    )


def _faces(
    findings: Findings,
    mouths: Mapping[int, MouthSeries],
    speech: np.ndarray,
    levels_db: np.ndarray,
) -> list[Face]:
    return [
        Face(
            face.number,
            FaceSeries(
                face.volume,
                mouths[face.number].part(0, face.frames),
                speech,
                levels_db,
                face.first_frame,
                _counted(face, findings),
            ),
        )
        for face in findings.faces
        if face.number in mouths and mouths[face.number].frames >= face.frames
    ]


def _counted(face: FaceScores, findings: Findings) -> np.ndarray | None:
    """Frames whose speech may be this face's: not those in which another in view has the turn."""
    others = [f for f in findings.faces if f.number != face.number and _overlap(f, face)]
    if not others:
        return None
    own = slice(face.first_frame, face.first_frame + face.frames)
    if findings.activity is None:
        chosen = findings.video.chosen[own]
        counted = (chosen == face.number) | (chosen < 0)
        return np.pad(counted, (0, face.frames - counted.size))
    counted = np.ones(face.frames, bool)
    for turn in findings.activity.turns:
        if turn.number not in (None, face.number) and not turn.overlapping:
            start, stop = (max(at - face.first_frame, 0) for at in (turn.start, turn.stop))
            counted[start:stop] = False
    return counted


def _overlap(first: FaceScores, second: FaceScores) -> bool:
    return (
        first.first_frame < second.first_frame + second.frames
        and second.first_frame < first.first_frame + first.frames
    )


def spoken_faces(result: Authenticity) -> Sequence[int]:
    """Numbers of the faces that were judged, the one with most speech first."""
    seconds: dict[int, float] = {}
    for span in result.spans:
        seconds[span.track] = seconds.get(span.track, 0.0) + span.speech_s
    return sorted(seconds, key=lambda number: -seconds[number])
