"""Encoders for face crops in colour and for any number of audio bands, fully convolutional in the
spirit of SyncNet's streams: five frames at once, then frames one by one, then a short temporal
network; at 25 Hz and centred."""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from synctool.backbones.mouthnet import STACK, MelEncoder, ResidualBlock, TemporalBlock

_CONTRAST = 0.02
"""Contrast, in the units of the frame, below which a crop counts as flat."""


class FaceEncoder(nn.Module):
    """Face crops in colour to embeddings. Crops of any size fit.

    At the default widths it takes 270 million multiply-adds per frame of 112 px.

    Args:
        embedding: D.
        widths: Channels of the stem and of the stages; each of them halves the frame.
    """

    def __init__(
        self, *, embedding: int = 512, widths: tuple[int, ...] = (32, 64, 128, 256, 512)
    ) -> None:
        super().__init__()
        self.stem = nn.Conv3d(3, widths[0], (STACK, 7, 7), (1, 2, 2), (0, 3, 3), bias=False)
        self.norm = nn.BatchNorm2d(widths[0])
        self.stages = nn.Sequential(*(ResidualBlock(a, b, stride=2) for a, b in pairwise(widths)))
        self.project = nn.Conv1d(widths[-1], embedding, 1)
        self.temporal = nn.Sequential(TemporalBlock(embedding), TemporalBlock(embedding))
        self.out = nn.Conv1d(embedding, embedding, 1)

    def forward(self, video: Tensor) -> Tensor:
        """``[B, 3, T, H, W]`` RGB in 0..1 ``-> [B, D, T]``, not normalised."""
        batch = video.shape[0]
        x = video.transpose(1, 2).flatten(0, 1)
        # Each colour of each crop to zero mean and unit contrast: light and camera should not matter.
        x = F.instance_norm(x, eps=_CONTRAST**2).unflatten(0, (batch, -1)).transpose(1, 2)
        reach = STACK // 2
        x = self.stem(F.pad(x, (0, 0, 0, 0, reach, reach), mode="replicate"))
        x = F.relu(self.norm(x.transpose(1, 2).flatten(0, 1)))
        x = self.stages(x).mean((2, 3)).unflatten(0, (batch, -1)).transpose(1, 2)
        return self.out(self.temporal(self.project(x)))


class BandEncoder(MelEncoder):
    """The layers of ``MelEncoder`` for another number of bands, each brought to its own scale first:
    the first MFCCs are many times as large as the last.

    Args:
        bands: Rows of the input: 13 MFCCs, or 40 to 128 mel bands.
        embedding: D.
        width: Channels of the first layer; later ones are multiples.
    """

    def __init__(self, *, bands: int = 13, embedding: int = 512, width: int = 32) -> None:
        super().__init__(embedding=embedding, width=width)
        rows = -(-bands // 16)  # halved four times, rounded up
        self.scale = nn.BatchNorm1d(bands)
        self.project = nn.Conv1d(8 * width * rows, embedding, 1)

    def local(self, audio: Tensor) -> Tensor:
        """``[B, 1, bands, 4T] -> [B, D, T]``: row t sees the steps 4t-8 .. 4t+11, 0.2 s."""
        return super().local(self.scale(audio.squeeze(1)).unsqueeze(1))
