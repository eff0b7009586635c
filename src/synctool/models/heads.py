"""Heads that sharpen a score volume. They are convolutions along time *and* offset without padding
along the offsets, so a shift of the sound shifts their answer and weights fit any range."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synctool.models.correlation import correlate


class PlainHead(nn.Module):
    """Cosine similarities times a learnt inverse temperature, and nothing more."""

    margin = 0
    """Offsets beyond the asked range that are looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(2.3))

    def forward(
        self,
        audio_features: Tensor,
        video_features: Tensor,
        *,
        max_offset: int,
        audio_lead: int = 0,
    ) -> Tensor:
        """Score volume ``[B, 2K+1, T]`` of unit-length features; ``-inf`` outside the sound."""
        cosines, inside = correlate(
            audio_features, video_features, max_offset=max_offset, audio_lead=audio_lead
        )
        return (cosines * self.log_scale.exp()).masked_fill(~inside, float("-inf"))


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
        rows = max_offset + self.margin
        pairs = ((audio_features, video_features), *self.further(audio_features, video_features))
        found = [correlate(a, v, max_offset=rows, audio_lead=audio_lead) for a, v in pairs]
        volume, inside = found[0]
        return self.refine(volume, inside.expand_as(volume), [other for other, _ in found[1:]])

    def further(
        self, audio_features: Tensor, video_features: Tensor
    ) -> tuple[tuple[Tensor, Tensor], ...]:
        """Pairs of embeddings whose volumes ``refine`` takes beside that of the features themselves.

        Args:
            audio_features: ``[B, D, T_audio]``, unit length.
            video_features: ``[B', D, T]``, unit length.

        Returns:
            Sound ``[B, D', T_audio]`` and pictures ``[B', D', T]``; this head needs none.
        """
        return ()

    def refine(self, volume: Tensor, inside: Tensor, further: Sequence[Tensor] = ()) -> Tensor:
        """Sharpen a raw volume that is ``margin`` rows larger on either side.

        Args:
            volume: ``[B, 2(K+margin)+1, T]`` similarities in -1..1, zero where ``inside`` is False.
            inside: Boolean, same shape.
            further: The volumes of the pairs that ``further`` gives, in its order and of this shape.

        Returns:
            ``[B, 2K+1, T]``.
        """
        return self._sharpened(volume * self.log_scale.exp(), inside)

    def _sharpened(self, logits: Tensor, inside: Tensor) -> Tensor:
        """Logits plus what the convolutions make of them, without the rows that these look at."""
        x = torch.stack([logits, inside.to(logits.dtype)], 1)
        for i, layer in enumerate(self.layers):
            reach = layer.kernel_size[1] // 2
            x = layer(F.pad(x, (reach, reach, 0, 0)))
            if i < len(self.layers) - 1:
                x = F.gelu(x)
        lost = sum(kernel[0] // 2 for kernel in self.kernels)
        cut = slice(lost, logits.shape[1] - lost)
        return (logits[:, cut] + x[:, 0]).masked_fill(~inside[:, cut], float("-inf"))
