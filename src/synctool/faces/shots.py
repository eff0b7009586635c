"""Shot cuts: a sudden change of brightness between the thumbnails of neighbouring frames."""

from __future__ import annotations

import cv2
import numpy as np

_THUMBNAIL_PX = 96
_SHORTEST_SHOT_FRAMES = 5


class ShotCuts:
    """Tells for each frame whether a new shot starts with it.

    The decisions are those of PySceneDetect's ``ContentDetector`` on luma alone, with its filter that
    suppresses cuts in quick succession; that package would bring a second OpenCV with it.

    Args:
        threshold: Mean change of luma (0..255) between neighbouring frames that makes a cut.
    """

    def __init__(self, *, threshold: float = 27.0) -> None:
        self._threshold = threshold
        self._before: np.ndarray | None = None
        self._shape: tuple[int, ...] | None = None
        self._shot_began = 0

    def starts_with(self, index: int, luma: np.ndarray) -> bool:
        """Whether the frame starts a new shot; one of another size than the last always does.

        Args:
            index: Frame index.
            luma: uint8 ``[H, W]``.
        """
        step = max(1, max(luma.shape) // _THUMBNAIL_PX)
        thumbnail = luma[::step, ::step].copy()
        before, self._before = self._before, thumbnail
        shape, self._shape = self._shape, luma.shape
        if before is None or shape != luma.shape:
            self._shot_began = index
            return before is not None
        change = cv2.norm(thumbnail, before, cv2.NORM_L1) / thumbnail.size
        cut = change >= self._threshold and index - self._shot_began >= _SHORTEST_SHOT_FRAMES
        if cut:
            self._shot_began = index
        return cut
