"""The last seconds of a part: embeddings of its faces and its audio, its samples and its speech.

What is older is forgotten, so that memory stays flat for as long as the stream runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from synctool.features.steadiness import LevelSpread
from synctool.features.voice_activity import SPEECH, VoiceActivity
from synctool.measure.embeddings import AudioEmbeddings, FaceEmbeddings
from synctool.measure.encode_clip import is_silent
from synctool.types import SAMPLES_PER_FRAME, VIDEO_FPS

CLEAR_SHARE = 0.5
"""Audio of which so much sounds like speech is speech, however steady its level. Of steady windows of 6 s,
26 of 29 of speech under music (10 to -5 dB) sound so, and 2 of 72 of music and noise alone."""


@dataclass(frozen=True)
class Window:
    """What is measured: frames ``start`` to ``stop`` (not included) of a part, counted from ``start``.

    Attributes:
        start: Frame index of its first frame in the part.
        stop: Frame index after its last one.
        faces: The faces in it.
        audio: The audio in it, and beside it as far as offsets are searched.
        speech: Probability of speech at every frame, float32 ``[stop - start]``.
        silent: Whether its audio is silence.
        steady: Whether its audio is too steady for speech, and little of it sounds like speech: speech under
            music is as steady as music alone.
    """

    start: int
    stop: int
    faces: tuple[FaceEmbeddings, ...]
    audio: AudioEmbeddings
    speech: np.ndarray
    silent: bool
    steady: bool

    @property
    def frames(self) -> int:
        """Its length."""
        return self.stop - self.start


class RollingEmbeddings:
    """Takes what is encoded, and gives the last seconds of it.

    Args:
        keep_frames: So many frames are kept before the newest one, and at most a second more.
        beside_frames: The audio is kept so many frames further back.
        rows: D, the size of an embedding.
    """

    def __init__(self, *, keep_frames: int, beside_frames: int, rows: int) -> None:
        self._keep = keep_frames
        self._beside = beside_frames
        self._faces: dict[int, FaceEmbeddings] = {}
        self._audio = AudioEmbeddings(np.zeros((rows, 0), np.float16))
        self._preview = np.zeros((rows, 0), np.float16)
        self._samples = np.zeros(0, np.int16)
        self._samples_from = 0
        self._voice = VoiceActivity()

    def add_samples(self, samples: np.ndarray) -> None:
        """Take the next samples of the audio, int16 ``[N]``."""
        self._samples = np.concatenate([self._samples, samples])
        if samples.size:
            self._voice.add(samples)

    def add_audio(self, rows: np.ndarray, preview: np.ndarray) -> None:
        """Take the next embeddings of the audio, and those that stand in for what is not known for good.

        Args:
            rows: float16 ``[D, n]``, right after those taken before.
            preview: float16 ``[D, m]``, right after ``rows``; replaces the last preview.
        """
        known = self._audio
        self._audio = replace(known, rows=np.concatenate([known.rows, rows], 1))
        self._preview = preview

    def add_faces(self, pieces: Iterable[FaceEmbeddings]) -> None:
        """Take the next embeddings of faces, each right after what was taken of the same face before."""
        for piece in pieces:
            known = self._faces.get(piece.number)
            self._faces[piece.number] = piece if known is None else _joined(known, piece)

    def forget(self, stop: int) -> None:
        """Let go of what no window that ends at ``stop`` or later needs."""
        first = stop - self._keep
        faces = {n: _from(face, first) for n, face in self._faces.items()}
        self._faces = {n: face for n, face in faces.items() if face.end_frame > first}
        old = min(max(first - self._beside - self._audio.first_frame, 0), self._audio.rows.shape[1])
        self._audio = AudioEmbeddings(
            self._audio.rows[:, old:].copy(), self._audio.first_frame + old
        )
        begin = max(first * SAMPLES_PER_FRAME - self._samples_from, 0)
        begin = min(begin, self._samples.size)
        self._samples, self._samples_from = (
            self._samples[begin:].copy(),
            self._samples_from + begin,
        )
        self._voice.forget(max(first, 0) * SAMPLES_PER_FRAME)

    def window(self, start: int, stop: int) -> Window:
        """What is known of some frames.

        Args:
            start: Frame index of the first one; as far back as is kept.
            stop: Frame index after the last one.
        """
        parts = [face.part(start, stop) for _, face in sorted(self._faces.items())]
        rows = np.concatenate([self._audio.rows, self._preview], 1)
        middles = SAMPLES_PER_FRAME * np.arange(start, stop) + SAMPLES_PER_FRAME // 2
        begin, end = (max(at * SAMPLES_PER_FRAME - self._samples_from, 0) for at in (start, stop))
        heard = self._samples[begin:end]
        level = LevelSpread()
        level.add(heard)
        speech = self._voice.at(middles)
        little = speech.size == 0 or float((speech >= SPEECH).mean()) < CLEAR_SHARE
        return Window(
            start=start,
            stop=stop,
            faces=tuple(part for part in parts if part is not None),
            audio=AudioEmbeddings(rows, self._audio.first_frame - start),
            speech=speech,
            silent=is_silent(heard),
            steady=little and level.steady,
        )

    @property
    def held(self) -> int:
        """Numbers held, for a look at the memory."""
        faces = sum(face.rows.size for face in self._faces.values())
        return faces + self._audio.rows.size + self._preview.size + self._samples.size


def _joined(known: FaceEmbeddings, piece: FaceEmbeddings) -> FaceEmbeddings:
    return replace(
        known,
        rows=np.concatenate([known.rows, piece.rows], 1),
        boxes=(*known.boxes, *piece.boxes),
        eyes_apart=(*known.eyes_apart, *piece.eyes_apart),
    )


def _from(face: FaceEmbeddings, first: int) -> FaceEmbeddings:
    """A face without the whole seconds that lie before a frame: its boxes are one a second."""
    seconds = min(max(first - face.first_frame, 0), face.frames) // VIDEO_FPS
    seconds = min(seconds, max(len(face.boxes) - 1, 0))
    if not seconds:
        return face
    return FaceEmbeddings(
        face.number,
        face.first_frame + seconds * VIDEO_FPS,
        face.rows[:, seconds * VIDEO_FPS :].copy(),
        face.boxes[seconds:],
        face.eyes_apart[seconds:],
    )
