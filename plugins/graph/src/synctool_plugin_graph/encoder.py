"""A small graph network over time. The nodes are the patches of a grid on the crop; edges join patches
that touch, patches for which training finds it useful, and each patch with itself in the frames before
and after.

Graph convolution and temporal convolution take turns as in ST-GCN (Yan, Xiong & Lin 2018, "Spatial
temporal graph convolutional networks for skeleton-based action recognition"); the learned adjacency
beside the fixed one is that of 2s-AGCN (Shi et al. 2019). A face has no skeleton that is given
beforehand, hence the grid.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synctool.backbones.fcn_cls import mel_encoder
from synctool.models.offset_classifier import OffsetClassifier

_CONTRAST = 0.02
"""Contrast, in the units of the frame, below which a crop counts as flat."""
_KERNEL = 5
"""Frames that one block joins: a node has edges to itself two frames before and after."""
_BLOCKS = 3


def grid_adjacency(side: int) -> Tensor:
    """The fixed edges of a square grid, in the two subsets of ST-GCN's distance partitioning.

    Args:
        side: Patches along one side; there are N = side * side nodes, row by row.

    Returns:
        ``[2, N, N]``: each node with itself, and each with the (up to eight) patches that touch it,
        the latter divided by the square roots of both nodes' degrees.
    """
    place = torch.cartesian_prod(torch.arange(side), torch.arange(side)).view(-1, 2)
    apart = (place[:, None] - place[None]).abs().amax(-1)
    touching = (apart == 1).float()
    scale = touching.sum(1).clamp(min=1).rsqrt()
    return torch.stack([(apart == 0).float(), scale[:, None] * touching * scale])


class GraphConv(nn.Module):
    """Mixes nodes along the edges, each subset of edges with weights of its own.

    The fixed edges are weighed by a learned importance, and a learned adjacency is added, which may
    join any two nodes.

    Args:
        inputs: Channels that come in.
        outputs: Channels that go out.
        side: Patches along one side of the grid.
    """

    def __init__(self, inputs: int, outputs: int, *, side: int) -> None:
        super().__init__()
        fixed = grid_adjacency(side)
        self.register_buffer("fixed", fixed, persistent=False)
        self.importance = nn.Parameter(torch.ones_like(fixed))
        self.learned = nn.Parameter(torch.zeros_like(fixed))
        self.mix = nn.Conv2d(inputs, len(fixed) * outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, T, N] -> [B, C', T, N]``."""
        edges = self.fixed * self.importance + self.learned
        x = self.mix(x).unflatten(1, (len(edges), -1))
        return torch.einsum("bkctn,knm->bctm", x, edges)


class GraphBlock(nn.Module):
    """A graph convolution, then a convolution along time in every node; residual.

    Args:
        inputs: Channels that come in.
        outputs: Channels that go out.
        side: Patches along one side of the grid.
        dropout: Share of features dropped in training.
    """

    def __init__(self, inputs: int, outputs: int, *, side: int, dropout: float) -> None:
        super().__init__()
        self.space = GraphConv(inputs, outputs, side=side)
        self.norm_space = nn.BatchNorm2d(outputs)
        self.time = nn.Conv2d(outputs, outputs, (_KERNEL, 1), bias=False)
        self.norm_time = nn.BatchNorm2d(outputs)
        self.dropout = nn.Dropout(dropout)
        self.skip = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, T, N] -> [B, C', T, N]``; the ends repeat the outermost frame."""
        reach = _KERNEL // 2
        y = F.relu(self.norm_space(self.space(x)))
        y = self.norm_time(self.time(F.pad(y, (0, 0, reach, reach), mode="replicate")))
        return F.relu(self.dropout(y) + self.skip(x))


class GraphEncoder(nn.Module):
    """Crops of the mouth or the face to embeddings, one per frame of 25 Hz.

    Two convolutions describe the patches of each frame, three blocks mix them along the edges of
    space and time, and an embedding is the mean over the nodes. It sees six frames to either side.
    Crops may have any size; at the default options it takes 14 million multiply-adds per frame of
    72 px.

    Args:
        embedding: D.
        width: Channels of the first convolution; later layers are multiples.
        grid: Patches along one side of the grid.
        dropout: Share of features dropped in training (Srivastava et al. 2014).
    """

    def __init__(
        self, *, embedding: int = 256, width: int = 32, grid: int = 6, dropout: float = 0.2
    ) -> None:
        super().__init__()
        self.grid = grid
        self.stem = nn.Conv2d(1, width, 5, 2, 2, bias=False)
        self.norm_stem = nn.BatchNorm2d(width)
        self.patches = nn.Conv2d(width, 2 * width, 3, 2, 1, bias=False)
        self.norm_patches = nn.BatchNorm2d(2 * width)
        # The mean over the nodes forgets where they were; what they carry must not.
        self.place = nn.Parameter(0.1 * torch.randn(1, 2 * width, 1, grid * grid))
        widths = [2 * width] * _BLOCKS + [4 * width]
        self.blocks = nn.Sequential(
            *(
                GraphBlock(widths[i], widths[i + 1], side=grid, dropout=dropout)
                for i in range(_BLOCKS)
            )
        )
        self.out = nn.Conv1d(widths[-1], embedding, 1)

    def forward(self, video: Tensor) -> Tensor:
        """``[B, 1, T, H, W]`` grey, H and W at least 32, ``-> [B, D, T]``, not normalised."""
        batch = video.shape[0]
        # Each crop to zero mean and unit contrast: light and camera should not matter.
        x = F.layer_norm(video, video.shape[-2:], eps=_CONTRAST**2)
        x = x.transpose(1, 2).flatten(0, 1)
        x = F.relu(self.norm_stem(self.stem(x)))
        x = F.relu(self.norm_patches(self.patches(x)))
        x = F.adaptive_avg_pool2d(x, self.grid).flatten(2)
        x = x.unflatten(0, (batch, -1)).transpose(1, 2)
        return self.out(self.blocks(x + self.place).mean(3))


def graph_cls(
    *, max_offset: int = 15, embedding: int = 256, width: int = 32, grid: int = 6
) -> OffsetClassifier:
    """The offset classifier of ``fcn-cls`` with this encoder for the frames.

    Args:
        max_offset: K.
        embedding: D.
        width: Channels of the first layers of both encoders.
        grid: Patches along one side of the grid.
    """
    return OffsetClassifier(
        video_encoder=GraphEncoder(embedding=embedding, width=width, grid=grid),
        audio_encoder=mel_encoder(embedding=embedding, width=width),
        max_offset=max_offset,
    )
