"""Embeddings of audio as its samples come in: exactly those of the whole at once; of a model that is not
bounded by its receptive field, as if there were nothing beyond that much context."""

from __future__ import annotations

from collections import deque
from copy import deepcopy
from dataclasses import dataclass

import numpy as np

from synctool.features.frontends import FRONT_ENDS
from synctool.features.level import LevelNormalizer, as_float
from synctool.plugins.specs import ModelSpec
from synctool.runtimes.protocol import Runtime
from synctool.types import SAMPLES_PER_FRAME

_CHUNK_FRAMES = 256
SAME_LEVEL_DB = 0.5
"""Rows of a preview are kept while the gain has changed by less: of the default model they then differ by
1.4 % of the largest number at most."""


@dataclass(frozen=True)
class _Preview:
    """Rows that were shown before the audio has ended, float16 ``[D, n]``, from frame ``first`` on."""

    first: int
    rows: np.ndarray
    gain_db: float

    @property
    def end(self) -> int:
        return self.first + self.rows.shape[1]


class AudioEncoder:
    """Encodes audio, chunk by chunk.

    Args:
        runtime: Runs the model.
        spec: Its spec.
        delay_samples: The audio is moved later by so much, or earlier where it is negative: that takes
            a constant error of the model out.
        chunk_frames: Frames that are encoded at once; more where their context would be most of the work.
    """

    def __init__(
        self,
        *,
        runtime: Runtime,
        spec: ModelSpec,
        delay_samples: int = 0,
        chunk_frames: int = _CHUNK_FRAMES,
    ) -> None:
        self._runtime = runtime
        self._size = spec.embedding_size
        self._front = FRONT_ENDS[spec.audio.kind]
        self._leveled = LeveledAudio(self._front.level_db)
        self._context = spec.audio_receptive_field_frames // 2 + 1
        self._chunk = max(chunk_frames, 2 * self._context)
        self._held = np.zeros(self._front.before + max(delay_samples, 0), np.float32)
        self._to_drop = max(-delay_samples, 0)
        self._known_before = 0
        self._done = 0
        self._pieces: list[np.ndarray] = []
        self._shown: _Preview | None = None

    def add(self, samples: np.ndarray) -> None:
        """Take the next samples, int16 ``[N]``, and encode what is complete."""
        self._leveled.add(samples)
        self._encode()

    def finish(self) -> None:
        """Encode up to the end of the audio."""
        self._leveled.finish()
        self._encode(last=True)

    def embeddings(self) -> np.ndarray:
        """float16 ``[D, T_audio]``; row t belongs to frame t."""
        if not self._pieces:
            return np.zeros((self._size, 0), np.float16)
        if len(self._pieces) > 1:
            self._pieces = [np.concatenate(self._pieces, 1)]
        return self._pieces[0]

    def take(self) -> np.ndarray:
        """What was encoded since it was last taken: float16 ``[D, n]``; it is no longer held."""
        rows = self.embeddings()
        self._pieces = []
        return rows

    def preview(self) -> np.ndarray:
        """What would follow if the audio ended here: float16 ``[D, n]``; what follows does not change.

        These rows are not final: the level of the audio and the context after them are not known yet. Of an
        earlier preview those are kept whose context was there, while the level is the same.
        """
        leveled = deepcopy(self._leveled)
        leveled.finish()
        rest = leveled.pop(leveled.available)
        held = np.concatenate([self._held, rest[self._to_drop :]])
        end = self._first + max(-(-(held.size - self._front.before) // SAMPLES_PER_FRAME), 0)
        kept, gain_db = self._kept(leveled.gain_db)
        pieces, most = [kept], max(_CHUNK_FRAMES, self._chunk)
        for start in range(self._done + kept.shape[1], end, most):
            pieces.append(self._rows(held, start, min(start + most, end), end))
        rows = np.concatenate(pieces, 1)
        self._shown = _Preview(self._done, rows, gain_db)
        return rows

    def _kept(self, gain_db: float) -> tuple[np.ndarray, float]:
        """What can be kept of the last preview at such a gain, float16 ``[D, n]``, and the gain of it."""
        before = self._shown
        if before is None or abs(gain_db - before.gain_db) >= SAME_LEVEL_DB:
            return np.zeros((self._size, 0), np.float16), gain_db
        stop = before.end - self._context
        if stop <= self._done:
            return np.zeros((self._size, 0), np.float16), gain_db
        return before.rows[:, self._done - before.first : stop - before.first], before.gain_db

    def _rows(self, held: np.ndarray, start: int, stop: int, end: int) -> np.ndarray:
        """Rows ``start`` to ``stop`` of samples that go on from ``_held`` to the end of frame ``end``."""
        low, high = max(start - self._context, self._first), min(stop + self._context, end)
        begin = (low - self._first) * SAMPLES_PER_FRAME
        given = held[begin : begin + self._samples(high - low)]
        given = np.pad(given, (0, self._samples(high - low) - given.size))
        rows = self._runtime.encode_audio(self._front.compute(given)[None])[0]
        return rows[:, start - low : stop - low].astype(np.float16)

    @property
    def _first(self) -> int:
        """Frame of the first sample that is held, but for those before it that the front end needs."""
        return self._done - self._known_before

    def _encode(self, *, last: bool = False) -> None:
        if self._to_drop:
            self._to_drop -= self._leveled.pop(self._to_drop).size
        while True:
            wanted = self._known_before + self._chunk + self._context
            missing = self._samples(wanted) - self._held.size
            if not last and self._leveled.available < missing:
                return
            self._held = np.concatenate([self._held, self._leveled.pop(max(missing, 0))])
            if self._held.size < self._samples(wanted):
                self._encode_rest()
                return
            self._encode_chunk(wanted, self._chunk)

    def _samples(self, frames: int) -> int:
        return self._front.before + frames * SAMPLES_PER_FRAME + self._front.after

    def _encode_rest(self) -> None:
        real = self._held.size - self._front.before
        frames = -(-real // SAMPLES_PER_FRAME)
        if frames > self._known_before:
            padding = self._samples(frames) - self._held.size
            self._held = np.pad(self._held, (0, max(padding, 0)))
            self._encode_chunk(frames, frames - self._known_before)

    def _encode_chunk(self, frames: int, count: int) -> None:
        features = self._front.compute(self._held[: self._samples(frames)])
        rows = self._runtime.encode_audio(features[None])[0]
        wanted = slice(self._known_before, self._known_before + count)
        self._pieces.append(rows[:, wanted].astype(np.float16))
        self._done += count
        keep = max(0, self._known_before + count - self._context)
        self._known_before += count - keep
        self._held = self._held[keep * SAMPLES_PER_FRAME :]


class LeveledAudio:
    """Samples at the level that a front end wants, as they come in.

    Args:
        level_db: Speech level to bring them to; None leaves them as they are.
    """

    def __init__(self, level_db: float | None) -> None:
        self._normalizer = None if level_db is None else LevelNormalizer(level_db)
        self._ready: deque[np.ndarray] = deque()
        self.available = 0

    @property
    def gain_db(self) -> float:
        """By how much the last samples were made louder."""
        return 0.0 if self._normalizer is None else self._normalizer.gain_db

    def add(self, samples: np.ndarray) -> None:
        """Take the next samples, int16 ``[N]``."""
        self._append(
            as_float(samples) if self._normalizer is None else self._normalizer.add(samples)
        )

    def finish(self) -> None:
        """Make what is left at the end of the audio available."""
        if self._normalizer is not None:
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
