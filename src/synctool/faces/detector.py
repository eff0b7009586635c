"""What a face detector gives, and the geometry shared by all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

_TYPICAL_POINTS = np.array(
    [[0.31, 0.41], [0.69, 0.41], [0.5, 0.60], [0.35, 0.78], [0.65, 0.78]], np.float32
)
"""Eyes (left of the frame first), nose, mouth corners within a face box, of frontal faces."""

_SAME_FACE_OVERLAP = 0.3


@dataclass(frozen=True)
class Face:
    """One face in one frame, in pixels of that frame.

    Attributes:
        box: float32 ``[4]``: left, top, right, bottom.
        points: float32 ``[5, 2]``: the eye on the left of the frame, the other eye, nose, and the
            mouth corners in the same order.
        score: Detector's own score in 0..1.
    """

    box: np.ndarray
    points: np.ndarray
    score: float

    @property
    def height_px(self) -> float:
        """Height of the box."""
        return float(self.box[3] - self.box[1])


class FaceDetector(Protocol):
    """Finds faces in a grey frame. One instance serves many videos: it keeps nothing between frames.

    A detector may also have ``refind(gray, boxes) -> list[Face]``: look only where faces were a moment
    ago, for speed.
    """

    def detect(self, gray: np.ndarray, *, smallest_face_px: float | None = None) -> list[Face]:
        """Find faces.

        Args:
            gray: uint8 ``[H, W]``.
            smallest_face_px: Height of the smallest face being followed: the detector may reduce the
                frame as far as such a face allows. None: full-frame detection of faces of any size.

        Returns:
            Faces, best score first.
        """
        ...


def eyes_apart(points: np.ndarray) -> float:
    """How far apart the eyes are, as a share of their distance to the mouth: 0.8 to 1.1 from the front.

    The distance between the eyes shrinks by the cosine of the angle by which a head is turned aside, the one
    to the mouth does not.

    Args:
        points: ``[5, 2]``, as of ``Face``.
    """
    eyes, mouth = points[:2], points[3:]
    down = float(np.linalg.norm(mouth.mean(0) - eyes.mean(0)))
    return float(np.linalg.norm(eyes[1] - eyes[0])) / max(down, 1e-6)


def points_from_box(box: np.ndarray) -> np.ndarray:
    """Typical positions of the five points, for detectors that give boxes only.

    Args:
        box: ``[4]``: left, top, right, bottom.

    Returns:
        float32 ``[5, 2]``.
    """
    size = np.array([box[2] - box[0], box[3] - box[1]], np.float32)
    return _TYPICAL_POINTS * size + np.asarray(box[:2], np.float32)


def strongest(boxes: np.ndarray, scores: np.ndarray) -> list[int]:
    """Non-maximum suppression: which boxes stand for faces of their own.

    Args:
        boxes: ``[N, 4]``.
        scores: ``[N]``.

    Returns:
        Indices of the boxes to keep, best score first.
    """
    kept: list[int] = []
    overlaps = overlap(boxes, boxes)
    for i in np.argsort(-scores):
        if all(overlaps[i, j] < _SAME_FACE_OVERLAP for j in kept):
            kept.append(int(i))
    return kept


def overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes.

    Args:
        a: ``[N, 4]``.
        b: ``[M, 4]``.

    Returns:
        float32 ``[N, M]`` in 0..1.
    """
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    inner = np.clip(high - low, 0, None).prod(-1)
    area_a = np.clip(a[:, 2:] - a[:, :2], 0, None).prod(-1)
    area_b = np.clip(b[:, 2:] - b[:, :2], 0, None).prod(-1)
    return (inner / np.maximum(area_a[:, None] + area_b[None] - inner, 1e-9)).astype(np.float32)
