"""Where the voices of a video are heard in its stereo audio, beside where their faces are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from synctool.faces.turning import box_before_turning
from synctool.features.direction import Heard, StereoPair
from synctool.features.voice_activity import SPEECH
from synctool.measure.analyze import Findings
from synctool.measure.embeddings import EncodedVideo, FaceEmbeddings
from synctool.scoring.direction import Moment, compare_directions
from synctool.types import VIDEO_FPS, AudioDirection, Source, SpeakerDirection

_PAIR = ("FL", "FR")
LEAST_FRAMES = 8
"""Shorter moments of speech (0.32 s) are left out."""


def direction_of(
    encoded: EncodedVideo,
    findings: Findings,
    faces: tuple[FaceEmbeddings, ...],
    *,
    reference: str,
) -> AudioDirection:
    """Compare where voices are heard with where their faces are.

    Args:
        encoded: The video, with its channels and the speech of what is measured.
        findings: What the model found in it.
        faces: Its faces, with their boxes.
        reference: Name of the channel in which the speech is clearest; "" for audio of one channel.
    """
    names, activity = encoded.channel_names, findings.activity
    if not encoded.channels:
        return _cannot("the audio has one channel")
    if any(name not in names for name in _PAIR):
        return _cannot("the audio has no left and right channel")
    if reference not in _PAIR:
        return _cannot(f"the voice is in the channel {reference}")
    if activity is None or findings.decision.verdict == "inconclusive":
        return _cannot("nobody is known to speak in view")
    assert encoded.speech is not None
    left, right = (encoded.channels[names.index(name)] for name in _PAIR)
    pair = StereoPair(left, right, encoded.speech < SPEECH / 2)
    if pair.identical:
        return _cannot("both channels carry the same")
    boxes = {face.number: face for face in faces}
    moments: list[tuple[int, Moment, Heard]] = []
    audio_at = _audio_frames(findings, encoded.frames_late)
    for number, frames in _moments(findings):
        heard = pair.heard(audio_at[frames])
        if heard is not None:
            place = _place(boxes[number], frames, encoded.source)
            moments.append((number, Moment(place, heard.side, len(frames) / VIDEO_FPS), heard))
    compared = compare_directions([moment for _, moment, _ in moments])
    by_face: dict[int, list[tuple[Moment, Heard]]] = {}
    for number, moment, heard in moments:
        by_face.setdefault(number, []).append((moment, heard))
    return AudioDirection(
        compared.verdict,
        compared.reason,
        compared.agreement,
        sum(moment.speech_s for _, moment, _ in moments),
        tuple(_speaker(number, own) for number, own in sorted(by_face.items())),
    )


def _cannot(reason: str) -> AudioDirection:
    return AudioDirection("cannot tell", reason)


def _audio_frames(findings: Findings, frames_late: float) -> np.ndarray:
    """The frame of the audio that belongs to every frame of the video."""
    found, whole = findings.frames.offset_frames, findings.offset_frames or 0.0
    offsets = np.array([whole if offset is None else offset for offset in found]) - frames_late
    return np.round(np.arange(len(offsets)) - offsets).astype(int)


def _moments(findings: Findings) -> Iterator[tuple[int, np.ndarray]]:
    """Up to a second each of one face's speech, alone: its number, and frames of the video."""
    activity = findings.activity
    assert activity is not None
    turns = [t for t in activity.turns if not t.overlapping and t.number is not None]
    beside = np.zeros(len(activity.speech), bool)
    for turn in activity.turns:
        if turn.overlapping:
            beside[turn.start : turn.stop] = True
    alone = activity.speech & ~beside
    alone[len(findings.frames.offset_frames) :] = False
    for turn in turns:
        assert turn.number is not None
        for start in range(turn.start, turn.stop, VIDEO_FPS):
            own = np.arange(start, min(start + VIDEO_FPS, turn.stop))
            own = own[alone[own]]
            if len(own) >= LEAST_FRAMES:
                yield turn.number, own


def _place(face: FaceEmbeddings, frames: np.ndarray, source: Source) -> float:
    """Where the face is, from -1, the left edge of the image, to +1."""
    second = int(frames.mean() - face.first_frame) // VIDEO_FPS
    box = face.boxes[int(np.clip(second, 0, len(face.boxes) - 1))]
    left, _, right, _ = box_before_turning(
        box, source.turned_deg // 90, width_px=source.width_px, height_px=source.height_px
    )
    return float(np.clip((left + right) / source.width_px - 1, -1, 1))


def _speaker(number: int, moments: list[tuple[Moment, Heard]]) -> SpeakerDirection:
    """Medians over the moments of one face."""
    delays = [heard.delay_ms for _, heard in moments if heard.delay_ms is not None]
    return SpeakerDirection(
        track=number,
        place=float(np.median([moment.place for moment, _ in moments])),
        level_db=float(np.median([heard.level_db for _, heard in moments])),
        delay_ms=float(np.median(delays)) if len(delays) > len(moments) / 2 else None,
        speech_s=sum(moment.speech_s for moment, _ in moments),
    )
