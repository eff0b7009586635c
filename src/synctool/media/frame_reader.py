"""Decoded frames as arrays: only the planes that are needed, upright, never larger than useful."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

Planes = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Luma uint8 ``[H, W]`` and two planes of chroma ``[H/2, W/2]``, in video range; H and W are even."""
_VIDEO_RANGE, _FULL_RANGE = 1, 2
_TO_VIDEO_RANGE = np.round(16 + np.arange(256) * (219 / 255)).astype(np.uint8)


@dataclass(frozen=True)
class TimelineFrame:
    """One frame of the 25 Hz timeline.

    Attributes:
        index: Its frame index (25 Hz); it stands for the time ``index / 25`` s.
        luma: uint8 ``[H, W]`` in video range (black 16, white 235), or None where the video shows no
            frame yet.
        colour: uint8 ``[H, W, 3]`` in the order asked for, or None if not asked for.
        scale: Width of these arrays relative to the first frame of the video as a player shows it: 1.0
            unless they are reduced, or the frame size changes on the way.
    """

    index: int
    luma: np.ndarray | None
    colour: np.ndarray | None = None
    scale: float = 1.0


@dataclass(frozen=True)
class Orientation:
    """How stored frames must be turned to be shown: first transposed, then mirrored."""

    transposed: bool = False
    left_right: bool = False
    upside_down: bool = False

    def apply(self, array: np.ndarray) -> np.ndarray:
        """Turn a frame ``[H, W]`` or ``[H, W, C]``."""
        if self.transposed:
            array = array.swapaxes(0, 1)
        if self.left_right:
            array = array[:, ::-1]
        if self.upside_down:
            array = array[::-1]
        return np.ascontiguousarray(array)


def orientation(frame: av.VideoFrame) -> Orientation:
    """Orientation by the frame's display matrix, to the nearest quarter turn."""
    side_data: Any = (
        frame.side_data
    )  # a mapping by its types, but iterated over it gives its values
    for data in side_data:
        if data.type.name == "DISPLAYMATRIX" and data.buffer_size >= 20:
            a, b, _, c, d = (int(x) for x in np.frombuffer(data, np.int32)[:5])
            # A stored point (x, y) is shown at (a x + c y, b x + d y).
            if abs(b) + abs(c) > abs(a) + abs(d):
                return Orientation(True, c < 0, b < 0)
            return Orientation(False, a < 0, d < 0)
    return Orientation()


class FrameReader:
    """Turns decoded frames into arrays.

    Args:
        colour: None, ``rgb`` or ``bgr``: whether a colour array is needed beside the luma.
        max_side_px: Larger frames are reduced to this.
        pixel_aspect: Width of a stored pixel as a player shows it, relative to its height.
    """

    def __init__(self, *, colour: str | None, max_side_px: int, pixel_aspect: float = 1.0) -> None:
        self._colour = colour
        self._max_side_px = max_side_px
        self._first_width: int | None = None
        self.use_pixel_aspect(pixel_aspect)
        self._reformatter = VideoReformatter()
        self._rotation: int | None = None
        self._orientation = Orientation()

    def use_pixel_aspect(self, pixel_aspect: float) -> None:
        """Take another shape of pixels from the next frame on."""
        self._aspect_scale = (max(pixel_aspect, 1.0), max(1.0 / pixel_aspect, 1.0))

    def shown_size(self, frame: av.VideoFrame) -> tuple[int, int]:
        """Width and height at which a player shows a frame at its full size."""
        width, height = (
            round(n * s) for n, s in zip((frame.width, frame.height), self._aspect_scale)
        )
        return (height, width) if self._turn(frame).transposed else (width, height)

    def read(self, frame: av.VideoFrame) -> tuple[np.ndarray, np.ndarray | None, float]:
        """Luma, colour and scale of a frame, upright and with square pixels, as a player shows it.

        Args:
            frame: A decoded frame.

        Returns:
            uint8 ``[H, W]``, uint8 ``[H, W, 3]`` or None, and the scale: see ``TimelineFrame``.
        """
        size = self._size(frame)
        turn = self._turn(frame)
        shown_width = self.shown_size(frame)[0]
        self._first_width = self._first_width or shown_width
        scale = self._reduction(frame) * shown_width / self._first_width
        colour = None
        if self._colour:
            wanted = f"{self._colour}24"
            shown = self._reformatter.reformat(frame, width=size[0], height=size[1], format=wanted)
            colour = turn.apply(shown.to_ndarray())
        return turn.apply(self._luma(frame, size)), colour, scale

    def planes(self, frame: av.VideoFrame) -> Planes:
        """The same luma, and the chroma beside it, as encoders take them.

        Args:
            frame: A decoded frame.

        Returns:
            Three planes. Of odd sizes the last row or column is left out.
        """
        size = self._size(frame)
        turn = self._turn(frame)
        shown = self._reformatter.reformat(
            frame,
            width=size[0],
            height=size[1],
            format="yuv420p",
            dst_color_range=_VIDEO_RANGE,
        )
        luma = turn.apply(self._luma(frame, size))
        height, width = (n // 2 * 2 for n in luma.shape)
        blue, red = (
            turn.apply(_plane(plane))[: height // 2, : width // 2] for plane in shown.planes[1:3]
        )
        shown_luma = np.ascontiguousarray(luma[:height, :width])
        return shown_luma, np.ascontiguousarray(blue), np.ascontiguousarray(red)

    def _reduction(self, frame: av.VideoFrame) -> float:
        width, height = frame.width * self._aspect_scale[0], frame.height * self._aspect_scale[1]
        return min(1.0, self._max_side_px / max(width, height))

    def _size(self, frame: av.VideoFrame) -> tuple[int, int]:
        """Width and height with square pixels, reduced, not yet turned."""
        scale = self._reduction(frame)
        width, height = (
            n * s * scale for n, s in zip((frame.width, frame.height), self._aspect_scale)
        )
        return max(1, round(width)), max(1, round(height))

    def _turn(self, frame: av.VideoFrame) -> Orientation:
        # Side data keeps its frame alive until the garbage collector comes by, and with it a buffer
        # that the decoder could use again: look only when the cheap attribute says that it is new.
        rotation = getattr(frame, "rotation", 0)
        if rotation != self._rotation:
            self._rotation, self._orientation = rotation, orientation(frame)
        return self._orientation

    def _luma(self, frame: av.VideoFrame, size: tuple[int, int]) -> np.ndarray:
        """Luma at a size, in an array of its own: a view would keep the decoder's whole frame."""
        full_range = frame.color_range == _FULL_RANGE or frame.format.name.startswith("yuvj")
        shift = _luma_shift(frame.format.name)
        if shift is None:
            luma = self._reformatter.reformat(frame, format="gray").to_ndarray()
            full_range = True
        else:
            plane: Any = frame.planes[0]  # a buffer
            kind = np.dtype(np.uint8 if shift == 0 else "<u2")
            row = plane.line_size // kind.itemsize
            luma = np.frombuffer(plane, kind)[: row * frame.height].reshape(frame.height, row)
            luma = luma[:, : frame.width]
            if shift:
                luma = (luma >> shift).astype(np.uint8)
        if size != (frame.width, frame.height):
            smaller = size[0] <= frame.width and size[1] <= frame.height
            method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
            luma = cv2.resize(luma, size, interpolation=method)
        elif not full_range:
            luma = luma.copy()
        return cv2.LUT(luma, _TO_VIDEO_RANGE) if full_range else luma


def _plane(plane: Any) -> np.ndarray:
    """A plane of bytes as an array of its own: uint8 ``[H, W]``."""
    rows = np.frombuffer(plane, np.uint8)[: plane.line_size * plane.height]
    return rows.reshape(plane.height, plane.line_size)[:, : plane.width].copy()


@lru_cache(maxsize=64)
def _luma_shift(name: str) -> int | None:
    """Bits to drop from the first plane of a pixel format to get 8-bit luma; None: not to be had so."""
    pixels = av.VideoFormat(name)
    first, *others = pixels.components
    if not first.is_luma or pixels.is_rgb or pixels.has_palette or pixels.is_bit_stream:
        return None
    if any(other.plane == first.plane for other in others):
        return None
    if first.bits == 8:
        return 0
    if not 8 < first.bits <= 16 or pixels.is_big_endian:
        return None
    return 8 if name.startswith("p") else first.bits - 8  # p010 and kin: the high bits are used
