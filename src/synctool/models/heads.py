"""Heads that sharpen a score volume. They are convolutions along time *and* offset without padding
along the offsets, so a shift of the audio shifts their answer and weights fit any range."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synctool.models.correlation import audio_window, correlate_window, inside_window


class WindowHead(nn.Module, ABC):
    """What all heads share: they score windows, and cut these out of audio frames of any length."""

    margin = 0
    """Offsets beyond the asked range that are looked at."""

    def forward(
        self,
        audio_features: Tensor,
        video_features: Tensor,
        *,
        max_offset: int,
        audio_lead: int = 0,
    ) -> Tensor:
        """Score volume ``[B, 2K+1, T]`` of unit-length features; ``-inf`` outside the audio."""
        audio, inside = audio_window(
            audio_features,
            video_features.shape[-1],
            max_offset=max_offset + self.margin,
            audio_lead=audio_lead,
        )
        return self.score_window(audio, inside.to(audio.dtype)[None], video_features)

    @abstractmethod
    def score_window(
        self,
        audio: Tensor,
        inside: Tensor,
        video_features: Tensor,
        *,
        outside: float = float("-inf"),
    ) -> Tensor:
        """Score T frames against a window of audio frames, of which each frame's own lies in the middle.

        Args:
            audio: ``[B, D, W]``, unit length, zero where there is no audio.
            inside: ``[B, W]`` or ``[1, W]``, 1 where there is audio, else 0.
            video_features: ``[B, D, T]``, unit length; W - T is even and at least ``2 * margin``.
            outside: What candidates without audio get.

        Returns:
            ``[B, W - T + 1 - 2 * margin, T]``, row r is offset ``r - (W - T) / 2 + margin``.
        """


class PlainHead(WindowHead):
    """Cosine similarities times a learned inverse temperature, and nothing more."""

    def __init__(self) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(2.3))

    def score_window(
        self,
        audio: Tensor,
        inside: Tensor,
        video_features: Tensor,
        *,
        outside: float = float("-inf"),
    ) -> Tensor:
        """See ``WindowHead.score_window``."""
        logits = correlate_window(audio, video_features) * self.log_scale.exp()
        return logits.masked_fill(~inside_window(inside, video_features.shape[-1]), outside)


class VolumeHead(WindowHead):
    """A residual correction of the correlation by its neighbourhood in time and offset.

    Args:
        channels: Width of the hidden layers.
    """

    kernels = ((5, 5), (5, 9), (3, 3))
    """Extent along (offset, time) of the three layers."""
    causal = False
    """Whether it looks at frames before a frame only, and not at later ones."""

    def __init__(self, *, channels: int = 16) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(2.3))
        widths = (2, channels, channels, 1)
        layers = [nn.Conv2d(a, b, kernel) for a, b, kernel in zip(widths, widths[1:], self.kernels)]
        for parameter in layers[-1].parameters():
            nn.init.zeros_(parameter)
        self.layers = nn.ModuleList(layers)

    @property
    def margin(self) -> int:
        """Offsets beyond the asked range that the convolutions look at."""
        return sum(k[0] // 2 for k in self.kernels)

    def score_window(
        self,
        audio: Tensor,
        inside: Tensor,
        video_features: Tensor,
        *,
        outside: float = float("-inf"),
    ) -> Tensor:
        """See ``WindowHead.score_window``."""
        pairs = ((audio, video_features), *self.further(audio, video_features))
        volume, *others = (correlate_window(a, v) for a, v in pairs)
        here = inside_window(inside, video_features.shape[-1])
        return self.refine(volume, here.expand_as(volume), others, outside=outside)

    def further(
        self, audio_features: Tensor, video_features: Tensor
    ) -> tuple[tuple[Tensor, Tensor], ...]:
        """Pairs of embeddings whose volumes ``refine`` takes beside that of the features themselves.

        Args:
            audio_features: ``[B, D, T_audio]``, unit length.
            video_features: ``[B', D, T]``, unit length.

        Returns:
            Audio ``[B, D', T_audio]`` and frames ``[B', D', T]``; this head needs none.
        """
        return ()

    def refine(
        self,
        volume: Tensor,
        inside: Tensor,
        further: Sequence[Tensor] = (),
        *,
        outside: float = float("-inf"),
    ) -> Tensor:
        """Sharpen a raw volume that is ``margin`` rows larger on either side.

        Args:
            volume: ``[B, 2(K+margin)+1, T]`` similarities in -1..1, zero where ``inside`` is False.
            inside: Boolean, same shape.
            further: The volumes of the pairs that ``further`` gives, in its order and of this shape.
            outside: What candidates without audio get.

        Returns:
            ``[B, 2K+1, T]``.
        """
        return self._sharpened(volume * self.log_scale.exp(), inside, outside)

    def _sharpened(self, logits: Tensor, inside: Tensor, outside: float) -> Tensor:
        """Logits plus what the convolutions make of them, without the rows that these look at."""
        x = torch.stack([logits, inside.to(logits.dtype)], 1)
        for i, (layer, kernel) in enumerate(zip(self.layers, self.kernels, strict=True)):
            reach = kernel[1] // 2
            sides = (2 * reach, 0) if self.causal else (reach, reach)
            x = layer(F.pad(x, (*sides, 0, 0)))
            if i < len(self.layers) - 1:
                x = F.gelu(x)
        lost = sum(kernel[0] // 2 for kernel in self.kernels)
        cut = slice(lost, logits.shape[1] - lost)
        return (logits[:, cut] + x[:, 0]).masked_fill(~inside[:, cut], outside)


class CausalVolumeHead(VolumeHead):
    """The same for streams: a frame's scores change with nothing that comes after it."""

    causal = True
