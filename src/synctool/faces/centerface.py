"""CenterFace (Xu et al. 2019, "CenterFace: Joint Face Detection and Alignment Using Face as Point").

The network comes with this package, see ``centerface_onnx/README.md``, and runs in onnxruntime.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from synctool.faces.detector import Face, overlap, strongest
from synctool.onnxruntime_import import onnxruntime_module

THOROUGH_SIDE_PX = 960
"""Longest side of the image in any full-frame detection."""
FULL_FRAME_FACE_PX = 26
"""Height of the smallest faces wanted in a full-frame detection. Of 89 faces of the corpus CenterFace finds
all when they are reduced to 24 px, 78% at 20 px and 15% at 16 px."""
MEASURED_FACE_PX = 40.0
"""Lower faces carry no answer, so that none of them need be found."""
LEAST_SIDE_PX = 256
FOLLOWED_SIDE_PX = 160
"""The image is not reduced further than to these, the latter while faces are followed."""
REFINED_FACES = 8
REFINING_SCALES = (0.8, 1.0)
"""Of so many faces of a full-frame detection the places are means over ROI detections at these scales."""
REFIND_SIDE_PX = 128
"""Side of the images in which a followed face is looked for again."""
REFIND_REACH = 2.2
"""Such an image shows so many times the face's size."""
_STRIDE = 4


class CenterFaceDetector:
    """CenterFace on a reduced grey image.

    Args:
        threshold: Lowest score of a face, 0..1.
        threads: Threads of the runtime.
    """

    def __init__(self, *, threshold: float = 0.5, threads: int | None = None) -> None:
        self._threshold = threshold
        # A file of this package itself, like its code; users cannot name another, so it is not checked.
        self._session = single_core_session(model_file().read_bytes(), threads=threads)
        self._input = self._session.get_inputs()[0].name

    def detect(self, gray: np.ndarray, *, smallest_face_px: float | None = None) -> list[Face]:
        """See ``FaceDetector.detect``."""
        wanted_px = smallest_face_px or MEASURED_FACE_PX
        least = FOLLOWED_SIDE_PX if smallest_face_px else LEAST_SIDE_PX
        side = max(max(gray.shape) * FULL_FRAME_FACE_PX / wanted_px, least)
        return self._refined(gray, self.find(gray, side_px=side))

    def find(self, gray: np.ndarray, *, side_px: float) -> list[Face]:
        """Find faces in a reduced image.

        Args:
            gray: uint8 ``[H, W]``.
            side_px: Longest side of the reduced image; at most ``THOROUGH_SIDE_PX`` and twice that of
                ``gray``. Faces lower than 24 px there are missed.

        Returns:
            Faces, best score first.
        """
        height, width = gray.shape
        side = min(side_px, THOROUGH_SIDE_PX, max(height, width) * 2)
        scale = side / max(height, width)
        new_h, new_w = (max(32, round(n * scale / 32) * 32) for n in (height, width))
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        small = cv2.resize(gray, (new_w, new_h), interpolation=method).astype(np.float32)
        heat, size, shift, points = self._session.run(None, {self._input: small[None, None]})
        boxes, marks, scores = self._decode(heat[0, 0], size[0], shift[0], points[0])
        if not len(boxes):
            return []
        ratio = np.array([width / new_w, height / new_h], np.float32)
        boxes = boxes * np.tile(ratio, 2)
        marks = marks * ratio
        return [Face(boxes[i], marks[i], float(scores[i])) for i in strongest(boxes, scores)]

    def _refined(self, gray: np.ndarray, found: list[Face]) -> list[Face]:
        """The same faces, the largest of them placed by ROI detections: the full frame is much reduced."""
        faces = list(found)
        largest = sorted(range(len(found)), key=lambda i: -found[i].height_px)[:REFINED_FACES]
        boxes = [_scaled(found[i].box, scale) for i in largest for scale in REFINING_SCALES]
        again = self._near(gray, boxes) if boxes else []
        for k, i in enumerate(largest):
            answers = [f for f in again[k * len(REFINING_SCALES) :][: len(REFINING_SCALES)] if f]
            if answers:
                box = np.mean([f.box for f in answers], 0)
                points = np.mean([f.points for f in answers], 0)
                faces[i] = Face(box, points, found[i].score)
        return faces

    def refind(self, gray: np.ndarray, boxes: Sequence[np.ndarray]) -> list[Face]:
        """Look for faces where they were a moment ago, which costs a fraction of a whole look.

        Args:
            gray: uint8 ``[H, W]``.
            boxes: Where the faces were, ``[4]`` each: left, top, right, bottom.

        Returns:
            The best face near each box; fewer than boxes where one is gone.
        """
        found = [face for face in self._near(gray, boxes) if face is not None]
        if not found:
            return []
        # Two boxes that lead to one face: one of the faces has gone.
        kept = strongest(np.stack([f.box for f in found]), np.array([f.score for f in found]))
        return [found[i] for i in kept]

    def _near(self, gray: np.ndarray, boxes: Sequence[np.ndarray]) -> list[Face | None]:
        """The best face near each box ``[4]``; None where there is none."""
        batch = np.zeros((len(boxes), 1, REFIND_SIDE_PX, REFIND_SIDE_PX), np.float32)
        origins, ratios = [], []
        for i, box in enumerate(boxes):
            part, origin = _surroundings(gray, box)
            scale = REFIND_SIDE_PX / max(part.shape)
            new_h, new_w = (max(1, round(n * scale)) for n in part.shape)
            method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            batch[i, :, :new_h, :new_w] = cv2.resize(part, (new_w, new_h), interpolation=method)
            origins.append(origin)
            ratios.append((part.shape[1] / new_w, part.shape[0] / new_h))
        heat, size, shift, points = self._session.run(None, {self._input: batch})
        found: list[Face | None] = []
        for i, box in enumerate(boxes):
            here, marks, scores = self._decode(heat[i, 0], size[i], shift[i], points[i])
            if not len(here):
                found.append(None)
                continue
            ratio, origin = np.array(ratios[i], np.float32), np.array(origins[i], np.float32)
            here = here * np.tile(ratio, 2) + np.tile(origin, 2)
            near = overlap(here, np.asarray(box)[None])[:, 0] * scores
            best = int(np.argmax(near))
            face = Face(here[best], marks[best] * ratio + origin, float(scores[best]))
            found.append(face if near[best] > 0 else None)
        return found

    def _decode(
        self, heat: np.ndarray, size: np.ndarray, shift: np.ndarray, points: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        row, column = np.nonzero(heat > self._threshold)
        extent = np.exp(size[:, row, column]) * _STRIDE  # height, width
        top = (row + shift[0, row, column] + 0.5) * _STRIDE - extent[0] / 2
        left = (column + shift[1, row, column] + 0.5) * _STRIDE - extent[1] / 2
        boxes = np.stack([left, top, left + extent[1], top + extent[0]], -1)
        offsets = points[:, row, column].reshape(5, 2, -1)  # per point: y, x within the box
        marks = np.stack([offsets[:, 1] * extent[1] + left, offsets[:, 0] * extent[0] + top], -1)
        return (
            boxes.astype(np.float32),
            marks.transpose(1, 0, 2).astype(np.float32),
            heat[row, column],
        )


def model_file() -> Path:
    """The network, which comes with this package."""
    return Path(str(resources.files("synctool.faces") / "centerface_onnx" / "centerface.onnx"))


def single_core_session(model: bytes, *, threads: int | None = None) -> Any:
    """An onnxruntime session for a small network beside the decoder.

    Args:
        model: The ONNX file.
        threads: Threads of the runtime; one unless told, as the decoder keeps the next core busy.
    """
    onnxruntime = onnxruntime_module()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 1
    options.log_severity_level = 3
    # Idle threads must sleep, not spin: the decoder works on the same cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _scaled(box: np.ndarray, scale: float) -> np.ndarray:
    """A box about its middle."""
    middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2 * scale
    return np.concatenate([middle - half, middle + half])


def _surroundings(gray: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """The square round a box, moved into the image, and the position of its corner."""
    height, width = gray.shape
    side = max(8, round(REFIND_REACH * float(max(box[2] - box[0], box[3] - box[1]))))
    corner = []
    for low, high, limit in ((box[0], box[2], width), (box[1], box[3], height)):
        at = round(float(low + high) / 2 - side / 2)
        corner.append(min(max(at, 0), max(limit - side, 0)))
    left, top = corner
    return gray[top : top + side, left : left + side], (left, top)
