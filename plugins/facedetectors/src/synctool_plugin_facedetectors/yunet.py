"""YuNet (Wu, Peng & Yu 2023, "YuNet: A Tiny Millisecond-level Face Detector", MIR 20), in OpenCV."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from synctool.errors import MissingError, WeightsError
from synctool.faces.detector import Face, strongest

THOROUGH_SIDE_PX = 640
"""Longest side of the image in a thorough look: that of YuNet's training."""
SMALLEST_SIDE_PX = 160
FACE_SIDE_PX = 48
"""Height to which a followed face may be reduced."""
LARGEST_FACE_PX = 300
"""YuNet knows faces of about 10 to 300 px, say its authors."""
_SAME_FACE_OVERLAP = 0.3
_MOST_CANDIDATES = 5000
_LANDMARKS = slice(4, 14)
_SCORE = 14


class YuNetDetector:
    """YuNet on a reduced grey image, and once more on a small one for faces that are larger.

    Args:
        weights: ``face_detection_yunet_2023mar.onnx`` of the OpenCV zoo.
        threshold: Lowest score of a face, 0..1; 0.9 as OpenCV has it.

    Raises:
        MissingError: No such file, or it cannot be read.
        WeightsError: It is not that network.
    """

    def __init__(self, *, weights: Path, threshold: float = 0.9) -> None:
        try:
            # As bytes: OpenCV opens no file whose name is not in the system's own letters.
            model = np.frombuffer(Path(weights).read_bytes(), np.uint8)
        except OSError as error:
            raise MissingError(
                f"cannot read {weights}: {error.strerror}", remedy="Check the file."
            ) from error
        try:
            self._network = cv2.FaceDetectorYN.create(
                "onnx", model, np.empty(0, np.uint8), (SMALLEST_SIDE_PX, SMALLEST_SIDE_PX),
                threshold, _SAME_FACE_OVERLAP, _MOST_CANDIDATES,
            )  # fmt: skip
            # Its outputs are asked for by name, which a foreign network does not have.
            self._seen(np.zeros((SMALLEST_SIDE_PX, SMALLEST_SIDE_PX), np.uint8))
        except cv2.error as error:
            raise WeightsError(
                f"{Path(weights).name} cannot be used as YuNet ({error.err or error.func})",
                remedy="It is damaged, or another network. Get it again with: "
                "synctool download yunet --force",
            ) from error

    def detect(self, gray: np.ndarray, *, smallest_face_px: float | None = None) -> list[Face]:
        """See ``FaceDetector.detect``."""
        longest = max(gray.shape)
        side = float(THOROUGH_SIDE_PX)
        if smallest_face_px:
            side = longest * FACE_SIDE_PX / smallest_face_px
        side = min(max(side, SMALLEST_SIDE_PX), THOROUGH_SIDE_PX, longest)
        found = self._look(gray, side / longest)
        if side > LARGEST_FACE_PX:
            found = np.concatenate([found, self._look(gray, SMALLEST_SIDE_PX / longest)])
        boxes = np.concatenate([found[:, :2], found[:, :2] + found[:, 2:4]], 1)
        # YuNet's order is the person's own: right eye first, which is on the left of the image.
        points = found[:, _LANDMARKS].reshape(-1, 5, 2)
        scores = found[:, _SCORE]
        return [Face(boxes[i], points[i], float(scores[i])) for i in strongest(boxes, scores)]

    def _look(self, gray: np.ndarray, scale: float) -> np.ndarray:
        """Faces in the reduced image, ``[N, 15]`` in pixels of the whole one."""
        height, width = gray.shape
        new_h, new_w = (max(1, round(n * scale)) for n in (height, width))
        if (new_h, new_w) != (height, width):
            gray = cv2.resize(gray, (new_w, new_h), interpolation=cv2.INTER_AREA)
        found = self._seen(gray).copy()
        found[:, :_SCORE] *= np.tile([width / new_w, height / new_h], 7).astype(np.float32)
        return found

    def _seen(self, gray: np.ndarray) -> np.ndarray:
        self._network.setInputSize((gray.shape[1], gray.shape[0]))
        _, found = self._network.detect(cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR))
        return np.zeros((0, 15), np.float32) if found is None else found
