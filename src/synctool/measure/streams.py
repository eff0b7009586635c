"""Embeddings as a film streams by: crops and sound go in piecemeal, dense embeddings come out, exactly
as if each face and the whole sound had been encoded in one go; of a network that is not bounded by its
receptive field, as if there were nothing beyond that much context."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np

from synctool.cores import usable_cores
from synctool.faces.crops import face_crop, mouth_crop
from synctool.faces.tracking import Pose
from synctool.features.frontends import FRONT_ENDS
from synctool.features.inputs import as_input
from synctool.features.level import LevelNormalizer, as_float
from synctool.features.steadiness import LevelSpread
from synctool.media.pictures import Picture
from synctool.media.sound import SoundTrack
from synctool.plugins.specs import BackboneSpec, VideoInput
from synctool.runtimes.protocol import Runtime
from synctool.types import SAMPLES_PER_FRAME

_VIDEO_CHUNK_PIXELS = 64 * 72 * 72
_SOUND_CHUNK_FRAMES = 256
_WAITING_CHUNKS = 2


@contextmanager
def encoding_beside(*runtimes: Runtime) -> Iterator[ThreadPoolExecutor]:
    """A pool of one thread for the networks, which leaves half of the cores to the rest of the work:
    threads of a network that wait for a taken core cost several times what they give."""
    most = max(1, usable_cores() // 2)
    # Those of one kind share their setting: each is asked before any is changed.
    before = [runtime.threads for runtime in runtimes]

    def begin() -> None:
        for runtime, count in zip(runtimes, before):
            runtime.threads = min(most, count)

    begin()
    pool = ThreadPoolExecutor(1, initializer=begin)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        for runtime, count in zip(runtimes, before):
            runtime.threads = count


class FaceStream:
    """Embeddings of one face.

    Args:
        runtime: Runs the network.
        spec: Its spec.
        first_tick: Tick of the first crop.
        beside: A pool of one thread that runs the network while this one goes on; None runs it here.
    """

    def __init__(
        self,
        *,
        runtime: Runtime,
        spec: BackboneSpec,
        first_tick: int,
        beside: Executor | None = None,
    ) -> None:
        self._runtime = runtime
        self._input = spec.video
        self._reach = spec.receptive_field_frames // 2
        pixels = spec.video.size_px**2 * spec.video.channels
        # Context on either side is encoded with every chunk, and should not be most of the work.
        self._chunk = max(8, _VIDEO_CHUNK_PIXELS // pixels, 2 * self._reach)
        self._crops: list[np.ndarray] = []
        self._known_before = 0
        self._beside = beside
        self._pieces: list[Future[np.ndarray] | np.ndarray] = []
        self.first_tick = first_tick
        self.frames = 0
        self.boxes: list[np.ndarray] = []

    def add(self, picture: Picture, pose: Pose, *, crop: np.ndarray | None = None) -> None:
        """Take the next picture of this face; ``crop`` is what ``crop_for`` gives of it, if cut already."""
        self._crops.append(crop_for(self._input, picture, pose) if crop is None else crop)
        if self.frames % 25 == 0:
            self.boxes.append(pose.box / picture.scale)
        self.frames += 1

    @property
    def ready(self) -> bool:
        """Whether a whole chunk waits to be encoded."""
        return len(self._crops) - self._known_before >= self._chunk + self._reach

    @property
    def waiting(self) -> bool:
        """Whether any crop waits."""
        return len(self._crops) > self._known_before

    def encode(self, *, last: bool = False) -> None:
        """Encode what waits; with ``last`` up to the end of the face."""
        while self.ready or (last and self.waiting):
            fresh = len(self._crops) - self._known_before
            count = fresh if last and fresh <= self._chunk + self._reach else self._chunk
            context = self._known_before + min(fresh, count + self._reach)
            crops = np.stack(self._crops[:context])
            wanted = slice(self._known_before, self._known_before + count)
            if self._beside is None:
                self._pieces.append(self._rows(crops, wanted))
            else:
                self._collect(keep=_WAITING_CHUNKS)
                self._pieces.append(self._beside.submit(self._rows, crops, wanted))
            keep = max(0, self._known_before + count - self._reach)
            self._known_before += count - keep
            del self._crops[:keep]

    def embeddings(self) -> np.ndarray:
        """float16 ``[D, T]``."""
        self._collect()
        return np.concatenate(self._pieces, 1)

    def _rows(self, crops: np.ndarray, wanted: slice) -> np.ndarray:
        rows = self._runtime.encode_video(as_input(crops, self._input))[0]
        return rows[:, wanted].astype(np.float16)

    def _collect(self, *, keep: int = 0) -> None:
        """Wait for all chunks but the last ``keep``, so that only a few are ever held."""
        for i in range(len(self._pieces) - keep - 1, -1, -1):
            piece = self._pieces[i]
            if not isinstance(piece, Future):
                return  # everything before is there as well
            self._pieces[i] = piece.result()


class SoundStream:
    """Embeddings of the sound.

    Args:
        runtime: Runs the network.
        spec: Its spec.
        sound: The film's sound, filling while the film is decoded.
        zero_frames: Constant error of the network, taken out by moving the sound exactly.
    """

    def __init__(
        self,
        *,
        runtime: Runtime,
        spec: BackboneSpec,
        sound: SoundTrack,
        zero_frames: float = 0.0,
    ) -> None:
        self._runtime = runtime
        self._size = spec.embedding_size
        self._front = FRONT_ENDS[spec.audio.kind]
        self._sound = LeveledSound(sound, self._front.level_db)
        self._reach = spec.audio_receptive_field_frames // 2 + 1
        self._chunk = max(_SOUND_CHUNK_FRAMES, 2 * self._reach)
        moved = round(zero_frames * SAMPLES_PER_FRAME)
        self._held = np.zeros(self._front.before + max(moved, 0), np.float32)
        self._to_drop = max(-moved, 0)
        self._known_before = 0
        self._pieces: list[np.ndarray] = []

    def encode(self, *, last: bool = False) -> None:
        """Encode what has come in; with ``last`` up to the end of the sound."""
        self._sound.fill(last=last)
        if self._to_drop:
            self._to_drop -= self._sound.pop(self._to_drop).size
        wanted = self._known_before + self._chunk + self._reach
        while True:
            missing = self._samples(wanted) - self._held.size
            if not last and self._sound.available < missing:
                return
            self._held = np.concatenate([self._held, self._sound.pop(max(missing, 0))])
            at_end = self._held.size < self._samples(wanted)
            if at_end:
                self._finish()
                return
            self._encode(wanted, self._chunk)
            wanted = self._known_before + self._chunk + self._reach

    def embeddings(self) -> np.ndarray:
        """float16 ``[D, T_audio]``; row t belongs to tick t."""
        if not self._pieces:
            return np.zeros((self._size, 0), np.float16)
        return np.concatenate(self._pieces, 1)

    @property
    def steady(self) -> bool:
        """Whether what has come in is too steady for speech."""
        return self._sound.spread.steady

    def _samples(self, frames: int) -> int:
        return self._front.before + frames * SAMPLES_PER_FRAME + self._front.after

    def _finish(self) -> None:
        real = self._held.size - self._front.before
        frames = -(-real // SAMPLES_PER_FRAME)
        if frames > self._known_before:
            padding = self._samples(frames) - self._held.size
            self._held = np.pad(self._held, (0, max(padding, 0)))
            self._encode(frames, frames - self._known_before)

    def _encode(self, frames: int, count: int) -> None:
        features = self._front.compute(self._held[: self._samples(frames)])
        rows = self._runtime.encode_audio(features[None])[0]
        wanted = slice(self._known_before, self._known_before + count)
        self._pieces.append(rows[:, wanted].astype(np.float16))
        keep = max(0, self._known_before + count - self._reach)
        self._known_before += count - keep
        self._held = self._held[keep * SAMPLES_PER_FRAME :]


class LeveledSound:
    """The samples of a ``SoundTrack`` at the level that a front end wants, as they come in.

    Args:
        sound: Where they come from.
        level_db: Speech level to bring them to; None leaves them as they are.
    """

    def __init__(self, sound: SoundTrack, level_db: float | None) -> None:
        self._sound = sound
        self._normalizer = None if level_db is None else LevelNormalizer(level_db)
        self._ready: deque[np.ndarray] = deque()
        self.available = 0
        self.spread = LevelSpread()

    def fill(self, *, last: bool = False) -> None:
        """Take what has come in; with ``last`` also what is left at the end of the sound."""
        samples = self._sound.pop(self._sound.available)
        self.spread.add(samples)
        if self._normalizer is None:
            self._append(as_float(samples))
            return
        self._append(self._normalizer.add(samples))
        if last:
            self._append(self._normalizer.finish())

    def pop(self, count: int) -> np.ndarray:
        """Take at most ``count`` samples off the front: float32."""
        held = np.concatenate([*self._ready, np.zeros(0, np.float32)])
        self._ready.clear()
        self.available = 0
        self._append(held[count:])
        return held[:count]

    def _append(self, samples: np.ndarray) -> None:
        if samples.size:
            self._ready.append(samples)
            self.available += samples.size


def crop_for(wanted: VideoInput, picture: Picture, pose: Pose) -> np.ndarray:
    """The crop that a network wants: uint8 ``[S, S]`` or ``[S, S, 3]``."""
    source = picture.luma if wanted.colour == "gray" else picture.colour
    if wanted.crop == "mouth":
        return mouth_crop(source, pose.points, wanted.size_px)
    return face_crop(source, pose.box, wanted.size_px)
