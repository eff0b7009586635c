"""One of the models that encode a video: its faces, its audio, its time, its failure."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import Executor
from dataclasses import replace

import numpy as np

from synctool.errors import described
from synctool.faces.tracking import TrackedFrame
from synctool.measure.audio_encoder import AudioEncoder
from synctool.measure.embeddings import AudioEmbeddings, FaceEmbeddings, ModelEmbeddings
from synctool.measure.face_encoder import FaceEncoder, FrameCrops
from synctool.measure.timing import Stopwatch, TimedExecutor
from synctool.networks.loaded import LoadedModel
from synctool.types import SAMPLES_PER_FRAME


class ModelEncoder:
    """Encodes what a video shows and says, as it is read.

    Args:
        model: The model.
        pool: Runs it on crops while the video is read on.
        stopwatch: Told when time goes to crops (``video``) instead of ``faces``.
        isolated: Whether a failure of the model is noted, and ends its own work only; else it is raised.
        chunk_frames: At most so many frames are encoded at once; None for as many as are cheapest.
    """

    def __init__(
        self,
        model: LoadedModel,
        *,
        pool: Executor,
        stopwatch: Stopwatch,
        isolated: bool,
        chunk_frames: int | None = None,
    ) -> None:
        self._model = model
        self._pool = TimedExecutor(pool, device=model.runtime.device)
        self._stopwatch = stopwatch
        self._isolated = isolated
        self._chunk: dict[str, int] = {} if chunk_frames is None else {"chunk_frames": chunk_frames}
        self._faces: dict[int, FaceEncoder] = {}
        self._audio: AudioEncoder | None = None
        self._error: str | None = None

    def add(self, tracked: TrackedFrame, crops: FrameCrops) -> None:
        """Take the next frame, and encode the faces of which enough has come in."""
        self._try(lambda: self._add(tracked, crops))

    def release(self, tracked: TrackedFrame) -> None:
        """Finish the faces that have gone: they do not come back under their number."""
        gone = [face for number, face in self._faces.items() if number not in tracked.poses]
        self._try(lambda: self._encode([face for face in gone if face.waiting], last=True))

    def add_audio(self, samples: np.ndarray) -> None:
        """Take the next samples, int16 ``[N]``."""
        self._try(lambda: self._audio_encoder().add(samples))

    def finish_audio(self) -> None:
        """Encode up to the end of the audio."""
        self._try(lambda: self._audio_encoder().finish())

    def take(self, present: Collection[int]) -> list[FaceEmbeddings]:
        """What is known for good of the faces and was not taken yet; it is no longer held.

        Args:
            present: Numbers of the faces that are still followed; the others were released.
        """
        self._try(lambda: self._encode(list(self._faces.values()), settled=True))
        taken = [face.take(number) for number, face in self._faces.items()]
        self._faces = {n: face for n, face in self._faces.items() if n in present}
        return [piece for piece in taken if piece is not None]

    def take_audio(self) -> tuple[np.ndarray, np.ndarray]:
        """Audio embeddings, float16 ``[D, n]``: those that are known for good and were not taken yet, and
        those that would follow if the audio ended here."""
        encoder = self._audio_encoder()
        return encoder.take(), encoder.preview()

    def finish(self) -> ModelEmbeddings:
        """Encode what is left of the faces, and wait for the model."""
        self._try(lambda: self._encode(list(self._faces.values()), last=True))
        faces: list[FaceEmbeddings] = []
        self._try(lambda: faces.extend(self._embeddings()))
        made = ModelEmbeddings(
            backbone=self._model.spec.full_name,
            weights=self._model.weights,
            seconds=self._pool.seconds,
            error=self._error,
        )
        if self._error is not None:
            return made
        made = replace(made, faces=tuple(faces))
        audio = self._audio
        return made if audio is None else replace(made, audio=AudioEmbeddings(audio.embeddings()))

    def _add(self, tracked: TrackedFrame, crops: FrameCrops) -> None:
        runtime, spec = self._model.runtime, self._model.spec
        for number, pose in tracked.poses.items():
            face = self._faces.get(number)
            if face is None:
                face = self._faces[number] = FaceEncoder(
                    runtime=runtime,
                    spec=spec,
                    first_frame=tracked.frame.index,
                    pool=self._pool,
                    **self._chunk,
                )
            crop = crops.cut(face.input, number, pose)
            face.add(tracked.frame, pose, crop=crop)
            if face.ready:
                self._encode([face])

    def _encode(
        self, faces: list[FaceEncoder], *, last: bool = False, settled: bool = False
    ) -> None:
        if not faces:
            return
        self._stopwatch.now("video")
        for face in faces:
            face.encode(last=last, settled=settled)
        self._stopwatch.now("faces")

    def _embeddings(self) -> list[FaceEmbeddings]:
        return [
            FaceEmbeddings(
                number,
                face.first_frame,
                face.embeddings(),
                tuple(face.boxes),
                tuple(face.eyes_apart),
            )
            for number, face in sorted(self._faces.items())
        ]

    def _audio_encoder(self) -> AudioEncoder:
        if self._audio is None:
            self._audio = AudioEncoder(
                runtime=self._model.runtime,
                spec=self._model.spec,
                delay_samples=round(self._model.zero_frames * SAMPLES_PER_FRAME),
                **self._chunk,
            )
        return self._audio

    def _try(self, step: Callable[[], object]) -> None:
        if self._error is not None:
            return
        try:
            step()
        except Exception as error:  # a model may fail in any way
            if not self._isolated:
                raise
            self._error = described(error)
            self._faces.clear()
            self._stopwatch.now("faces")
