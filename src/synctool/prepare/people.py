"""Telling unnamed people apart by their faces, well enough to keep them out of two splits.

This is no face recognition: faces in like light and pose look alike, so one person may make several
groups and a group may hold a stray. A split by groups therefore needs a guard: what looks like a
held-out face is kept out of training (``looks_like``).
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage

GROUPED_AT_ONCE = 10_000
"""So many faces are grouped unless somebody asks for more: about 5 seconds and 1 GB."""
MOST_FACES = 40_000
"""So many faces can be grouped at all: the distances of all pairs take about 8 bytes each, 13 GB."""
_COMPONENTS = 60
_GROUP_DISTANCE = 1.0
_GUARD_SIMILARITY = 0.7


def describe_faces(faces: np.ndarray) -> np.ndarray:
    """Descriptors of face crops: eigenfaces (Turk & Pentland 1991) of contrast-normalised frames.

    Args:
        faces: uint8 ``[N, S, S]``.

    Returns:
        float32 ``[N, D]``, unit length.
    """
    flat = []
    for face in faces:
        small = cv2.resize(face, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
        middle = small[2:30, 6:26]
        flat.append(((middle - middle.mean()) / (middle.std() + 5)).ravel())
    centred = np.stack(flat) - np.mean(flat, 0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    scores = u[:, :_COMPONENTS] * s[:_COMPONENTS]
    return (scores / np.maximum(np.linalg.norm(scores, axis=1, keepdims=True), 1e-9)).astype(
        np.float32
    )


def group_people(descriptors: np.ndarray) -> np.ndarray:
    """Group descriptors by average linkage.

    Args:
        descriptors: ``[N, D]``, unit length.

    Returns:
        int ``[N]``, groups numbered from 0 by size, the largest first.
    """
    if len(descriptors) < 2:
        return np.zeros(len(descriptors), int)
    labels = fcluster(linkage(descriptors, "average"), _GROUP_DISTANCE, "distance") - 1
    order = np.argsort(-np.bincount(labels), kind="stable")
    rank = np.empty(len(order), int)
    rank[order] = np.arange(len(order))
    return rank[labels]


def looks_like(descriptors: np.ndarray, held_out: np.ndarray) -> np.ndarray:
    """Which faces resemble a held-out one too much to train on.

    Args:
        descriptors: ``[N, D]``, unit length.
        held_out: ``[M, D]``.

    Returns:
        bool ``[N]``.
    """
    if not len(held_out):
        return np.zeros(len(descriptors), bool)
    return (descriptors @ held_out.T).max(1) > _GUARD_SIMILARITY
