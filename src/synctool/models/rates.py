"""Networks that step at another rate than the video: placed and pooled so that rows are frames.

A network that slides windows of ``window`` samples by ``hop`` samples over a waveform gives
``640 / hop`` steps for each 25 Hz frame. With ``window - hop`` samples of padding, half of it on either
side, there are exactly that many, and those of frame t lie symmetrically about its middle,
sample ``640 t + 320``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from synctool.types import SAMPLES_PER_FRAME


def pad_for_windows(waveform: Tensor, *, window: int, hop: int) -> Tensor:
    """Put zeros around a waveform so that windows lie symmetrically about the middle of each frame.

    Args:
        waveform: ``[B, 640 T]`` samples at 16 kHz.
        window: Samples that one step of the network sees; 400 for wav2vec 2.0 and its kin.
        hop: Samples from one step to the next, a divisor of 640; 320 for wav2vec 2.0 and its kin.

    Returns:
        ``[B, 640 T + window - hop]``: ``T * 640 / hop`` windows, of which those from ``t * 640 / hop`` up
        to the next frame's have their common centre at sample ``640 t + 320`` of the input.

    Raises:
        ValueError: The hop divides no frame, or the padding cannot be halved.
    """
    if SAMPLES_PER_FRAME % hop:
        raise ValueError(f"a hop of {hop} samples does not divide a frame of {SAMPLES_PER_FRAME}")
    if window < hop or (window - hop) % 2:
        raise ValueError(f"no symmetric padding for windows of {window} samples every {hop}")
    side = (window - hop) // 2
    return F.pad(waveform, (side, side))


def pool_steps(steps: Tensor, *, per_frame: int) -> Tensor:
    """Mean of the steps of each frame.

    Args:
        steps: ``[B, per_frame * T, D]``, as transformers give their hidden states.
        per_frame: Steps for each 25 Hz frame; 2 at 50 Hz.

    Returns:
        ``[B, D, T]``.

    Raises:
        ValueError: The steps do not make whole frames.
    """
    batch, length, size = steps.shape
    if length % per_frame:
        raise ValueError(f"{length} steps do not make frames of {per_frame}")
    pooled = steps.reshape(batch, length // per_frame, per_frame, size).mean(2)
    return pooled.transpose(1, 2)


def normalise_utterance(waveform: Tensor) -> Tensor:
    """Zero mean and unit variance over the whole input, as transformers' ``do_normalize`` does.

    Args:
        waveform: ``[B, N]``.

    Returns:
        ``[B, N]``; silence stays silence.
    """
    waveform = waveform.float()
    variance, mean = torch.var_mean(waveform, dim=1, correction=0, keepdim=True)
    return (waveform - mean) * torch.rsqrt(variance + 1e-7)
