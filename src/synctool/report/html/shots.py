"""Thumbnails of a video with the faces that are tracked, as parts of a page."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from markupsafe import Markup

from synctool.report.charts.svg import element
from synctool.report.text import clock
from synctool.types import VIDEO_FPS

_QUALITY = 72


class Thumbnail(Protocol):
    """What a thumbnail must have: see ``measure.thumbnails``, which makes them."""

    @property
    def frame_index(self) -> int: ...
    @property
    def image(self) -> np.ndarray: ...
    @property
    def boxes(self) -> Sequence[tuple[float, float, float, float]]: ...
    @property
    def numbers(self) -> Sequence[int]: ...


@dataclass(frozen=True)
class Shot:
    """A thumbnail ready for a page, of about 10 kB.

    Attributes:
        frame_index: Its frame index in the video, at 25 Hz.
        jpeg: The image.
        size_px: Its width and height.
        boxes: Faces: x, y, width, height in its pixels.
        numbers: Their numbers.
    """

    frame_index: int
    jpeg: bytes
    size_px: tuple[int, int]
    boxes: tuple[tuple[float, float, float, float], ...]
    numbers: tuple[int, ...]


def shots(thumbnails: Iterable[Thumbnail | Shot]) -> tuple[Shot, ...]:
    """Thumbnails made small enough to be kept for many videos; a shot stays as it is."""
    return tuple(p if isinstance(p, Shot) else _encoded(p) for p in thumbnails)


def drawn(shot: Shot) -> Markup:
    """The image with its faces framed, as an SVG element that loads nothing."""
    width, height = shot.size_px
    data = base64.b64encode(shot.jpeg).decode("ascii")
    image = element("image", href=f"data:image/jpeg;base64,{data}", width=width, height=height)
    frames = [
        element("rect", class_=kind, x=float(x), y=float(y), width=float(w), height=float(h), rx=2)
        for x, y, w, h in shot.boxes
        for kind in ("face-edge", "face")
    ]
    faces = {0: "no face", 1: "one face"}.get(len(shot.boxes), f"{len(shot.boxes)} faces")
    label = f"The frame at {clock(shot.frame_index / VIDEO_FPS)}, {faces} tracked"
    return element(
        "svg", image, *frames, class_="shot", role="img", aria_label=label,
        view_box=f"0 0 {width} {height}", width=width, height=height,
    )  # fmt: skip


def _encoded(thumbnail: Thumbnail) -> Shot:
    pixels = np.asarray(thumbnail.image)
    if pixels.ndim == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    _, jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    height, width = pixels.shape[:2]
    boxes = tuple((float(x), float(y), float(w), float(h)) for x, y, w, h in thumbnail.boxes)
    return Shot(
        thumbnail.frame_index, jpeg.tobytes(), (width, height), boxes, tuple(thumbnail.numbers)
    )
