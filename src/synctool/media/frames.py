"""One pass over a video with every frame that it has, at the time at which a player shows it.

``VideoFile`` gives what networks see, 25 frames a second. Here the frames come as they were stored,
at any rate, in planes of luma and chroma as encoders take them; times and audio are those of ``VideoFile``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

import cv2
import numpy as np
from av import VideoFrame

from synctool.media.decode import Screen
from synctool.media.frame_choice import Lateness
from synctool.media.frame_reader import FrameReader, Planes
from synctool.media.video_file import VideoFile

_EPSILON_S = 1e-6
_RGB = 0


@dataclass(frozen=True)
class Frame:
    """One stored frame.

    Attributes:
        time_s: When it comes on screen, on the video's timeline.
        lasts_s: How long it stays, as far as the video tells.
        planes: What it shows: upright, with square pixels.
    """

    time_s: float
    lasts_s: float
    planes: Planes

    def changed(self, change: Callable[[Planes], Planes]) -> Frame:
        """The same moment with another frame."""
        return replace(self, planes=change(self.planes))

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height of its image."""
        height, width = self.planes[0].shape
        return width, height

    def encodable(self, size_px: tuple[int, int]) -> VideoFrame:
        """Its image as encoders take it, without a time; brought to a size where it has another.

        Args:
            size_px: Width and height, both even.
        """
        planes = self.planes if self.size_px == size_px else _fitted(self.planes, size_px)
        stacked = np.concatenate([plane.ravel() for plane in planes]).reshape(-1, size_px[0])
        return VideoFrame.from_ndarray(stacked, format="yuv420p")


class VideoFrames(VideoFile):
    """A video opened for one pass over its frames: used as ``VideoFile`` is, but gives ``Frame`` objects.

    Frames that would come on screen before timeline 0, and those whose time runs backwards, are left
    out, as ``VideoFile`` does.
    """

    @property
    def colour_matrix(self) -> int | None:
        """How the planes stand for colours, as FFmpeg counts it; None where the video does not tell."""
        video = self._selected.video
        matrix = _RGB if video is None else video.codec_context.colorspace
        return None if matrix == _RGB else int(matrix)

    def keep_only(self, spans: Sequence[tuple[float, float]]) -> None:
        """Leave out frames that are never on screen in some parts; call it before the iteration.

        Args:
            spans: Start and end of each, in seconds. After the last one all frames come again.
        """
        cast("_EveryFrame", self._screen).spans = (*spans, (spans[-1][1], math.inf))

    def frames(self) -> Iterator[Frame]:
        """Iterate over the video: see the class."""
        return cast("Iterator[Frame]", iter(self))

    def _new_screen(self) -> Screen:
        return _EveryFrame(self._reader, self._put)


class _EveryFrame:
    """A screen that hands on every frame that is shown.

    Attributes:
        spans: The parts whose frames are wanted.
    """

    def __init__(self, reader: FrameReader, put: Callable[[Frame], None]) -> None:
        self.spans: tuple[tuple[float, float], ...] = ((-math.inf, math.inf),)
        self._held: tuple[VideoFrame, float, float] | None = None
        self._reader = reader
        self._put = put
        self._shown_s = -_EPSILON_S
        self.shown = None
        self.frame_count = 0
        self.lateness = Lateness()

    def show(self, frame: VideoFrame, time_s: float, lasts_s: float) -> None:
        if time_s <= self._shown_s:
            return
        self._shown_s = time_s
        if not any(start <= time_s < end for start, end in self.spans):
            self._held = frame, time_s, lasts_s
            return
        if self._held is not None:  # it is on screen when the part begins
            self._hand_on(*self._held)
            self._held = None
        self._hand_on(frame, time_s, lasts_s)

    def _hand_on(self, frame: VideoFrame, time_s: float, lasts_s: float) -> None:
        self._put(Frame(max(time_s, 0.0), lasts_s, self._reader.planes(frame)))

    def read_shown(self) -> None:
        """Nothing waits to be read."""

    def finish(self, lasts_s: float) -> None:
        """Every frame has been handed on."""


def _fitted(planes: Planes, size_px: tuple[int, int]) -> Planes:
    luma, blue, red = planes
    half = (size_px[0] // 2, size_px[1] // 2)
    return cv2.resize(luma, size_px), cv2.resize(blue, half), cv2.resize(red, half)
