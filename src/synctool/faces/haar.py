"""OpenCV's Haar cascade (Viola & Jones 2001): boxes of frontal faces, no landmarks."""

from __future__ import annotations

import os

import cv2
import numpy as np

from synctool.errors import MissingError
from synctool.faces.detector import Face, points_from_box

_SIDE_PX = 480
_SMALLEST_PX = 30


class HaarDetector:
    """The frontal face cascade that OpenCV 4 wheels carry."""

    def __init__(self) -> None:
        folder = getattr(getattr(cv2, "data", None), "haarcascades", "")
        path = os.path.join(folder, "haarcascade_frontalface_default.xml")
        cascade = cv2.CascadeClassifier(path) if os.path.isfile(path) else None
        if cascade is None or cascade.empty():
            raise MissingError(
                "this OpenCV carries no Haar cascades",
                remedy="Use OpenCV 4 (pip install 'opencv-python-headless<5'), or --detector centerface.",
            )
        self._cascade = cascade

    def detect(self, gray: np.ndarray, *, smallest_face_px: float | None = None) -> list[Face]:
        """See ``FaceDetector.detect``."""
        scale = min(1.0, _SIDE_PX / max(gray.shape))
        small = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        boxes, _, weights = self._cascade.detectMultiScale3(
            small, scaleFactor=1.1, minNeighbors=5, minSize=(_SMALLEST_PX, _SMALLEST_PX),
            outputRejectLevels=True,
        )  # fmt: skip
        faces = []
        for (x, y, w, h), weight in zip(boxes, np.ravel(weights)):
            box = np.array([x, y, x + w, y + h], np.float32) / scale
            faces.append(Face(box, points_from_box(box), float(1 / (1 + np.exp(-weight / 4)))))
        return sorted(faces, key=lambda face: -face.score)
