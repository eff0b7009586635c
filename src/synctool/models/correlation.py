"""Every frame against every candidate audio frame: the raw score volume.

What is compared is always a window: T + 2R audio frames for T video frames, of which the first
is compared with place R. Place i is offset ``R - i``, and the candidate of frame t there is audio frame
``i + t``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def audio_window(
    audio_features: Tensor, frames: int, *, max_offset: int, audio_lead: int = 0
) -> tuple[Tensor, Tensor]:
    """The audio frames that all candidates of all frames are among.

    Args:
        audio_features: ``[B, D, T_audio]``.
        frames: T, the number of video frames.
        max_offset: R.
        audio_lead: Index of the audio that belongs to video frame 0.

    Returns:
        ``[B, D, T + 2R]``, zero outside the audio, and a boolean ``[T + 2R]`` that is True inside.
    """
    length = audio_features.shape[-1]
    before = max(0, max_offset - audio_lead)
    after = max(0, frames + max_offset + audio_lead - length)
    start = audio_lead - max_offset + before
    padded = F.pad(audio_features, (before, after))
    index = torch.arange(frames + 2 * max_offset, device=audio_features.device)
    index = index + (audio_lead - max_offset)
    inside = (index >= 0) & (index < length)
    return padded[..., start : start + frames + 2 * max_offset], inside


def candidates(
    audio_features: Tensor, frames: int, *, max_offset: int, audio_lead: int = 0
) -> tuple[Tensor, Tensor]:
    """The candidate audio frames of each video frame.

    Row ``K + n`` of frame t holds the audio at index ``t - n``: the match when the audio is n frames
    ahead.

    Args:
        audio_features: ``[B, D, T_audio]``.
        frames: T, the number of video frames.
        max_offset: K.
        audio_lead: Index of the audio that belongs to video frame 0.

    Returns:
        ``[B, D, 2K+1, T]`` and a boolean ``[2K+1, T]`` that is True inside the audio.
    """
    audio, inside = audio_window(
        audio_features, frames, max_offset=max_offset, audio_lead=audio_lead
    )
    return audio.unfold(-1, frames, 1).flip(2), inside.unfold(-1, frames, 1).flip(0)


def correlate(
    audio_features: Tensor, video_features: Tensor, *, max_offset: int, audio_lead: int = 0
) -> tuple[Tensor, Tensor]:
    """Inner products of every video frame with its candidate audio frames.

    Args:
        audio_features: ``[B, D, T_audio]``.
        video_features: ``[B, D, T]``.
        max_offset: K.
        audio_lead: Index of the audio that belongs to video frame 0.

    Returns:
        ``[B, 2K+1, T]``, zero outside the audio, and the boolean mask ``[2K+1, T]`` of the inside.
    """
    frames = video_features.shape[-1]
    audio, inside = audio_window(
        audio_features, frames, max_offset=max_offset, audio_lead=audio_lead
    )
    return correlate_window(audio, video_features), inside.unfold(-1, frames, 1).flip(0)


def correlate_window(audio: Tensor, video_features: Tensor) -> Tensor:
    """Inner products of every video frame with its candidates.

    Args:
        audio: ``[B, D, W]``, a window.
        video_features: ``[B, D, T]``.

    Returns:
        ``[B, W-T+1, T]``; row r is offset ``r - R``.
    """
    return shear(torch.bmm(video_features.transpose(1, 2), audio))


def inside_window(inside: Tensor, frames: int) -> Tensor:
    """Which candidates lie inside the audio.

    Args:
        inside: ``[B, W]`` or ``[1, W]``, 1 where a window has audio, else 0.
        frames: T, the number of video frames.

    Returns:
        Boolean ``[B, W-T+1, T]`` or ``[1, W-T+1, T]``.
    """
    return shear(inside[:, None] + inside.new_zeros(frames, 1)) > 0.5


def shear(products: Tensor) -> Tensor:
    """From all pairs of a video frame and an audio frame of its window to the candidates of each frame.

    Args:
        products: ``[B, T, W]``.

    Returns:
        ``[B, W-T+1, T]``: row r holds what frame t has with audio ``t + (W - T) - r``.
    """
    batch, frames, places = products.shape
    # Row t holds its candidates from column t on; one more column in a row shears them upright.
    flat = F.pad(products.reshape(batch, frames * places), (0, frames))
    sheared = flat.reshape(batch, frames, places + 1)
    return sheared[..., : places - frames + 1].flip(-1).transpose(1, 2)


def inside_audio(frames: int, length: int, max_offset: int, audio_lead: int) -> Tensor:
    """Which candidates lie inside the audio.

    Args:
        frames: T, the number of video frames.
        length: Frames of the audio.
        max_offset: K.
        audio_lead: Index of the audio that belongs to video frame 0.

    Returns:
        Boolean ``[2K+1, T]``.
    """
    offsets = torch.arange(-max_offset, max_offset + 1)
    index = torch.arange(frames)[None] - offsets[:, None] + audio_lead
    return (index >= 0) & (index < length)
