"""Who speaks when in a video, from the scores of its faces and what the audio says of speech."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from synctool.measure.volumes import FaceScores
from synctool.scoring.confidence import Calibration
from synctool.scoring.offset import estimate_offset
from synctool.scoring.overall import OverallOffset
from synctool.scoring.speaking import Activity, FaceVolume, Turn, find_turns
from synctool.scoring.verdict import LEAST_CONFIDENCE, LEAST_FRAMES, Decision, sure_segments
from synctool.types import FRAME_MS, VIDEO_FPS, Segment, SpeakerTurn


def offset_by_frame(
    frames: int,
    segments: Sequence[Segment],
    overall: OverallOffset | None,
    *,
    drift_ms_per_min: float | None = None,
) -> np.ndarray:
    """The offset at every frame: that of the sure segments, elsewhere of the whole.

    Args:
        frames: Length of the video.
        segments: Its segments.
        overall: The offset of the whole.
        drift_ms_per_min: By how much the offset of a segment grows along it; None for not at all.

    Returns:
        float64 ``[frames]``, > 0: audio ahead.
    """
    offsets = np.full(frames, overall.offset_frames if overall else 0.0)
    slope = (drift_ms_per_min or 0.0) / FRAME_MS / (60 * VIDEO_FPS)
    for segment in sure_segments(segments):
        start, stop = (round(at * VIDEO_FPS) for at in (segment.start_s, segment.end_s))
        along = np.arange(start, min(stop, frames)) - (start + stop - 1) / 2
        offsets[start:stop] = segment.offset_frames + slope * along
    return offsets


def is_speaking(face: FaceScores) -> bool:
    """Whether the audio is this face's own, as far as its whole track or its turns tell."""
    return face.certainty.confidence >= LEAST_CONFIDENCE and face.certainty.is_match


def activity_of(
    decision: Decision,
    faces: Sequence[FaceScores],
    offset_frames: np.ndarray,
    heard: np.ndarray,
    overall: OverallOffset | None,
) -> Activity | None:
    """Who speaks when.

    Args:
        decision: The verdict on the video.
        faces: Its faces.
        offset_frames: See ``offset_by_frame``.
        heard: Whether there is speech at every frame of the audio, bool ``[frames]``.
        overall: The offset of the whole.

    Returns:
        The turns. Without a verdict: all speech is an off-screen voice where there is no face, or where the
        audio is likely another's; else None, as nobody can be told to speak or not to.
    """
    if decision.verdict != "inconclusive":
        seen = [FaceVolume(face.number, face.first_frame, face.volume) for face in faces]
        return find_turns(seen, offset_frames, heard)
    if decision.code not in ("no_face", "audio_from_elsewhere"):
        return None
    doubt = overall.confidence if overall else 0.0
    found = find_turns([], np.zeros(len(offset_frames)), heard)
    doubted = (replace(turn, confidence=turn.confidence * (1 - doubt)) for turn in found.turns)
    return replace(found, turns=tuple(doubted))


def while_speaking(
    face: FaceScores, activity: Activity, calibration: Calibration, *, frames_late: float = 0.0
) -> FaceScores:
    """A face whose offset the whole of its track does not tell, from its own turns.

    Args:
        face: The face.
        activity: Who speaks when.
        calibration: Says how sure the offset is.
        frames_late: Is added to it.

    Returns:
        The face, with the offset and the certainty of the frames in which it speaks where these are surer.
    """
    speaks = np.zeros(face.frames, bool)
    for turn in activity.turns:
        if turn.number == face.number:
            speaks[turn.start - face.first_frame : turn.stop - face.first_frame] = True
    estimate = estimate_offset(face.volume[:, speaks]) if speaks.any() else None
    if estimate is None or estimate.frames < LEAST_FRAMES:
        return face
    certainty = calibration.certainty(estimate)
    before = face.certainty
    if (certainty.is_match, certainty.confidence) <= (before.is_match, before.confidence):
        return face
    offset_frames = estimate.offset_frames + frames_late
    return replace(
        face, estimate=replace(estimate, offset_frames=offset_frames), certainty=certainty
    )


def speaker_turn(turn: Turn) -> SpeakerTurn:
    """A turn in seconds, as results have it."""
    begin_s, end_s = turn.start / VIDEO_FPS, turn.stop / VIDEO_FPS
    return SpeakerTurn(turn.number, begin_s, end_s, turn.confidence, turn.overlapping)
