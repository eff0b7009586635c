"""The objective of ``fcn-cls``: which of 2K+1 sounds belongs, per frame, pooled, and across clips."""

from __future__ import annotations

import torch
from torch import Tensor

from synctool.data.windows import WindowBatch
from synctool.models.correlation import correlate
from synctool.models.offset_classifier import OffsetClassifier
from synctool.training.losses import info_nce, offset_cross_entropy, pooled, soft_targets

_WEIGHTS = {"frame": 0.5, "window": 0.5, "clip": 0.3, "head": 1.0, "across": 0.1}
_APART = 6
"""Frames between two that are compared across clips."""


def offset_objective(
    model: OffsetClassifier, batch: WindowBatch, *, max_offset: int
) -> tuple[Tensor, dict[str, float]]:
    """Loss of a batch.

    Args:
        model: The network, in training mode.
        batch: Windows.
        max_offset: K.

    Returns:
        The loss and its parts by name.
    """
    video = batch.video.float() / 255.0
    seen, heard = model.encode_video(video), model.encode_audio(batch.audio)
    head = model.head
    raw, inside = correlate(
        heard, seen, max_offset=max_offset + head.margin, audio_lead=batch.audio_lead
    )
    inside = inside.expand_as(raw)
    refined = head.refine(raw, inside)
    cut = slice(head.margin, raw.shape[1] - head.margin)
    scale = head.log_scale.exp()
    plain = (raw[:, cut] * scale).masked_fill(~inside[:, cut], float("-inf"))
    targets = soft_targets(batch.offset_frames, max_offset)
    parts = {
        "frame": offset_cross_entropy(plain, targets),
        "window": offset_cross_entropy(pooled(plain, min(5, plain.shape[-1])), targets),
        "clip": offset_cross_entropy(pooled(plain, plain.shape[-1]), targets),
        "head": offset_cross_entropy(refined, targets),
        "across": _across_clips(seen, heard, batch, scale),
    }
    loss = sum(_WEIGHTS[name] * value for name, value in parts.items())
    return loss, {name: float(value.detach()) for name, value in parts.items()}


def _across_clips(seen: Tensor, heard: Tensor, batch: WindowBatch, scale: Tensor) -> Tensor:
    frames = torch.arange(0, seen.shape[-1], _APART)
    belongs = frames[None] + batch.audio_lead - batch.offset_frames.round().long()[:, None]
    known = (belongs >= 0) & (belongs < heard.shape[-1])
    index = belongs.clamp(0, heard.shape[-1] - 1)[:, None].expand(-1, heard.shape[1], -1)
    sounds = heard.gather(2, index).transpose(1, 2)[known]
    pictures = seen[:, :, frames].transpose(1, 2)[known]
    return info_nce(pictures, sounds, scale)
