"""Shot cuts, by the ``scenedetect`` library on a thumbnail of the luma."""

from __future__ import annotations

from functools import partial

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
        self._new_detector = partial(
            ContentDetector,
            threshold=threshold,
            min_scene_len=_SHORTEST_SHOT_TICKS,
            luma_only=True,
            filter_mode=FlashFilter.Mode.SUPPRESS,  # tells at once, without looking ahead
        )
        self._detector = self._new_detector()
        self._shape: tuple[int, ...] | None = None

    def starts_with(self, index: int, luma: np.ndarray) -> bool:
        """Whether the picture starts a new shot; one of another size than the last always does.

        Args:
            index: Tick of the picture.
            luma: uint8 ``[H, W]``.
        """
        resized = self._shape not in (None, luma.shape)
        if resized:
            self._detector = self._new_detector()
        self._shape = luma.shape
        step = max(1, max(luma.shape) // _THUMBNAIL_PX)
        thumbnail = cv2.cvtColor(np.ascontiguousarray(luma[::step, ::step]), cv2.COLOR_GRAY2BGR)
        cuts = self._detector.process_frame(self._timecode(index, float(VIDEO_FPS)), thumbnail)
        return resized or bool(cuts)
