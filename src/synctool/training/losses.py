"""Losses over score volumes and embeddings. K: largest offset, R = 2K+1 rows."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def soft_targets(offset_frames: Tensor, max_offset: int) -> Tensor:
    """Target distribution of a fractional offset: its two neighbouring rows share it linearly.

    Args:
        offset_frames: ``[B]``; outside ±K there is no target.
        max_offset: K.

    Returns:
        ``[B, R]``, rows sum to 1, or to 0 outside the range.
    """
    rows = torch.arange(-max_offset, max_offset + 1, device=offset_frames.device)
    near = (1 - (rows[None] - offset_frames[:, None]).abs()).clamp_min(0)
    return near * (offset_frames.abs() <= max_offset)[:, None]


def offset_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Multi-way matching (Chung, Chung & Kang 2019, "Perfect Match"): which of R sounds belongs.

    Args:
        logits: ``[B, R, T]``, ``-inf`` where there is no sound.
        targets: ``[B, R]``.

    Returns:
        Mean over the frames whose target rows all have sound, a scalar.
    """
    wanted = targets[:, :, None].expand_as(logits)
    known = (torch.isfinite(logits) | (wanted == 0)).all(1) & (targets.sum(1, keepdim=True) > 0)
    log_probs = logits.masked_fill(~torch.isfinite(logits), -1e4).log_softmax(1)
    losses = -(wanted * log_probs).sum(1)
    return (losses * known).sum() / known.sum().clamp_min(1)


def pooled(logits: Tensor, frames: int) -> Tensor:
    """Mean of the logits over neighbouring frames, without padding.

    Args:
        logits: ``[B, R, T]``.
        frames: Length of the window; windows with a missing sound come out ``-inf``.
    """
    missing = (~torch.isfinite(logits)).float()
    mean = F.avg_pool1d(logits.masked_fill(missing.bool(), 0.0), frames, 1)
    return mean.masked_fill(F.max_pool1d(missing, frames, 1) > 0, float("-inf"))


def info_nce(video: Tensor, audio: Tensor, scale: Tensor) -> Tensor:
    """Symmetric InfoNCE (van den Oord et al. 2018) between pictures and sounds of other clips.

    Args:
        video: ``[N, D]``, unit length.
        audio: ``[N, D]``, unit length; row i belongs to row i of ``video``.
        scale: Inverse temperature, a scalar.
    """
    logits = video @ audio.T * scale
    labels = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2
