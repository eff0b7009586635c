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
        ``[B, D, 2K+1, T]`` and a boolean ``[2K+1, T]`` that is True inside the sound.
    """
    length = audio_features.shape[-1]
    before = max(0, max_offset - audio_lead)
    after = max(0, frames + max_offset + audio_lead - length)
    padded = F.pad(audio_features, (before, after))
    start = audio_lead - max_offset + before
    windows = padded[..., start : start + frames + 2 * max_offset].unfold(-1, frames, 1)
    inside = inside_sound(frames, length, max_offset, audio_lead)
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
    frames, length = video_features.shape[-1], audio_features.shape[-1]
    before = max(0, max_offset - audio_lead)
    after = max(0, frames + max_offset + audio_lead - length)
    start = audio_lead - max_offset + before
    sounds = F.pad(audio_features, (before, after))[..., start : start + frames + 2 * max_offset]
    products = video_features.transpose(1, 2) @ sounds
    # Row t holds its candidates from column t on; one more column in a row shears them upright.
    sheared = F.pad(products.flatten(1), (0, frames)).unflatten(1, (frames, sounds.shape[-1] + 1))
    inside = inside_sound(frames, length, max_offset, audio_lead).to(audio_features.device)
    return sheared[..., : 2 * max_offset + 1].flip(-1).transpose(1, 2) * inside, inside


def inside_sound(frames: int, length: int, max_offset: int, audio_lead: int) -> Tensor:
    """Which candidates lie inside the sound.

    Args:
        frames: T, the number of video frames.
        length: Frames of the sound.
        max_offset: K.
        audio_lead: Index of the sound that belongs to video frame 0.

    Returns:
        Boolean ``[2K+1, T]``.
    """
    offsets = torch.arange(-max_offset, max_offset + 1)
    index = torch.arange(frames)[None] - offsets[:, None] + audio_lead
    return (index >= 0) & (index < length)
