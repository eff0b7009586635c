"""The audio of a video as 16 kHz mono samples on the presentation timeline."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

import av
import numpy as np

from synctool.media.downmix import Downmix
from synctool.types import AUDIO_HZ

STEP_S = 0.02
"""Timestamps that disagree with the count of samples by more are gaps or overlaps, if two in a row agree."""
OVERLAP_S = 0.2
"""Where audio goes back by more, it is told; files joined end to end overlap by an encoder's padding."""
DRIFT_S = 0.002
"""A lasting disagreement above this is a clock that runs differently: the audio is stretched to follow."""
MAX_GAP_SAMPLES = 6 * 3600 * AUDIO_HZ
"""A longer gap is a broken timestamp; filling it would only exhaust the memory."""
_DRIFT_MEMORY = 0.05
_LARGEST_STRETCH = 100  # one sample in so many


class AudioTrack:
    """A growing segment of int16 samples that starts at timeline 0; written by one thread, read by another.

    ``place`` appends samples at their presentation time: a gap becomes silence, an overlap is
    dropped. ``pop`` hands out what is complete, so that only a little is held at any time.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks: deque[np.ndarray] = deque()
        self._start = 0
        self._end = 0
        self.gaps = 0
        self.overlaps = 0
        self.peak = 0

    @property
    def end(self) -> int:
        """Samples placed so far, counted from timeline 0."""
        return self._end

    @property
    def available(self) -> int:
        """Samples placed and not yet popped."""
        return self._end - self._start

    def place(self, samples: np.ndarray, at: int | None = None) -> None:
        """Append mono samples at a timeline position.

        Args:
            samples: int16 ``[N]``.
            at: Timeline sample of the first one; None continues without a gap.
        """
        with self._lock:
            lead = 0 if at is None else at - self._end
            if 0 < lead <= MAX_GAP_SAMPLES:
                if self._end and lead > STEP_S * AUDIO_HZ:
                    self.gaps += 1
                self._append(np.zeros(lead, np.int16))
            samples = samples[max(-lead, 0) :]
            if samples.size:
                self._append(samples)
                self.peak = max(self.peak, int(samples.max()), -int(samples.min()))

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
                    taken.append(self._blocks.popleft())
                    missing -= block.size
                else:
                    taken.append(block[:missing])
                    self._blocks[0] = block[missing:]
                    missing = 0
            return np.concatenate(taken) if taken else np.zeros(0, np.int16)

    def _append(self, samples: np.ndarray) -> None:
        self._blocks.append(samples)
        self._end += samples.size


class AudioReader:
    """Brings decoded audio of any format to 16 kHz mono and puts it where its timestamps say.

    Within a segment the samples are counted, so that rounded timestamps do no harm. A step of more
    than ``STEP_S`` that the next frame confirms starts a new segment. Where count and timestamps drift
    apart slowly, the audio is stretched by up to 1% until they agree, as players do.

    Args:
        track: Where the samples go.
        warn: Told about what was mended.
        channel: Which channel is read, counted from 0; None mixes all.
    """

    def __init__(
        self, track: AudioTrack, warn: Callable[[str], None], *, channel: int | None = None
    ) -> None:
        self._channel = channel
        self._track = track
        self._warn = warn
        self._filter: Downmix | None = None
        self._format: tuple[int, str, str] | None = None
        self._at = 0
        self._next_s = 0.0
        self._lag_s = 0.0
        self._held: tuple[av.AudioFrame, float, float] | None = None
        self._stretched = 0

    def add(self, frame: av.AudioFrame, time_s: float) -> None:
        """Take the next decoded frame.

        Args:
            frame: The frame; its timestamp is overwritten.
            time_s: Time of its first sample on the timeline.
        """
        described = (frame.sample_rate, frame.layout.name, frame.format.name)
        if described != self._format:
            self._begin(time_s)
            self._format = described
        step_s = time_s - self._next_s
        held = self._held
        if held is not None:
            step_s -= _lasts_s(held[0])
        if abs(step_s) <= STEP_S:
            self._release()
            self._lag_s += _DRIFT_MEMORY * (step_s - self._lag_s)
            self._feed(frame)
        elif held is not None and abs(step_s - held[2]) <= STEP_S:
            self._held = None
            self._begin(held[1])
            self._feed(held[0])
            self._feed(frame)
        else:
            self._release()
            self._held = (frame, time_s, step_s)

    def finish(self) -> None:
        """Take what is still under way, at the end of the video."""
        if (
            self._held is not None and self._held[2] > 0
        ):  # alone after a gap: nothing speaks against it
            frame, time_s, _ = self._held
            self._held = None
            self._begin(time_s)
            self._feed(frame)
        self._flush()
        if abs(self._stretched) > STEP_S * AUDIO_HZ:
            self._warn(
                "the audio's timestamps and its number of samples drift apart by "
                f"{abs(self._stretched) / AUDIO_HZ:.2f} s; the timestamps were followed"
            )

    def _begin(self, time_s: float) -> None:
        self._flush()
        self._at = round(time_s * AUDIO_HZ)
        if self._track.end - self._at > OVERLAP_S * AUDIO_HZ:
            self._track.overlaps += 1
        self._next_s = time_s
        self._lag_s = 0.0

    def _release(self) -> None:
        """Play the doubted frame without a step: its timestamp was jitter."""
        if self._held is not None:
            frame, self._held = self._held[0], None
            self._feed(frame)

    def _flush(self) -> None:
        self._release()
        if self._filter is not None:
            self._place(self._filter.add(None))
            self._filter = None

    def _feed(self, frame: av.AudioFrame) -> None:
        if self._filter is None:
            self._filter = Downmix(self._channel)
        self._next_s += _lasts_s(frame)
        self._place(self._filter.add(frame))

    def _place(self, parts: list[np.ndarray]) -> None:
        for samples in parts:
            if abs(self._lag_s) > DRIFT_S:
                samples = self._stretch(samples)
            self._track.place(samples, self._at)
            self._at += samples.size

    def _stretch(self, samples: np.ndarray) -> np.ndarray:
        most = max(1, samples.size // _LARGEST_STRETCH)
        more = int(np.clip(round(self._lag_s * AUDIO_HZ), -most, most))
        if samples.size + more < 2:
            return samples
        self._lag_s -= more / AUDIO_HZ
        self._next_s += more / AUDIO_HZ
        self._stretched += more
        old = np.arange(samples.size)
        new = np.linspace(0, samples.size - 1, samples.size + more)
        return np.round(np.interp(new, old, samples)).astype(np.int16)


def _lasts_s(frame: av.AudioFrame) -> float:
    return frame.samples / frame.sample_rate
