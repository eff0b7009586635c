"""The sound of a film as 16 kHz mono samples on the presentation timeline."""

from __future__ import annotations

import threading

import numpy as np

from synctool.types import AUDIO_HZ

JITTER_SAMPLES = AUDIO_HZ // 50
"""Timestamps that disagree with the count of samples by up to 20 ms are rounding, not gaps."""
MAX_GAP_SAMPLES = 6 * 3600 * AUDIO_HZ
"""A longer gap is a broken timestamp; filling it would only exhaust the memory."""


class SoundTrack:
    """A growing stretch of int16 samples that starts at timeline 0; written by one thread, read by another.

    ``place`` appends samples at their presentation time: a gap becomes silence, an overlap is
    dropped. ``pop`` hands out what is complete, so that only a little is held at any time.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks: list[np.ndarray] = []
        self._start = 0
        self._end = 0
        self.gaps = 0
        self.sum_of_squares = 0.0
        self.peak = 0

    @property
    def end(self) -> int:
        """Samples placed so far, counted from timeline 0."""
        return self._end

    @property
    def available(self) -> int:
        """Samples placed and not yet popped."""
        return self._end - self._start

    def place(self, samples: np.ndarray, at: int | None) -> None:
        """Append mono samples at a timeline position.

        Args:
            samples: int16 ``[N]``.
            at: Timeline sample of the first one; None continues without a gap.
        """
        with self._lock:
            if at is not None and abs(at - self._end) > JITTER_SAMPLES:
                lead = at - self._end
                if 0 < lead <= MAX_GAP_SAMPLES:
                    if self._end:
                        self.gaps += 1
                    self._append(np.zeros(lead, np.int16))
                elif lead < 0:
                    samples = samples[-lead:]
            elif at is not None and self._end == 0 and at > 0:
                self._append(np.zeros(at, np.int16))
            elif at is not None and self._end == 0 and at < 0:
                samples = samples[-at:]
            if samples.size:
                self._append(samples)
                as_float = samples.astype(np.float32)
                self.sum_of_squares += float(np.dot(as_float, as_float))
                self.peak = max(self.peak, int(np.abs(as_float).max()))

    def pop(self, count: int) -> np.ndarray:
        """Take ``count`` samples off the front.

        Args:
            count: At most ``available``.

        Returns:
            int16 ``[count]``.
        """
        with self._lock:
            taken: list[np.ndarray] = []
            missing = min(count, self._end - self._start)
            self._start += missing
            while missing:
                block = self._blocks[0]
                if block.size <= missing:
                    taken.append(self._blocks.pop(0))
                    missing -= block.size
                else:
                    taken.append(block[:missing])
                    self._blocks[0] = block[missing:]
                    missing = 0
            return np.concatenate(taken) if taken else np.zeros(0, np.int16)

    def _append(self, samples: np.ndarray) -> None:
        self._blocks.append(samples)
        self._end += samples.size
