"""A temporal network that looks at several scales at once."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PyramidBlock(nn.Module):
    """Convolutions along time side by side, each with another dilation, merged and added.

    The parallel dilations are those of atrous spatial pyramid pooling (Chen et al. 2017, DeepLabv3),
    without its mean over the whole input, which would look at all of a clip. From the coarsest scale
    down each finer one takes in the one above, as in feature pyramids (Lin et al. 2017); since
    dilation keeps the rate of frames, nothing has to be resampled.

    Args:
        width: D.
        dilations: Frames between the three taps of each scale, the finest first.
        dropout: Share of features dropped in training.

    Raises:
        ValueError: There is no scale.
    """

    def __init__(self, width: int, *, dilations: tuple[int, ...], dropout: float = 0.0) -> None:
        super().__init__()
        if not dilations:
            raise ValueError("a pyramid needs a scale")
        inner = max(4, width // len(dilations))
        self.dilations = tuple(dilations)
        self.scales = nn.ModuleList(
            nn.Conv1d(width, inner, 3, dilation=d, bias=False) for d in dilations
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(inner) for _ in dilations)
        self.down = nn.ModuleList(nn.Conv1d(inner, inner, 1) for _ in dilations[1:])
        self.dropout = nn.Dropout(dropout)
        self.merge = nn.Conv1d(inner * len(dilations), width, 1, bias=False)
        self.norm = nn.BatchNorm1d(width)

    @property
    def reach(self) -> int:
        """Frames that it looks at to either side."""
        return max(self.dilations)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, D, T] -> [B, D, T]``; the ends repeat the outermost frame."""
        levels = [
            F.gelu(norm(layer(F.pad(x, (d, d), mode="replicate"))))
            for layer, norm, d in zip(self.scales, self.norms, self.dilations)
        ]
        for i in range(len(levels) - 2, -1, -1):
            levels[i] = levels[i] + self.down[i](levels[i + 1])
        return F.relu(x + self.norm(self.merge(self.dropout(torch.cat(levels, 1)))))
