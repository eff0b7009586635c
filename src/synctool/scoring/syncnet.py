"""SyncNet's own protocol: distances to an offset, LSE-D, LSE-C and a confidence per frame.

After Chung & Zisserman, "Out of time: automated lip sync in the wild" (ACCV workshops, 2016), as in
the code published with it (``calc_pdist`` and ``evaluate``), whose numbers are reproduced exactly
where nothing is missing. Two things differ on purpose. The rows are in the order of every volume
here (row ``K + n`` is the offset ``n``; the published row ``i`` is the offset ``vshift - i``). And
the published code compares frames near the ends of a video with zeros; here that is ``pad="zeros"``,
while ``pad="nan"`` leaves those comparisons out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from scipy.ndimage import median_filter

from synctool.scoring.rows import MIN_SHARE, blocks, row_means, searched_rows

EPSILON = 1e-6
"""What ``torch.nn.functional.pairwise_distance`` adds to every difference."""
MEDIAN_FRAMES = 9
"""Length of the median filter over the confidence per frame."""
_BLOCK_FRAMES = 256


@dataclass(frozen=True)
class SyncNetScore:
    """What the published code prints for one video.

    Attributes:
        offset_frames: Offset of the row with the smallest mean distance; > 0: audio ahead.
        min_distance: That mean distance (LSE-D); smaller is better.
        syncnet_confidence: Median minus minimum of the mean distances (LSE-C); larger is better.
        curve: Mean distance per row, ``[2K+1]`` float32, NaN for rows with too few valid frames.
        frame_confidence: Median of the curve minus the distance at the video's offset, per frame,
            median-filtered over 9 frames; ``[T]`` float32, NaN where there is no distance.
    """

    offset_frames: int
    min_distance: float
    syncnet_confidence: float
    curve: np.ndarray = field(repr=False, compare=False)
    frame_confidence: np.ndarray = field(repr=False, compare=False)


def pairwise_distances(
    video: np.ndarray,
    audio: np.ndarray,
    max_offset: int,
    first_audio_index: int = 0,
    *,
    pad: Literal["nan", "zeros"] = "nan",
) -> np.ndarray:
    """Distances between the embedding of every video frame and those of the audio frames around it.

    A long video can be done in pieces: give some frames of the video with the audio from
    ``max_offset`` frames before the first to ``max_offset`` frames after the last, and say with
    ``first_audio_index`` where that audio begins.

    Args:
        video: Embeddings ``[T, D]``, NaN for a frame without a face.
        audio: Embeddings ``[T_a, D]``, 25 per second as well.
        max_offset: K, the largest offset searched, in frames.
        first_audio_index: Position of ``audio[0]``, in frames counted from ``video[0]``.
        pad: What to do where the candidate audio frame lies outside ``audio``: ``nan``, or ``zeros`` for
            the distance to a zero vector as in the published code.

    Returns:
        L2 distances ``[2K+1, T]`` float32; row ``K + n`` compares ``video[t]`` with the audio at
        position ``t - n``.
    """
    video = np.ascontiguousarray(video, dtype=np.float32)
    audio = np.ascontiguousarray(audio, dtype=np.float32)
    if video.ndim != 2 or audio.ndim != 2 or video.shape[1] != audio.shape[1]:
        raise ValueError(f"embeddings must be [T, D] of one D, not {video.shape}, {audio.shape}")
    frames = len(video)
    distances = np.full((2 * max_offset + 1, frames), np.nan, dtype=np.float32)
    for part in blocks(frames, _BLOCK_FRAMES):
        if pad == "zeros":
            distances[:, part] = _length(video[part] + np.float32(EPSILON))
        for offset in range(-max_offset, max_offset + 1):
            back = offset + first_audio_index  # audio row = video frame - back
            start, stop = max(part.start, back), min(part.stop, len(audio) + back)
            if start < stop:
                difference = video[start:stop] - audio[start - back : stop - back]
                difference += np.float32(EPSILON)
                distances[max_offset + offset, start:stop] = _length(difference)
    return distances


def syncnet_score(distances: np.ndarray, *, min_share: float = MIN_SHARE) -> SyncNetScore | None:
    """Apply SyncNet's protocol to the distances of a whole video.

    Args:
        distances: ``[2K+1, T]``, rows as in every volume, NaN where there is none.
        min_share: A row counts when it has at least this share of the valid frames of the
            best-covered row.

    Returns:
        The scores, or None when there is not one distance.
    """
    means, counts = row_means(distances)
    searched = searched_rows(counts, min_share)
    if not searched.any():
        return None
    curve = np.where(searched, means, np.nan)
    row = int(np.nanargmin(curve))
    ordered = np.sort(curve[searched])
    median = float(ordered[(len(ordered) - 1) // 2])  # torch.median: the lower of the middle two
    frame_confidence = (median - distances[row]).astype(np.float32)
    valid = np.isfinite(frame_confidence)
    # As scipy.signal.medfilt, zeros beyond the ends included, but at ease with very short videos.
    frame_confidence[valid] = median_filter(frame_confidence[valid], MEDIAN_FRAMES, mode="constant")
    return SyncNetScore(
        offset_frames=row - len(distances) // 2,
        min_distance=float(curve[row]),
        syncnet_confidence=median - float(curve[row]),
        curve=curve.astype(np.float32),
        frame_confidence=frame_confidence,
    )


def _length(vectors: np.ndarray) -> np.ndarray:
    return np.sqrt(np.einsum("td,td->t", vectors, vectors))
