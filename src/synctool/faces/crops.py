"""Crops of a followed face: the mouth by a similarity transform, the face by SyncNet's padded box."""

from __future__ import annotations

import cv2
import numpy as np

_REFERENCE = np.array(
    [[-0.5, 0.0], [0.5, 0.0], [0.0, 0.55], [-0.42, 1.05], [0.42, 1.05]], np.float64
)
"""A typical frontal face; unit: the distance between the eyes, origin between them."""
_MOUTH = np.array([0.0, 1.10])
MOUTH_PX_PER_EYE_DISTANCE = 40.0
"""Scale of mouth crops: the eyes of the reference face would be 40 px apart."""
SYNCNET_CROP_SCALE = 0.40
_SYNCNET_BORDER = 110
_COARSE = 0.6
"""Below this scale the image is first reduced by area, against aliasing."""


def similarity(points: np.ndarray) -> np.ndarray:
    """Least-squares similarity transform from a face's points to the reference face.

    Args:
        points: ``[5, 2]`` pixels.

    Returns:
        float64 ``[2, 3]``: pixels to reference units (Umeyama 1991, without reflection).
    """
    source = np.asarray(points, np.float64)
    mean_s, mean_r = source.mean(0), _REFERENCE.mean(0)
    s, r = source - mean_s, _REFERENCE - mean_r
    spread = max((s**2).sum(), 1e-9)
    a = (s * r).sum() / spread
    b = (s[:, 0] * r[:, 1] - s[:, 1] * r[:, 0]).sum() / spread
    turn = np.array([[a, -b], [b, a]])
    return np.concatenate([turn, (mean_r - turn @ mean_s)[:, None]], 1)


def mouth_crop(image: np.ndarray, points: np.ndarray, size_px: int) -> np.ndarray:
    """Upright crop centred on the mouth, at ``MOUTH_PX_PER_EYE_DISTANCE``.

    Args:
        image: uint8 ``[H, W]`` or ``[H, W, C]``.
        points: ``[5, 2]`` pixels of the image.
        size_px: Side of the crop; a larger one shows more, at the same scale.

    Returns:
        uint8 ``[size_px, size_px]`` (``[..., C]``).
    """
    transform = similarity(points) * MOUTH_PX_PER_EYE_DISTANCE
    transform[:, 2] += size_px / 2 - _MOUTH * MOUTH_PX_PER_EYE_DISTANCE
    return _warp(image, transform, size_px, cv2.BORDER_REPLICATE)


def face_crop(image: np.ndarray, box: np.ndarray, size_px: int) -> np.ndarray:
    """SyncNet's face crop (``run_pipeline.py`` of the published code, crop scale 0.40).

    Args:
        image: uint8 ``[H, W]`` or ``[H, W, C]``.
        box: ``[4]``: left, top, right, bottom in pixels. A box that is the whole image is
            taken as a crop made already.
        size_px: Side of the crop.

    Returns:
        uint8 ``[size_px, size_px]`` (``[..., C]``).
    """
    height, width = image.shape[:2]
    if np.allclose(box, [0, 0, width, height]):
        return cv2.resize(image, (size_px, size_px), interpolation=cv2.INTER_AREA)
    half = max(box[2] - box[0], box[3] - box[1]) / 2
    middle_x, middle_y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    left = middle_x - half * (1 + SYNCNET_CROP_SCALE)
    top = middle_y - half
    side = max(2 * half * (1 + SYNCNET_CROP_SCALE), 1e-3)
    scale = size_px / side
    transform = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]])
    return _warp(image, transform, size_px, cv2.BORDER_CONSTANT, border=_SYNCNET_BORDER)


def _warp(
    image: np.ndarray, transform: np.ndarray, size_px: int, mode: int, *, border: int = 0
) -> np.ndarray:
    scale = float(np.hypot(transform[0, 0], transform[1, 0]))
    if scale < _COARSE:
        image, transform = _reduced(image, transform, size_px, scale)
    return cv2.warpAffine(
        image, transform, (size_px, size_px), flags=cv2.INTER_LINEAR,
        borderMode=mode, borderValue=(border,) * 3,
    )  # fmt: skip


def _reduced(
    image: np.ndarray, transform: np.ndarray, size_px: int, scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """The part of the image that the crop needs, reduced by area, and the transform for it."""
    height, width = image.shape[:2]
    corners = np.array([[0, 0], [size_px, 0], [0, size_px], [size_px, size_px]], np.float64)
    back = cv2.invertAffineTransform(transform)
    seen = corners @ back[:, :2].T + back[:, 2]
    low = np.clip(np.floor(seen.min(0)) - 2, 0, [width - 2, height - 2]).astype(int)
    high = np.clip(np.ceil(seen.max(0)) + 2, low + 2, [width, height]).astype(int)
    part = image[low[1] : high[1], low[0] : high[0]]
    new = np.maximum(np.round((high - low) * scale), 1).astype(int)
    small = cv2.resize(part, (int(new[0]), int(new[1])), interpolation=cv2.INTER_AREA)
    # Pixel centres: source = (reduced + 0.5) * ratio - 0.5 + low
    ratio = (high - low) / new
    grow = np.array(
        [[ratio[0], 0, 0.5 * ratio[0] - 0.5 + low[0]], [0, ratio[1], 0.5 * ratio[1] - 0.5 + low[1]]]
    )
    combined = transform[:, :2] @ grow
    combined[:, 2] += transform[:, 2]
    return small, combined
