"""A few small images of a video, evenly over its time, with the faces that were tracked in them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from synctool.faces.tracking import TrackedFrame

LARGEST_PX = 320
"""Longest side of a thumbnail."""
_BLACK, _WHITE = 16, 235
_TO_FULL_RANGE = np.clip(
    np.round((np.arange(256) - _BLACK) * (255 / (_WHITE - _BLACK))), 0, 255
).astype(np.uint8)


@dataclass(frozen=True)
class Thumbnail:
    """A small image of a video.

    Attributes:
        frame_index: Its frame index in the video, at 25 Hz.
        image: uint8 ``[h, w]`` grey or ``[h, w, 3]`` RGB, black is 0 and white 255.
        boxes: Faces: x, y, width and height, in pixels of this image.
        numbers: Their track numbers, in the same order.
    """

    frame_index: int
    image: np.ndarray
    boxes: tuple[tuple[float, float, float, float], ...] = ()
    numbers: tuple[int, ...] = ()


class ThumbnailKeeper:
    """Keeps images while a video streams by, never more than asked for.

    The length of a video is not always known beforehand, and not always what it says: when there are too
    many images every other one goes and the distance doubles, so they stay evenly spaced.

    Args:
        most: At most so many are kept; 0 keeps none.
        expected_frames: Length of the video as far as it is known.
        colour: Order of the images' colours, ``rgb`` or ``bgr``; None for grey ones.
    """

    def __init__(self, most: int, *, expected_frames: int | None, colour: str | None) -> None:
        self._most = most
        self._colour = colour
        self._stride = max(1, -(-(expected_frames or 1) // max(most, 1)))
        self._first = self._stride // 2
        self._kept: list[Thumbnail] = []

    def see(self, tracked: TrackedFrame) -> None:
        """Take the next frame, and keep it if it is its turn."""
        frame = tracked.frame
        if not self._most or frame.luma is None:
            return
        while self._in_turn(frame.index):
            if len(self._kept) < self._most:
                self._kept.append(self._small(tracked))
                return
            self._stride *= 2
            self._kept = [kept for kept in self._kept if self._in_turn(kept.frame_index)]

    def thumbnails(self) -> tuple[Thumbnail, ...]:
        """Those that are kept, in the order of time."""
        return tuple(self._kept)

    def _in_turn(self, frame_index: int) -> bool:
        return (frame_index - self._first) % self._stride == 0

    def _small(self, tracked: TrackedFrame) -> Thumbnail:
        frame = tracked.frame
        source = frame.luma if self._colour is None else frame.colour
        if source is None:
            raise ValueError("the frame was decoded without colours")
        height, width = source.shape[:2]
        scale = min(1.0, LARGEST_PX / max(height, width))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = cv2.resize(source, size, interpolation=cv2.INTER_AREA)
        if self._colour is None:
            small = cv2.LUT(small, _TO_FULL_RANGE)
        elif self._colour == "bgr":
            small = np.ascontiguousarray(small[..., ::-1])
        boxes = []
        for pose in tracked.poses.values():
            left, top, right, bottom = (float(x) * scale for x in pose.box)
            boxes.append(tuple(round(x, 1) for x in (left, top, right - left, bottom - top)))
        return Thumbnail(frame.index, small, tuple(boxes), tuple(tracked.poses))
