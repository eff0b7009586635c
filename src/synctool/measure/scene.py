"""What a video is like: shots, faces, speech, loudness, noise; noted while it is read once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synctool.faces.detector import eyes_apart
from synctool.faces.tracking import TrackedFrame
from synctool.features.loudness import STEPS
from synctool.features.programme_loudness import ProgrammeLoudness
from synctool.features.voice_activity import SPEECH
from synctool.features.voicing import Voicing
from synctool.scoring.speaking import Activity
from synctool.scoring.verdict import LEAST_EYES_APART
from synctool.types import VIDEO_FPS, SceneStatistics, Source

_SILENCE = 0.1
"""Probability of speech below which a frame is no speech."""
_LEAST_FRAMES = 12
_MOST_DB = 60.0


@dataclass(frozen=True)
class SceneNotes:
    """What was noted.

    Attributes:
        cuts: Frame indices that start a new shot, without the first.
        faces: Number of faces in every frame, int ``[frames]``.
        heights_px: Height of the largest face in every frame that has one.
        eyes_apart: How far apart the eyes of the largest face are, once a second.
        voiced: Whether each frame of the audio is voiced, bool ``[frames]``.
        loudness_lufs: Programme loudness; None for silence.
    """

    cuts: tuple[int, ...]
    faces: np.ndarray
    heights_px: np.ndarray
    eyes_apart: np.ndarray
    voiced: np.ndarray
    loudness_lufs: float | None


class SceneWatch:
    """Notes it, frame by frame and as the audio comes in."""

    def __init__(self) -> None:
        self._cuts: list[int] = []
        self._faces: list[int] = []
        self._heights: list[float] = []
        self._eyes: list[float] = []
        self._loudness, self._voicing = ProgrammeLoudness(), Voicing()

    def add(self, tracked: TrackedFrame) -> None:
        """Take the next frame."""
        if tracked.cut:
            self._cuts.append(tracked.frame.index)
        self._faces.append(len(tracked.poses))
        if not tracked.poses:
            return
        largest = max(tracked.poses.values(), key=lambda pose: float(pose.box[3] - pose.box[1]))
        self._heights.append(float(largest.box[3] - largest.box[1]))
        if tracked.frame.index % VIDEO_FPS == 0:
            self._eyes.append(eyes_apart(largest.points))

    def add_audio(self, samples: np.ndarray) -> None:
        """Take the next samples: int16 ``[N]``."""
        self._loudness.add(samples)
        self._voicing.add(samples)

    def notes(self, frames: int) -> SceneNotes:
        """What was noted of a video of so many frames."""
        return SceneNotes(
            tuple(self._cuts),
            np.array(self._faces, int),
            np.array(self._heights),
            np.array(self._eyes),
            self._voicing.frames(frames),
            self._loudness.lufs(),
        )


def scene_statistics(
    notes: SceneNotes,
    *,
    source: Source,
    speech: np.ndarray,
    levels_db: np.ndarray,
    activity: Activity | None,
) -> SceneStatistics:
    """What the notes say together.

    Args:
        notes: What was noted while the video was read.
        source: Facts about the video.
        speech: Probability of speech at every frame of the audio, ``[frames]``.
        levels_db: Level of the audio in steps of 10 ms.
        activity: Who speaks when; None where that is not known.
    """
    frames = max(len(notes.faces), 1)
    ends = np.array([0, *notes.cuts, frames])
    spoken = speech >= SPEECH
    height = source.height_px if source.turned_deg % 180 == 0 else source.width_px
    face_px = _median(notes.heights_px)
    return SceneStatistics(
        cuts_s=tuple(cut / VIDEO_FPS for cut in notes.cuts),
        cuts_per_min=60 * VIDEO_FPS * len(notes.cuts) / frames,
        shot_s=float(np.median(np.diff(ends))) / VIDEO_FPS,
        faces=float(notes.faces.mean()) if notes.faces.size else 0.0,
        most_faces=int(notes.faces.max(initial=0)),
        face_px=face_px,
        face_share=None if face_px is None else face_px / height,
        turned_share=float((notes.eyes_apart < LEAST_EYES_APART).mean())
        if notes.eyes_apart.size
        else None,
        speech_share=float(spoken.mean()) if spoken.size else 0.0,
        visible_speech_share=_visible(activity),
        voiced_share=float(notes.voiced[spoken].mean()) if spoken.any() else None,
        loudness_lufs=notes.loudness_lufs,
        snr_db=_snr_db(speech, levels_db),
    )


def _median(values: np.ndarray) -> float | None:
    return float(np.median(values)) if values.size else None


def _visible(activity: Activity | None) -> float | None:
    """Share of the speech whose speaker is in view."""
    if activity is None or not activity.speech.any():
        return None
    seen = np.zeros(len(activity.speech), bool)
    for turn in activity.turns:
        if turn.number is not None:
            seen[turn.start : turn.stop] = True
    return float(seen[activity.speech].mean())


def _snr_db(speech: np.ndarray, levels_db: np.ndarray) -> float | None:
    """Power of speech above that of the rest; None where there is too little of either."""
    power = 10 ** (levels_db[: STEPS * len(speech)].reshape(-1, STEPS) / 10)
    spoken, quiet = speech[: len(power)] >= SPEECH, speech[: len(power)] < _SILENCE
    if min(spoken.sum(), quiet.sum()) < _LEAST_FRAMES:
        return None
    noise = float(power[quiet].mean())
    voice = max(float(power[spoken].mean()) - noise, 1e-12)
    return float(np.clip(10 * np.log10(voice / noise), -_MOST_DB, _MOST_DB))
