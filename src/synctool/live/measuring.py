"""One part of a stream from frames to answers, one for every second: tracking, crops and encoders as in
``measure/encode.py``, with nothing that looks further ahead than they must."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass

from synctool.faces.detector import FaceDetector
from synctool.live.answers import RECENT_S, Answer, answer
from synctool.live.parts import Part
from synctool.live.rolling import RollingEmbeddings
from synctool.measure.face_encoder import FrameCrops
from synctool.measure.model_encoder import ModelEncoder
from synctool.measure.timing import Stopwatch
from synctool.measure.tracks import followed
from synctool.measure.volumes import HALO_FRAMES
from synctool.networks.loaded import LoadedModel
from synctool.types import DEFAULT_MAX_OFFSET, VIDEO_FPS

WINDOW_S = 6.0
"""So much of the stream is behind one answer at most."""
EVERY_FRAMES = VIDEO_FPS
"""Frames from one answer to the next."""
FURTHER_EVERY = 4
"""Only every so many answers look for a match outside the searched range."""


@dataclass(frozen=True)
class Measuring:
    """What measures streams, and how; shared by all of them.

    Attributes:
        model: The model.
        detector: Finds the faces.
        colour: Order of colours that the model wants, None for grey frames.
        max_offset: K.
        max_faces: At most so many faces are followed at a time.
        window_s: Longest evidence behind an answer.
    """

    model: LoadedModel
    detector: FaceDetector
    colour: str | None = None
    max_offset: int = DEFAULT_MAX_OFFSET
    max_faces: int = 4
    window_s: float = WINDOW_S


@dataclass(frozen=True)
class Moment:
    """An answer, and the time that it is of.

    Attributes:
        answer: The answer.
        at_s: End of its evidence, in seconds from the beginning of the part.
        delay_s: How far the newest decoded frame lies behind that: the delay of the answer, without that of
            the stream itself.
    """

    answer: Answer
    at_s: float
    delay_s: float


def measure_part(part: Part, with_: Measuring, *, pool: Executor) -> Iterator[Moment]:
    """Measure a part as it comes.

    Args:
        part: The part.
        with_: What measures it.
        pool: One thread that runs the model.

    Yields:
        An answer for every second, whether there is an offset or not.
    """
    stopwatch = Stopwatch()
    rolling = _Rolling(part, with_, pool, stopwatch)
    frames = followed(part, with_.detector, max_faces=with_.max_faces, stopwatch=stopwatch)
    for tracked in frames:
        crops = FrameCrops(tracked.frame, colour=with_.colour)
        rolling.encoder.add(tracked, crops)
        stop = tracked.frame.index + 1
        if stop % EVERY_FRAMES == 0:
            rolling.encoder.release(tracked)
            yield rolling.moment(stop, tracked.poses)


class _Rolling:
    """The encoders of one part, and what they have made of its last seconds."""

    def __init__(self, part: Part, with_: Measuring, pool: Executor, stopwatch: Stopwatch) -> None:
        self._part = part
        self._with = with_
        spec = with_.model.spec
        self.encoder = ModelEncoder(
            with_.model,
            pool=pool,
            stopwatch=stopwatch,
            isolated=False,
            chunk_frames=EVERY_FRAMES,
        )
        self._frames = round(with_.window_s * VIDEO_FPS)
        beside = with_.max_offset + max(HALO_FRAMES, with_.model.runtime.reach)
        self._embeddings = RollingEmbeddings(
            keep_frames=self._frames, beside_frames=beside, rows=spec.embedding_size
        )
        # As many sums of lateness as there are seconds in the window.
        self._lateness: deque[tuple[float, int]] = deque(
            [part.lateness.totals], maxlen=max(round(with_.window_s), 1)
        )
        self._asked = self._since = 0

    def moment(self, stop: int, present: dict) -> Moment:
        self._embeddings.add_samples(self._taken_audio())
        self._embeddings.add_audio(*self.encoder.take_audio())
        self._embeddings.add_faces(self.encoder.take(present.keys()))
        self._embeddings.forget(stop)
        start = max(stop - self._frames, self._since)
        self._asked += 1
        found = answer(
            self._with.model,
            lambda begin: self._embeddings.window(begin, stop),
            start,
            max_offset=self._with.max_offset,
            frames_late=self._part.lateness.since(self._lateness[0]),
            look_further=self._asked % FURTHER_EVERY == 0,
        )
        if found.changed:  # what was before speaks of another offset
            self._since = stop - round(RECENT_S * VIDEO_FPS)
        self._lateness.append(self._part.lateness.totals)
        return Moment(found, stop / VIDEO_FPS, max(self._part.decoded - stop, 0) / VIDEO_FPS)

    def _taken_audio(self):
        samples = self._part.audio.pop(self._part.audio.available)
        self.encoder.add_audio(samples)
        return samples
