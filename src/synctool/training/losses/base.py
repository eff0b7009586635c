"""The arithmetic of losses over score volumes and embeddings. K: largest offset, R = 2K+1 rows.

In a volume ``-inf`` means that there is no audio for that candidate. A frame is *known* when all rows
that its target is spread over have audio; the others take no part.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from synctool.training.replicas import global_mean

_NOTHING = -1e4
"""Stands for ``-inf``, whose gradient is not a number where all rows are missing."""


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


def pooled(logits: Tensor, frames: int) -> Tensor:
    """Mean of the logits over neighbouring frames, without padding.

    Args:
        logits: ``[B, R, T]``.
        frames: Length of the window; windows with missing audio come out ``-inf``.
    """
    missing = torch.isneginf(logits)
    mean = F.avg_pool1d(logits.masked_fill(missing, 0.0), frames, 1)
    return mean.masked_fill(F.max_pool1d(missing.float(), frames, 1) > 0, float("-inf"))


def known_frames(logits: Tensor, targets: Tensor) -> Tensor:
    """Boolean ``[B, T]``: frames whose target rows all have audio.

    Args:
        logits: ``[B, R, T]``.
        targets: ``[B, R]``.
    """
    wanted = targets[:, :, None] > 0
    return ~(torch.isneginf(logits) & wanted).any(1) & wanted.any(1)


def log_probabilities(logits: Tensor) -> Tensor:
    """Log-softmax over the rows in float32; finite, and about -10000 where there is no audio."""
    return logits.float().masked_fill(torch.isneginf(logits), _NOTHING).log_softmax(1)


def known_mean(values: Tensor, known: Tensor) -> Tensor:
    """Mean of the known values, over all processes that train together; 0 without any.

    Args:
        values: Any shape; finite everywhere.
        known: Boolean, same shape.
    """
    return global_mean((values * known).sum(), known.sum())


def offset_cross_entropy(
    logits: Tensor, targets: Tensor, *, label_smoothing: float = 0.0, gamma: float = 0.0
) -> Tensor:
    """Cross-entropy over the candidate audio frames of every frame.

    Args:
        logits: ``[B, R, T]``, ``-inf`` where there is no audio.
        targets: ``[B, R]``.
        label_smoothing: Share of the target that is spread evenly over all candidates with audio
            (Szegedy et al. 2016).
        gamma: Focusing power (Lin et al. 2017): each row's part is weighted by ``(1 - p)^gamma``.

    Returns:
        Mean over the known frames, a scalar.
    """
    wanted = targets[:, :, None]
    known = known_frames(logits, targets)
    log_probs = log_probabilities(logits)
    if label_smoothing:
        has_audio = ~torch.isneginf(logits)
        even = has_audio / has_audio.sum(1, keepdim=True).clamp_min(1)
        wanted = (1 - label_smoothing) * wanted + label_smoothing * even
    if gamma:
        # The power's gradient at 0 is infinite for a gamma below 1.
        doubt = (1 - log_probs.exp()).clamp_min(1e-6)
        log_probs = log_probs * doubt**gamma
    return known_mean(-(wanted * log_probs).sum(1), known)


def info_nce(video: Tensor, audio: Tensor, scale: Tensor) -> Tensor:
    """Symmetric InfoNCE (van den Oord et al. 2018) between video and audio of other clips.

    Args:
        video: ``[N, D]``, unit length; without any row the loss is 0.
        audio: ``[N, D]``, unit length; row i belongs to row i of ``video``.
        scale: Inverse temperature, a scalar.
    """
    if not len(video):
        return (video.sum() + audio.sum()) * scale
    logits = video @ audio.T * scale
    labels = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2


def numbers(parts: Mapping[str, Tensor]) -> dict[str, float]:
    """Scalars as plain numbers, fetched from the device at once."""
    if not parts:
        return {}
    return dict(zip(parts, torch.stack([x.detach().float() for x in parts.values()]).tolist()))
