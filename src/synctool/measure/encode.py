"""A film read once for several networks: what each of them saw, and the sound for all.

The film is opened, decoded and followed once, whatever the number of networks; crops that two of them
want alike are cut once; each encodes its own as the film streams by. Of the pictures only embeddings
stay (of the default network 25 kB a second). The sound is kept whole, as 16-bit samples at 16 kHz: 1.9 MB a
minute, 115 MB an hour. So it can be encoded again under any shift, without the film.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from synctool.errors import SyncToolError, UsageError
from synctool.faces.detector import FaceDetector
from synctool.faces.tracking import TrackedPicture
from synctool.measure.detect import DetectProgress
from synctool.measure.streams import encoding_beside
from synctool.measure.thumbnails import Thumbnail, ThumbnailKeeper
from synctool.measure.timing import Stopwatch, network_clock
from synctool.measure.track_encoders import Crops, FacesSeen
from synctool.measure.tracks import build_detector, followed
from synctool.media.film import Film
from synctool.media.waiting import STALL_S
from synctool.networks.loaded import LoadedModel
from synctool.types import PLAYED, VIDEO_FPS, Source, StreamSelection


@dataclass(frozen=True)
class RecordedFace:
    """One face as one network sees it.

    Attributes:
        number: Its track number.
        first_tick: Tick of its first frame.
        rows: Embeddings, float16 ``[D, T]``.
        boxes: ``[4]`` each: left, top, right, bottom in source pixels, once a second.
    """

    number: int
    first_tick: int
    rows: np.ndarray
    boxes: tuple[np.ndarray, ...]

    @property
    def frames(self) -> int:
        """T."""
        return self.rows.shape[1]

    def embeddings(self) -> np.ndarray:
        """The rows, as a ``FaceStream`` gives them."""
        return self.rows

    def part(self, start: int, stop: int) -> RecordedFace | None:
        """The face between two ticks of the film, its ticks counted from the first of them.

        The rows were made with the film's pictures round them, so the first and the last ones have seen a
        few frames beyond the cut.

        Returns:
            None where there is nothing of it.
        """
        low = max(start, self.first_tick)
        high = min(stop, self.first_tick + self.frames)
        if low >= high:
            return None
        rows = self.rows[:, low - self.first_tick : high - self.first_tick]
        first = min((low - self.first_tick) // VIDEO_FPS, len(self.boxes) - 1)
        last = -(-(high - self.first_tick) // VIDEO_FPS)
        return RecordedFace(
            self.number, low - start, rows, self.boxes[first : max(last, first + 1)]
        )


@dataclass(frozen=True)
class Seen:
    """What one network saw of a film.

    Attributes:
        backbone: Its full name.
        weights: Name and checksum of its weights.
        faces: The faces, in the order of their numbers.
        seconds: Time that it took for the pictures, without what the networks share; see
            ``network_clock``.
        error: Why it saw nothing; the other networks are not concerned.
    """

    backbone: str
    weights: str
    faces: tuple[RecordedFace, ...] = ()
    seconds: float = 0.0
    error: str | None = None


@dataclass(frozen=True)
class Recording:
    """A film as several networks saw it, with its sound.

    Attributes:
        source: Facts about the film.
        ticks: Its length in 25 Hz frames.
        sound: int16 ``[N]``, 16 kHz.
        seen: One for each network, in their order.
        shared_s: Seconds that the networks shared: ``decode`` and ``faces`` (with the crops).
        thumbnails: A few small pictures, where they were asked for.
        sound_at: Where the first sample of the sound lies, in samples from tick 0: 0 for films.
        frames_late: How much later than their ticks the pictures belong on average, in 25 Hz frames.
    """

    source: Source
    ticks: int
    sound: np.ndarray
    seen: tuple[Seen, ...]
    shared_s: Mapping[str, float] = field(default_factory=dict)
    thumbnails: tuple[Thumbnail, ...] = ()
    sound_at: int = 0
    frames_late: float = 0.0

    @property
    def shared_total_s(self) -> float:
        """All seconds that the networks shared."""
        return sum(self.shared_s.values())

    def seen_by(self, model: LoadedModel) -> Seen:
        """What a network saw.

        Raises:
            KeyError: The film was not recorded for it.
        """
        for seen in self.seen:
            if (seen.backbone, seen.weights) == (model.spec.full_name, model.weights):
                return seen
        raise KeyError(f"not recorded for {model.spec.full_name} with {model.weights}")


def record(
    path: str | os.PathLike[str],
    models: Sequence[LoadedModel],
    *,
    detector: str | FaceDetector = "centerface",
    streams: StreamSelection = PLAYED,
    max_faces: int = 4,
    allow_external: bool = False,
    stall_timeout: float = STALL_S,
    thumbnails: int = 0,
    on_progress: Callable[[DetectProgress], None] | None = None,
) -> Recording:
    """Read a film for several networks.

    A network that fails is noted as such, and the others go on.

    Args:
        path: The film.
        models: The networks.
        detector: A face detector, or the name of one.
        streams: Which of its streams, as a player takes them unless told.
        max_faces: At most so many faces are followed at a time.
        allow_external: Whether a playlist may name local files outside its folder.
        stall_timeout: Longest wait for a frame, in seconds, before a video is given up; 0 waits for ever.
        thumbnails: At most so many small pictures are kept.
        on_progress: Called every second of film.

    Raises:
        MissingError: No such file.
        MediaError: It cannot be read, or has no picture or no sound.
        UsageError: It has no such sound track, there is no such detector, or two networks are the same.
    """
    _check_different(models)
    faces = build_detector(detector) if isinstance(detector, str) else detector
    watch = Stopwatch()
    watch.now("decode")
    colour = _colour(models)
    sound: list[np.ndarray] = []
    with (
        encoding_beside(*(model.runtime for model in models)) as beside,
        Film(
            path,
            streams=streams,
            colour=colour,
            allow_external=allow_external,
            stall_s=stall_timeout,
        ) as film,
    ):
        viewers = [_Viewer(model, beside, watch) for model in models]
        kept = ThumbnailKeeper(thumbnails, expected_ticks=film.expected_ticks, colour=colour)
        for tracked in followed(film, faces, max_faces=max_faces, watch=watch):
            kept.see(tracked)
            crops = Crops(tracked.picture, colour=colour)
            for viewer in viewers:
                viewer.add(tracked, crops)
            tick = tracked.picture.index
            if tick % VIDEO_FPS == 0:
                for viewer in viewers:
                    viewer.release(tracked)
                sound.append(film.sound.pop(film.sound.available))
                if on_progress:
                    on_progress(DetectProgress(tick, film.expected_ticks))
        watch.now("video")
        sound.append(film.sound.pop(film.sound.available))
        seen = tuple(viewer.finish() for viewer in viewers)
        watch.now("")
        return Recording(
            source=film.source,
            ticks=max(film.tick, 1),
            sound=np.concatenate(sound),
            seen=seen,
            shared_s={name: watch.seconds.get(name, 0.0) for name in ("decode", "faces")},
            thumbnails=kept.thumbnails(),
            frames_late=film.frames_late,
        )


def words(error: Exception) -> str:
    """An exception of a network as a sentence for people."""
    if isinstance(error, SyncToolError):
        return str(error)
    return " ".join(f"{type(error).__name__}: {error}".split())


class _Viewer:
    """One of the networks: its faces, its time, and its error once it has failed."""

    def __init__(self, model: LoadedModel, beside: Executor, watch: Stopwatch) -> None:
        self._model = model
        self._clock = _Clock(beside, device=model.runtime.device)
        self._seen: FacesSeen | None = FacesSeen(model=model, beside=self._clock, watch=watch)
        self._watch = watch
        self._error: str | None = None

    def add(self, tracked: TrackedPicture, crops: Crops) -> None:
        self._try(lambda seen: seen.add(tracked, crops))
        self._watch.now("faces")

    def release(self, tracked: TrackedPicture) -> None:
        self._try(lambda seen: seen.release(tracked))
        self._watch.now("faces")

    def finish(self) -> Seen:
        self._try(lambda seen: seen.finish())
        faces: tuple[RecordedFace, ...] = ()
        if self._seen is not None:
            faces = tuple(
                RecordedFace(number, face.first_tick, face.embeddings(), tuple(face.boxes))
                for number, face in sorted(self._seen.faces.items())
            )
        name, weights = self._model.spec.full_name, self._model.weights
        return Seen(name, weights, faces, self._clock.seconds, self._error)

    def _try(self, step: Callable[[FacesSeen], None]) -> None:
        if self._seen is None:
            return
        try:
            step(self._seen)
        except Exception as error:  # a network may fail in any way, and fails alone
            self._seen, self._error = None, words(error)


class _Clock(Executor):
    """Hands work on to a pool of one thread, and adds up the time that it takes there."""

    def __init__(self, pool: Executor, *, device: str) -> None:
        self._pool = pool
        self._now = network_clock(device)
        self.seconds = 0.0

    def submit(self, work: Callable[..., Any], /, *given: Any, **named: Any) -> Future[Any]:
        def timed() -> Any:
            began = self._now()
            try:
                return work(*given, **named)
            finally:
                self.seconds += self._now() - began

        return self._pool.submit(timed)


def _colour(models: Sequence[LoadedModel]) -> str | None:
    """The order of colours to decode: the one that all want, RGB for both, None for grey pictures."""
    wanted = {model.spec.video.colour for model in models} - {"gray"}
    if not wanted:
        return None
    return wanted.pop() if len(wanted) == 1 else "rgb"


def _check_different(models: Sequence[LoadedModel]) -> None:
    known: set[tuple[str, str]] = set()
    for model in models:
        key = (model.spec.full_name, model.weights)
        if key in known:
            raise UsageError(
                f"{key[0]} with the weights {key[1]} is given twice", remedy="Give it once."
            )
        known.add(key)
