"""Shot cuts, by the ``scenedetect`` library on a thumbnail of the luma."""

from __future__ import annotations

import cv2
import numpy as np

from synctool.types import VIDEO_FPS

_THUMBNAIL_PX = 96
_SHORTEST_SHOT_TICKS = 5


class ShotCuts:
    """Tells for each tick whether a new shot starts with it.

    Args:
        threshold: Mean change of luma (0..255) between neighbouring pictures that makes a cut.
    """

    def __init__(self, *, threshold: float = 27.0) -> None:
        from scenedetect import ContentDetector, FrameTimecode
        from scenedetect.detector import FlashFilter

        self._timecode = FrameTimecode
        self._detector = ContentDetector(
            threshold=threshold,
            min_scene_len=_SHORTEST_SHOT_TICKS,
            luma_only=True,
            filter_mode=FlashFilter.Mode.SUPPRESS,  # tells at once, without looking ahead
        )

    def starts_with(self, index: int, luma: np.ndarray) -> bool:
        """Whether the picture starts a new shot.

        Args:
            index: Tick of the picture.
            luma: uint8 ``[H, W]``.
        """
        step = max(1, max(luma.shape) // _THUMBNAIL_PX)
        thumbnail = cv2.cvtColor(np.ascontiguousarray(luma[::step, ::step]), cv2.COLOR_GRAY2BGR)
        return bool(
            self._detector.process_frame(self._timecode(index, float(VIDEO_FPS)), thumbnail)
        )
