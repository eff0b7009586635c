"""Optical flow as further channels of a network's input, for a stream that sees motion alone.

By dense inverse search (Kroeger et al. 2016, "Fast Optical Flow using Dense Inverse Search",
arXiv:1603.03590), as OpenCV has it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

FLOW_CHANNELS = 2
"""Right and down."""
FLOW_REACH_FRAMES = 1
"""The flow of a frame is seen between the frame before it and the one after it."""
LARGEST_PX = 20.0
"""Faster motion is cut off, and this many pixels a frame become 1: so the published streams were trained."""
_LUMA = {"rgb": (0.299, 0.587, 0.114), "bgr": (0.114, 0.587, 0.299)}


def with_flow(normal: Any, values: Any, *, colour: str) -> Any:
    """Normalised frames and their flow in one array.

    Args:
        normal: ``[B, C, T, H, W]``, an array or a tensor.
        values: The same frames as they were, 0..255, ``[B, 1 or 3, T, H, W]``.
        colour: Order of their colours, ``rgb`` or ``bgr``.

    Returns:
        ``[B, C + 2, T, H, W]``, of the kind of ``normal``.
    """
    frames = np.asarray(values if isinstance(values, np.ndarray) else values.detach().cpu())
    if frames.shape[1] == 1:
        grey = frames[:, 0]
    else:
        grey = np.einsum("c,bcthw->bthw", np.array(_LUMA[colour], np.float32), frames)
    flow = np.stack([flow_of(clip) for clip in grey.round().clip(0, 255).astype(np.uint8)])
    if isinstance(normal, np.ndarray):
        return np.concatenate([normal, flow], axis=1)
    import torch

    return torch.cat([normal, normal.new_tensor(flow)], dim=1)


def flow_of(grey: np.ndarray) -> np.ndarray:
    """Motion at each frame: half of that from the frame before it to the one after it, so that it belongs
    to the frame itself. At the ends it is that of the pair of frames there.

    Args:
        grey: uint8 ``[T, H, W]``.

    Returns:
        float32 ``[2, T, H, W]``, right and down, -1..1: parts of 20 pixels a frame. Of a single frame: zeros.
    """
    import cv2

    frames = len(grey)
    found = np.zeros((FLOW_CHANNELS, *grey.shape), np.float32)
    if frames > 1:
        search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        for t in range(frames):
            first, last = max(t - 1, 0), min(t + 1, frames - 1)
            motion = np.zeros((*grey.shape[1:], FLOW_CHANNELS), np.float32)
            motion = np.asarray(search.calc(grey[first], grey[last], motion))
            found[:, t] = motion.transpose(2, 0, 1) / (last - first)
    return (found / LARGEST_PX).clip(-1.0, 1.0)
