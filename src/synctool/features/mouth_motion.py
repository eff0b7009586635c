"""How far a mouth is open and how much it moves, frame by frame, read off the crop that networks take.

Three plain measures on a grey mouth crop, reduced to ``SIDE`` pixels and divided by its own mean, so that
light does not count. No landmark network runs.

* *opening*: how much darker the middle of the mouth is than the skin round it. An open mouth shows its dark
  inside. Beards, teeth and shadows add a constant of their own, so only its change along time says something.
* *lips*: mean absolute change from the frame before inside an ellipse round the lips.
* *around*: the same outside of it: chin, cheeks, and how unsteadily the face is followed.

A fourth, the *look* of the lips, is the part of the crop round them at 12 x 8 pixels, to find what comes
again.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

SIDE = 36
"""The crop is reduced to so many pixels, two of the default network's to one."""
_INNER = (0.17, 0.13)
"""Half axes of what is taken for the gap between the lips, as shares of the crop's side."""
_LIPS = (0.31, 0.22)
"""Half axes of the ellipse round the lips."""
LOOK = (12, 8)
"""Width and height of a look."""
_ROWS, _COLUMNS = slice(10, 26), slice(6, 30)


def _ellipse(half_axes: tuple[float, float]) -> np.ndarray:
    along = (np.arange(SIDE) + 0.5) / SIDE - 0.5
    return (along[None] / half_axes[0]) ** 2 + (along[:, None] / half_axes[1]) ** 2 <= 1


_IN_LIPS = _ellipse(_LIPS)
_OUTSIDE = np.flatnonzero(~_IN_LIPS)
_GAP, _ROUND_LIPS, _AROUND = (
    (mask.ravel() / mask.sum()).astype(np.float32)
    for mask in (_ellipse(_INNER), _IN_LIPS, ~_IN_LIPS)
)
"""What means are products with."""
_MIDDLE = len(_OUTSIDE) // 2


@dataclass(frozen=True)
class MouthSeries:
    """The measures of one face; all arrays are float32 ``[T]``.

    Attributes:
        first_frame: Frame index of its first frame in the video.
        opening: 0 for as bright as the skin, towards 1 for black; its constant means nothing.
        lips: Change of the lips from the frame before, as a share of the skin's brightness; 0 in the first.
        around: The same of chin and cheeks.
        looks: The lips themselves, float16 ``[T, 96]``.
    """

    first_frame: int
    opening: np.ndarray
    lips: np.ndarray
    around: np.ndarray
    looks: np.ndarray

    @property
    def frames(self) -> int:
        """T."""
        return len(self.opening)

    def part(self, start: int, stop: int) -> MouthSeries:
        """The same between two of its frames."""
        own = (x[start:stop] for x in (self.opening, self.lips, self.around, self.looks))
        return MouthSeries(self.first_frame + start, *own)


class MouthMotion:
    """Measures one face as its crops come in.

    Args:
        first_frame: Frame index of the first crop.
    """

    def __init__(self, first_frame: int) -> None:
        self._first = first_frame
        self._before: np.ndarray | None = None
        self._rows: list[tuple[float, float, float]] = []
        self._looks: list[np.ndarray] = []

    def add(self, crop: np.ndarray) -> None:
        """Take the next mouth crop: uint8 ``[S, S]``, grey, as ``faces.crops.mouth_crop`` cuts it."""
        small = cv2.resize(crop, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
        # The median, by a partition of its own: numpy's takes several times as long.
        skin = np.partition(small.ravel()[_OUTSIDE], (_MIDDLE - 1, _MIDDLE))
        small /= max(float(skin[_MIDDLE - 1 : _MIDDLE + 1].mean()), 1.0)
        opening = 1 - float(small.ravel() @ _GAP)
        lips = around = 0.0
        if self._before is not None:
            change = np.abs(small - self._before).ravel()
            lips, around = float(change @ _ROUND_LIPS), float(change @ _AROUND)
        self._before = small
        self._rows.append((opening, lips, around))
        look = cv2.resize(small[_ROWS, _COLUMNS], LOOK, interpolation=cv2.INTER_AREA)
        self._looks.append(look.reshape(-1).astype(np.float16))

    def series(self) -> MouthSeries:
        """What was measured so far."""
        rows = np.array(self._rows, np.float32).reshape(-1, 3)
        looks = np.array(self._looks, np.float16).reshape(-1, LOOK[0] * LOOK[1])
        return MouthSeries(self._first, rows[:, 0], rows[:, 1], rows[:, 2], looks)


def mouth_series(crops: np.ndarray, first_frame: int = 0) -> MouthSeries:
    """The measures of crops in memory, uint8 ``[T, S, S]``."""
    motion = MouthMotion(first_frame)
    for crop in crops:
        motion.add(crop)
    return motion.series()
