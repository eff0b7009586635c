"""Embeddings of a face as its crops come in: exactly those of the whole face at once; of a model that is
not bounded by its receptive field, as if there were nothing beyond that much context."""

from __future__ import annotations

from concurrent.futures import Executor, Future

import numpy as np

from synctool.faces.crops import face_crop, mouth_crop
from synctool.faces.detector import eyes_apart
from synctool.faces.tracking import Pose
from synctool.features.inputs import as_input
from synctool.measure.embeddings import FaceEmbeddings
from synctool.media.frame_reader import TimelineFrame
from synctool.plugins.specs import ModelSpec, VideoInput
from synctool.runtimes.protocol import Runtime

_CHUNK_PIXELS = 96 * 72 * 72
"""Of the default model 96 frames: of 64 a frame takes 1.39 ms, of 96 1.09 ms, of more hardly less."""
_WAITING_CHUNKS = 2


class FaceEncoder:
    """Encodes one face, chunk by chunk.

    Args:
        runtime: Runs the model.
        spec: Its spec.
        first_frame: Frame index of the first crop.
        pool: One thread that runs the model while this one goes on; None runs it here.
        chunk_frames: At most so many frames are encoded at once; None for as many as are cheapest.

    Attributes:
        input: The crops that it takes.
        first_frame: Frame index of the first crop.
        frames: Crops taken so far.
        boxes: ``[4]`` each: left, top, right, bottom in source pixels, once a second.
        eyes_apart: See ``eyes_apart``, once a second.
    """

    def __init__(
        self,
        *,
        runtime: Runtime,
        spec: ModelSpec,
        first_frame: int,
        pool: Executor | None = None,
        chunk_frames: int | None = None,
    ) -> None:
        self._runtime = runtime
        self.input = spec.video
        self._context = spec.receptive_field_frames // 2
        pixels = spec.video.size_px**2 * spec.video.channels
        # Context on either side is encoded with every chunk, and should not be most of the work.
        self._chunk = max(8, _CHUNK_PIXELS // pixels, 2 * self._context)
        if chunk_frames is not None:
            self._chunk = min(self._chunk, chunk_frames)
        self._crops: list[np.ndarray] = []
        self._known_before = 0
        self._pool = pool
        self._pieces: list[Future[np.ndarray] | np.ndarray] = []
        self.first_frame = first_frame
        self.frames = 0
        self._taken = 0
        self.boxes: list[np.ndarray] = []
        self.eyes_apart: list[float] = []

    def add(self, frame: TimelineFrame, pose: Pose, *, crop: np.ndarray | None = None) -> None:
        """Take the next frame of this face; ``crop`` is what ``crop_for`` gives of it, if cut already."""
        self._crops.append(crop_for(self.input, frame, pose) if crop is None else crop)
        if self.frames % 25 == 0:
            self.boxes.append(pose.box / frame.scale)
            self.eyes_apart.append(eyes_apart(pose.points))
        self.frames += 1

    @property
    def ready(self) -> bool:
        """Whether a whole chunk waits to be encoded."""
        return len(self._crops) - self._known_before >= self._chunk + self._context

    @property
    def _settled(self) -> int:
        """Crops that wait and have all of their context."""
        return len(self._crops) - self._known_before - self._context

    @property
    def waiting(self) -> bool:
        """Whether any crop waits."""
        return len(self._crops) > self._known_before

    def encode(self, *, last: bool = False, settled: bool = False) -> None:
        """Encode what waits: whole chunks.

        Args:
            last: Go up to the end of the face.
            settled: Go as far as the context after a frame is there.
        """
        while self.ready or (last and self.waiting) or (settled and self._settled > 0):
            fresh = len(self._crops) - self._known_before
            count = fresh if last and fresh <= self._chunk + self._context else self._chunk
            if settled:
                count = min(self._settled, self._chunk)
            given = self._known_before + min(fresh, count + self._context)
            crops = np.stack(self._crops[:given])
            wanted = slice(self._known_before, self._known_before + count)
            if self._pool is None:
                self._pieces.append(self._rows(crops, wanted))
            else:
                self._collect(keep=_WAITING_CHUNKS)
                self._pieces.append(self._pool.submit(self._rows, crops, wanted))
            keep = max(0, self._known_before + count - self._context)
            self._known_before += count - keep
            del self._crops[:keep]

    def embeddings(self) -> np.ndarray:
        """float16 ``[D, T]``."""
        rows = np.concatenate(self._collect(), 1)
        self._pieces = [rows]
        return rows

    def take(self, number: int) -> FaceEmbeddings | None:
        """What was encoded since it was last taken, as a face of its own; it is no longer held.

        Args:
            number: Its track number.

        Returns:
            None where there is nothing new. Boxes are those that were noted since.
        """
        if not self._pieces:
            return None
        rows = np.concatenate(self._collect(), 1)
        first = self.first_frame + self._taken
        taken = FaceEmbeddings(number, first, rows, tuple(self.boxes), tuple(self.eyes_apart))
        self._pieces, self.boxes, self.eyes_apart = [], [], []
        self._taken += rows.shape[1]
        return taken

    def _rows(self, crops: np.ndarray, wanted: slice) -> np.ndarray:
        rows = self._runtime.encode_video(as_input(crops, self.input))[0]
        return rows[:, wanted].astype(np.float16)

    def _collect(self, *, keep: int = 0) -> list[np.ndarray]:
        """Wait for all chunks but the last ``keep``, so that only a few are ever held."""
        count = max(len(self._pieces) - keep, 0)
        done = [p.result() if isinstance(p, Future) else p for p in self._pieces[:count]]
        self._pieces[:count] = done
        return done


class FrameCrops:
    """The crops of one frame; what two models want alike is cut once.

    Args:
        frame: The frame.
        colour: Order of its colours, ``rgb`` or ``bgr``; None where it has none.
    """

    def __init__(self, frame: TimelineFrame, *, colour: str | None) -> None:
        self.frame = frame
        self._colour = colour
        self._cut: dict[tuple[int, str, int, bool], np.ndarray] = {}

    def cut(self, wanted: VideoInput, number: int, pose: Pose) -> np.ndarray:
        """uint8 ``[S, S]`` or ``[S, S, 3]`` of the face with that track number."""
        grey = wanted.colour == "gray"
        kind = (number, wanted.crop, wanted.size_px, grey)
        if kind not in self._cut:
            self._cut[kind] = crop_for(wanted, self.frame, pose)
        crop = self._cut[kind]
        return crop if grey or wanted.colour == self._colour else crop[..., ::-1]


def crop_for(wanted: VideoInput, frame: TimelineFrame, pose: Pose) -> np.ndarray:
    """The crop that a model wants: uint8 ``[S, S]`` or ``[S, S, 3]``."""
    source = frame.luma if wanted.colour == "gray" else frame.colour
    if source is None:
        raise ValueError("the frame was decoded without what the model wants of it")
    if wanted.crop == "mouth":
        return mouth_crop(source, pose.points, wanted.size_px)
    return face_crop(source, pose.box, wanted.size_px)
