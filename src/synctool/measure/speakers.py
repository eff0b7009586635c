"""Who speaks when in a video, from the scores of its faces and what the audio says of speech."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from synctool.measure.volumes import FaceScores
from synctool.scoring.overall import OverallOffset
from synctool.scoring.speaking import Activity, FaceVolume, Turn, find_turns
from synctool.scoring.verdict import Decision, sure_segments
from synctool.types import VIDEO_FPS, Segment, SpeakerTurn


def offset_by_frame(
    frames: int, segments: Sequence[Segment], overall: OverallOffset | None
) -> np.ndarray:
    """The offset at every frame, float64 ``[frames]``: that of the sure segments, elsewhere of the whole."""
    offsets = np.full(frames, overall.offset_frames if overall else 0.0)
    for segment in sure_segments(segments):
        start, stop = (round(at * VIDEO_FPS) for at in (segment.start_s, segment.end_s))
        offsets[start:stop] = segment.offset_frames
    return offsets


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


def speaker_turn(turn: Turn) -> SpeakerTurn:
    """A turn in seconds, as results have it."""
    begin_s, end_s = turn.start / VIDEO_FPS, turn.stop / VIDEO_FPS
    return SpeakerTurn(turn.number, begin_s, end_s, turn.confidence, turn.overlapping)
