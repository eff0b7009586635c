"""Heads that sharpen a score volume. They are convolutions along time *and* offset without padding
along the offsets, so a shift of the sound shifts their answer and weights fit any range."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synctool.models.correlation import correlate


class VolumeHead(nn.Module):
    """A residual correction of the correlation by its neighbourhood in time and offset.

    Args:
        channels: Width of the hidden layers.
    """

    kernels = ((5, 5), (5, 9), (3, 3))
    """Extent along (offset, time) of the three layers."""

    def __init__(self, *, channels: int = 16) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(2.3))
        widths = (2, channels, channels, 1)
        self.layers = nn.ModuleList(
            nn.Conv2d(a, b, kernel) for a, b, kernel in zip(widths, widths[1:], self.kernels)
        )
        nn.init.zeros_(self.layers[-1].weight)
        nn.init.zeros_(self.layers[-1].bias)

    @property
    def margin(self) -> int:
        """Offsets beyond the asked range that the convolutions look at."""
        return sum(k[0] // 2 for k in self.kernels)

    def forward(
        self,
        audio_features: Tensor,
        video_features: Tensor,
        *,
        max_offset: int,
        audio_lead: int = 0,
    ) -> Tensor:
        """Score volume ``[B, 2K+1, T]`` of unit-length features; ``-inf`` outside the sound."""
        volume, inside = correlate(
            audio_features,
            video_features,
            max_offset=max_offset + self.margin,
            audio_lead=audio_lead,
        )
        return self.refine(volume, inside.expand_as(volume))

    def refine(self, volume: Tensor, inside: Tensor) -> Tensor:
        """Sharpen a raw volume that is ``margin`` rows larger on either side.

        Args:
            volume: ``[B, 2(K+margin)+1, T]`` similarities in -1..1, zero where ``inside`` is False.
            inside: Boolean, same shape.

        Returns:
            ``[B, 2K+1, T]``.
        """
        x = torch.stack([volume * self.log_scale.exp(), inside.to(volume.dtype)], 1)
        for i, layer in enumerate(self.layers):
            reach = layer.kernel_size[1] // 2
            x = layer(F.pad(x, (reach, reach, 0, 0)))
            if i < len(self.layers) - 1:
                x = F.gelu(x)
        cut = slice(self.margin, volume.shape[1] - self.margin)
        logits = volume[:, cut] * self.log_scale.exp() + x[:, 0]
        return logits.masked_fill(~inside[:, cut], float("-inf"))
