"""For videos that are face crops already: the whole frame is the face."""

from __future__ import annotations

import numpy as np

from synctool.faces.detector import Face, points_from_box


class WholeImage:
    """One face that fills the frame; SyncNet's face crop then is the frame itself."""

    def detect(self, gray: np.ndarray, *, smallest_face_px: float | None = None) -> list[Face]:
        """See ``FaceDetector.detect``."""
        height, width = gray.shape
        box = np.array([0, 0, width, height], np.float32)
        # SyncNet's crops pad the face by 0.40, most of it below: the face proper lies high in the
        # frame. The figures put the points where a detector finds them in SyncNet's own example.
        inner = np.array([0.15 * width, -0.03 * height, 0.85 * width, 0.68 * height], np.float32)
        return [Face(box, points_from_box(inner), 1.0)]
