"""S3FD as a face detector: the one that SyncNet's authors find their faces with."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from torchvision.ops import nms

from synctool.faces.detector import Face, points_from_box
from synctool.weights.published import fit_published, read_published
from synctool_plugin_facedetectors.s3fd_network import S3fdNetwork, boxes_above

SCALE = 0.25
"""SyncNet's pipeline looks at images of a quarter of their size ..."""
SHORTEST_SIDE_PX, LONGEST_SIDE_PX = 320, 640
"""... which are no smaller here than the first, and no larger than the second (longest side)."""
SMALLEST_SIDE_PX = 160
FACE_SIDE_PX = 48
"""Height to which a followed face may be reduced."""
_MEAN_RGB = (123.0, 117.0, 104.0)
_SAME_FACE_OVERLAP = 0.3
_LEAST_INPUT_PX = 32


class S3fdDetector:
    """S3FD on a reduced grey image, on the graphics card where there is one. It gives boxes only.

    Args:
        weights: The published ``sfd_face.pth``, or the same tensors as safetensors.
        threshold: Lowest probability of a face; 0.9 as in SyncNet's pipeline.
        width: Channels of the network's first stage; 64 in the published file.
        device: ``cpu`` or ``cuda``; None takes ``cuda`` where there is one.

    Raises:
        MissingError: No such file.
        WeightsError: It is damaged, would have to run code, or belongs to another network.
    """

    def __init__(
        self,
        *,
        weights: Path,
        threshold: float = 0.9,
        width: int = 64,
        device: str | None = None,
    ) -> None:
        self._threshold = threshold
        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        network = S3fdNetwork(width=width)
        fit_published(network, read_published(Path(weights)), name="s3fd")
        self._network = network.eval().requires_grad_(False).to(self._device)
        self._mean = torch.tensor(_MEAN_RGB, device=self._device)[:, None, None]

    def detect(self, gray: np.ndarray, *, smallest_face_px: float | None = None) -> list[Face]:
        """See ``FaceDetector.detect``."""
        height, width = gray.shape
        scale = _scale(max(height, width), smallest_face_px)
        new_h, new_w = (max(_LEAST_INPUT_PX, round(n * scale)) for n in (height, width))
        if (new_h, new_w) != (height, width):
            gray = cv2.resize(gray, (new_w, new_h), interpolation=cv2.INTER_AREA)
        boxes, scores = self._found(gray)
        boxes *= np.tile([width / new_w, height / new_h], 2).astype(np.float32)
        return [Face(box, points_from_box(box), float(score)) for box, score in zip(boxes, scores)]

    @torch.inference_mode()
    def _found(self, gray: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Boxes in pixels of this image, and their probabilities, best first."""
        image = torch.from_numpy(gray).to(self._device).float() - self._mean
        boxes, scores = boxes_above(self._network(image[None]), self._threshold)
        kept = nms(boxes, scores, _SAME_FACE_OVERLAP)
        return boxes[kept].cpu().numpy(), scores[kept].cpu().numpy()


def _scale(longest: int, smallest_face_px: float | None) -> float:
    side = min(max(SCALE * longest, SHORTEST_SIDE_PX), LONGEST_SIDE_PX, longest)
    if smallest_face_px:
        side = min(side, max(longest * FACE_SIDE_PX / smallest_face_px, SMALLEST_SIDE_PX))
    return side / longest
