"""The frames of a video on the 25 Hz timeline, each as a player would show it at that time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from av import VideoFrame

from synctool.media.frame_choice import FrameChoice, Lateness
from synctool.media.frame_reader import FrameReader, TimelineFrame
from synctool.media.time_base import EPSILON_S, FRAME_S


class FrameTimeline:
    """A screen that is looked at 25 times a second.

    Args:
        reader: Reads frames as arrays.
        put: Takes the frames, in order.
        interval_s: Announced time from frame to frame.

    Attributes:
        frame_count: Frames so far.
        lateness: How far the frames shown lie beside their times on the timeline.
    """

    def __init__(
        self, reader: FrameReader, put: Callable[[TimelineFrame], None], *, interval_s: float
    ) -> None:
        self._reader = reader
        self._put = put
        self._choice = FrameChoice(interval_s)
        self._shown: tuple[float, VideoFrame] | None = None
        self._shown_arrays: tuple[np.ndarray, np.ndarray | None, float] | None = None
        self.frame_count = 0
        self.lateness = Lateness()

    @property
    def shown(self) -> VideoFrame | None:
        """The frame on screen."""
        return None if self._shown is None else self._shown[1]

    def show(self, frame: VideoFrame, time_s: float, lasts_s: float) -> None:
        """Take the next frame; see ``Screen``."""
        if self._shown is not None and time_s <= self._shown[0]:
            return  # a repeated or backward timestamp: a player keeps what it shows
        self._show_until(time_s)
        self._shown, self._shown_arrays = (time_s, frame), None

    def finish(self, lasts_s: float) -> None:
        """Give what the last stored frame serves."""
        if self._shown is None:
            return
        ends_s = self._shown[0] + lasts_s
        while self.frame_count * FRAME_S < ends_s - FRAME_S / 2 - EPSILON_S:
            self._emit()

    def _show_until(self, next_s: float) -> None:
        """Emit the timeline frames that the frame on screen serves before the next one at ``next_s``."""
        shown_s = None if self._shown is None else self._shown[0]
        self._choice.begin(shown_s, next_s)
        while (frame_s := self.frame_count * FRAME_S) < next_s - EPSILON_S:
            if self._choice.prefers_next(frame_s):
                return
            self._emit()

    def _emit(self) -> None:
        arrays = self.read_shown()
        if self._shown is None or arrays is None:
            frame = TimelineFrame(self.frame_count, None)
        else:
            luma, colour, scale = arrays
            self.lateness.add(self._shown[0] - self.frame_count * FRAME_S)
            frame = TimelineFrame(self.frame_count, luma, colour, scale)
        self.frame_count += 1
        self._put(frame)

    def read_shown(self) -> tuple[np.ndarray, np.ndarray | None, float] | None:
        """Arrays of the frame on screen, if there is one."""
        if self._shown is not None and self._shown_arrays is None:
            self._shown_arrays = self._reader.read(self._shown[1])
        return self._shown_arrays
