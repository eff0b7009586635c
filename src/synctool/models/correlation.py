"""Every picture against every candidate sound: the raw score volume."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def candidates(
    audio_features: Tensor, frames: int, *, max_offset: int, audio_lead: int = 0
) -> tuple[Tensor, Tensor]:
    """The candidate sounds of each video frame.

    Row ``K + n`` of frame t holds the sound at index ``t - n``: the match when the sound is n frames
    ahead.

    Args:
        audio_features: ``[B, D, T_audio]``.
        frames: T, the number of video frames.
        max_offset: K.
        audio_lead: Index of the sound that belongs to video frame 0.

    Returns:
        ``[B, D, 2K+1, T]`` (a strided view) and a boolean ``[2K+1, T]`` that is True inside the sound.
    """
    length = audio_features.shape[-1]
    before = max(0, max_offset - audio_lead)
    after = max(0, frames + max_offset + audio_lead - length)
    padded = F.pad(audio_features, (before, after))
    start = audio_lead - max_offset + before
    windows = padded[..., start : start + frames + 2 * max_offset].unfold(-1, frames, 1)
    index = torch.arange(frames)[None] - torch.arange(-max_offset, max_offset + 1)[:, None] + audio_lead
    inside = (index >= 0) & (index < length)
    return windows.flip(2), inside.to(audio_features.device)


def correlate(
    audio_features: Tensor, video_features: Tensor, *, max_offset: int, audio_lead: int = 0
) -> tuple[Tensor, Tensor]:
    """Inner products of every video frame with its candidate sounds.

    Args:
        audio_features: ``[B, D, T_audio]``.
        video_features: ``[B, D, T]``.
        max_offset: K.
        audio_lead: Index of the sound that belongs to video frame 0.

    Returns:
        ``[B, 2K+1, T]``, zero outside the sound, and the boolean mask ``[2K+1, T]`` of the inside.
    """
    frames = video_features.shape[-1]
    sounds, inside = candidates(audio_features, frames, max_offset=max_offset, audio_lead=audio_lead)
    return torch.einsum("bdt,bdkt->bkt", video_features, sounds) * inside, inside
