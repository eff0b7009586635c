"""Compact encoders: five grey mouth crops by a small 2-D residual network, log-mel by small
convolutions. Each has a local stage that sees exactly five frames (0.2 s) and a short temporal network
on top; both at 25 Hz and centred."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synctool.models.offset_regressor import reach_of

Gate = Callable[[int], nn.Module]
STACK = 5
"""Frames that the video network sees at once, as channels."""


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch normalisation (He et al. 2016).

    Args:
        inputs: Channels that come in.
        outputs: Channels that go out.
        stride: Of the first convolution.
        gate: Makes, for a number of channels, what the residual goes through before it is added.
    """

    def __init__(self, inputs: int, outputs: int, *, stride: int, gate: Gate = nn.Identity) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.skip = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
        self.norm_skip = nn.BatchNorm2d(outputs)
        self.gate = gate(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, H, W] -> [N, C', H/stride, W/stride]``."""
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.gate(self.norm2(self.conv2(y))) + self.norm_skip(self.skip(x)))


class TemporalBlock(nn.Module):
    """Two convolutions along time, residual; looks two frames to either side."""

    reach = 2
    """Frames that it looks at to either side."""
    padding = (1, 1)
    """Frames before and after the clip that each convolution is given."""

    def __init__(self, width: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(width, width, 3, bias=False)
        self.norm1 = nn.BatchNorm1d(width)
        self.conv2 = nn.Conv1d(width, width, 3, bias=False)
        self.norm2 = nn.BatchNorm1d(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, D, T] -> [B, D, T]``; the ends repeat the outermost frame."""
        y = F.relu(self.norm1(self.conv1(F.pad(x, self.padding, mode="replicate"))))
        y = self.norm2(self.conv2(self.dropout(F.pad(y, self.padding, mode="replicate"))))
        return F.relu(x + y)


def temporal_blocks(embedding: int, *, dropout: float = 0.0) -> nn.Sequential:
    """The temporal network of ``fcn-cls``: four frames to either side.

    Args:
        embedding: D.
        dropout: Share of features dropped in training.
    """
    return nn.Sequential(*(TemporalBlock(embedding, dropout=dropout) for _ in range(2)))


class MouthEncoder(nn.Module):
    """Mouth crops to embeddings.

    Attributes:
        ahead: How many of the frames of a stack come after its own.

    Args:
        embedding: D.
        widths: Channels of the stem and the three stages.
        size_px: Side of the crops.
        dropout: Share of features dropped in training (Srivastava et al. 2014).
        temporal: The temporal network: layers ``[B, D, T] -> [B, D, T]`` that each look ``reach``
            frames to either side; None for ``temporal_blocks``.
        gate: Makes what a block's channels go through, see ``ResidualBlock``.
    """

    ahead = STACK // 2

    def __init__(
        self,
        *,
        embedding: int = 256,
        widths: tuple[int, ...] = (32, 64, 128, 256),
        size_px: int = 72,
        dropout: float = 0.3,
        temporal: nn.Sequential | None = None,
        gate: Gate = nn.Identity,
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(STACK, widths[0], 5, 2, 2, bias=False)
        self.norm = nn.BatchNorm2d(widths[0])
        self.stages = nn.Sequential(
            *(ResidualBlock(a, b, stride=2, gate=gate) for a, b in pairwise(widths))
        )
        side = size_px
        for _ in range(4):
            side = (side + 1) // 2
        self.reduce = nn.Conv2d(widths[-1], 64, 1)
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(64 * side * side, embedding)
        self.norm_in = nn.BatchNorm1d(embedding)
        if temporal is None:
            temporal = temporal_blocks(embedding, dropout=dropout / 2)
        self.temporal = temporal
        self.out = nn.Conv1d(embedding, embedding, 1)

    @property
    def receptive_field_frames(self) -> int:
        """Frames that one embedding looks at."""
        return 2 * (STACK // 2 + reach_of(self.temporal)) + 1

    def local(self, video: Tensor) -> Tensor:
        """``[B, 1, T, H, W]`` grey in 0..1 ``-> [B, D, T]``: row t sees the frames t-2 .. t+2."""
        batch, frames = video.shape[0], video.shape[2]
        x = video[:, 0]
        # Each crop to zero mean and unit contrast: light and camera should not matter.
        x = (x - x.mean((2, 3), keepdim=True)) / (x.std((2, 3), keepdim=True) + 0.02)
        first = x[:, :1].expand(-1, STACK - 1 - self.ahead, -1, -1)
        last = x[:, -1:].expand(-1, self.ahead, -1, -1)
        x = torch.cat([first, x, last] if self.ahead else [first, x], 1)
        x = torch.stack([x[:, i : i + frames] for i in range(STACK)], 2).flatten(0, 1)
        x = self.stages(F.relu(self.norm(self.stem(x))))
        x = self.project(self.dropout(F.relu(self.reduce(x)).flatten(1)))
        return x.view(batch, frames, -1).transpose(1, 2)

    def context(self, local: Tensor) -> Tensor:
        """``[B, D, T] -> [B, D, T]``: the temporal network."""
        return self.out(self.temporal(F.relu(self.norm_in(local))))

    def forward(self, video: Tensor) -> Tensor:
        """``[B, 1, T, H, W]`` grey in 0..1 ``-> [B, D, T]``, not normalised."""
        return self.context(self.local(video))


class MelEncoder(nn.Module):
    """Log-mel bands to embeddings.

    Args:
        embedding: D.
        width: Channels of the first layer; later ones are multiples.
        dropout: Share of features dropped in training.
        temporal: The temporal network, as of ``MouthEncoder``.
        gate: Makes, for a number of channels, what each layer's output ``[B, C, bands, time]`` goes
            through.
    """

    def __init__(
        self,
        *,
        embedding: int = 256,
        width: int = 32,
        dropout: float = 0.3,
        temporal: nn.Sequential | None = None,
        gate: Gate = nn.Identity,
    ) -> None:
        super().__init__()
        w = width
        # Frame t lies between the steps 4t+1 and 4t+2: kernels of even length at stride 2 keep that
        # centre.
        layers = [
            nn.Conv2d(1, w, (3, 5), (2, 1), (1, 2), bias=False),
            nn.Conv2d(w, 2 * w, (3, 6), (2, 2), (1, 2), bias=False),
            nn.Conv2d(2 * w, 4 * w, (3, 3), (2, 1), (1, 1), bias=False),
            nn.Conv2d(4 * w, 4 * w, (3, 4), (2, 2), (1, 1), bias=False),
            nn.Conv2d(4 * w, 8 * w, (3, 1), 1, (1, 0), bias=False),
        ]
        self.layers = nn.ModuleList(layers)
        self.norms = nn.ModuleList(nn.BatchNorm2d(layer.out_channels) for layer in layers)
        self.gates = nn.ModuleList(gate(layer.out_channels) for layer in layers)
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Conv1d(8 * w * 4, embedding, 1)
        self.norm_in = nn.BatchNorm1d(embedding)
        if temporal is None:
            temporal = temporal_blocks(embedding, dropout=dropout / 2)
        self.temporal = temporal
        self.out = nn.Conv1d(embedding, embedding, 1)

    @property
    def receptive_field_frames(self) -> int:
        """Frames that one embedding looks at."""
        return 2 * (STACK // 2 + reach_of(self.temporal)) + 1

    def local(self, audio: Tensor) -> Tensor:
        """``[B, 1, 64, 4T] -> [B, D, T]``: row t sees the steps 4t-8 .. 4t+11, 0.2 s."""
        x = audio
        for layer, norm, gate in zip(self.layers, self.norms, self.gates):
            x = gate(F.relu(norm(layer(x))))
        return self.project(self.dropout(x.flatten(1, 2)))

    def context(self, local: Tensor) -> Tensor:
        """``[B, D, T] -> [B, D, T]``: the temporal network."""
        return self.out(self.temporal(F.relu(self.norm_in(local))))

    def forward(self, audio: Tensor) -> Tensor:
        """``[B, 1, 64, 4T] -> [B, D, T]``, not normalised."""
        return self.context(self.local(audio))


def encoder_pair(
    *,
    embedding: int,
    width: int,
    temporal: Callable[[], nn.Sequential],
    gates: tuple[Gate, Gate] = (nn.Identity, nn.Identity),
) -> tuple[MouthEncoder, MelEncoder]:
    """Both encoders at their usual proportions, each with a temporal network of its own.

    Args:
        embedding: D.
        width: Channels of the first layers.
        temporal: Makes a temporal network.
        gates: What the channels of the frames and of the audio go through.
    """
    widths = (width, 2 * width, 4 * width, 8 * width)
    return (
        MouthEncoder(embedding=embedding, widths=widths, temporal=temporal(), gate=gates[0]),
        MelEncoder(embedding=embedding, width=width, temporal=temporal(), gate=gates[1]),
    )
