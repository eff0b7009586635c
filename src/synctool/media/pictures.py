"""Decoded frames as arrays: only the planes that are needed, upright, never larger than useful."""

from __future__ import annotations

from dataclasses import dataclass

import av
import cv2
import numpy as np

_PLANAR_LUMA_8BIT = (
    "yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "yuv411p", "yuv410p",
    "yuv440p", "yuvj440p", "yuva420p", "yuva422p", "yuva444p", "nv12", "nv21", "nv16", "gray",
)  # fmt: skip
"""Pixel formats whose first plane is 8-bit luma: read in place, without a conversion."""


@dataclass(frozen=True)
class Picture:
    """One tick of the 25 Hz timeline.

    Attributes:
        index: Number of the tick; it stands for the time ``index / 25`` s.
        luma: uint8 ``[H, W]``, or None where the film shows no picture yet.
        colour: uint8 ``[H, W, 3]`` in the order asked for, or None if not asked for.
        scale: Size of this array relative to the source picture (1.0 unless reduced).
    """

    index: int
    luma: np.ndarray | None
    colour: np.ndarray | None = None
    scale: float = 1.0


class PictureReader:
    """Turns decoded frames into arrays.

    Args:
        colour: None, ``rgb`` or ``bgr``: whether a colour array is needed beside the luma.
        max_side_px: Larger pictures are reduced to this.
    """

    def __init__(self, *, colour: str | None, max_side_px: int) -> None:
        self._colour = colour
        self._max_side_px = max_side_px

    def read(self, frame: av.VideoFrame) -> tuple[np.ndarray, np.ndarray | None, float]:
        """Luma, colour and scale of a frame, rotated as a player shows it.

        Args:
            frame: A decoded frame.

        Returns:
            uint8 ``[H, W]``, uint8 ``[H, W, 3]`` or None, and the reduction (at most 1.0).
        """
        scale = min(1.0, self._max_side_px / max(frame.width, frame.height))
        size = (max(1, round(frame.width * scale)), max(1, round(frame.height * scale)))
        turns = (round(getattr(frame, "rotation", 0) / 90)) % 4
        colour = None
        if self._colour:
            width, height = size
            colour = frame.to_ndarray(format=f"{self._colour}24", width=width, height=height)
            colour = _upright(colour, turns)
        return _upright(self._luma(frame, size), turns), colour, scale

    @staticmethod
    def _luma(frame: av.VideoFrame, size: tuple[int, int]) -> np.ndarray:
        if frame.format.name in _PLANAR_LUMA_8BIT:
            plane = frame.planes[0]
            flat = np.frombuffer(plane, np.uint8)[: plane.line_size * frame.height]
            luma = flat.reshape(frame.height, plane.line_size)[:, : frame.width]
        else:
            luma = frame.to_ndarray(format="gray")
        if size != (frame.width, frame.height):
            return cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
        return luma.copy()  # the plane belongs to the decoder, which will reuse it


def _upright(array: np.ndarray, turns: int) -> np.ndarray:
    # The display matrix gives the counter-clockwise rotation to apply before showing.
    return np.ascontiguousarray(np.rot90(array, turns)) if turns else array
