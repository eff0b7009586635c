"""The network of S3FD (Zhang et al. 2017, "S3FD: Single Shot Scale-invariant Face Detector", ICCV).

VGG-16 up to its fully connected layers, which are turned into convolutions, two more stages, and at
six scales a box and a score at every place. Names and shapes of the tensors are those of the
published ``sfd_face.pth``.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STRIDES = (4, 8, 16, 32, 64, 128)
"""Pixels from one place to the next, at each scale."""
ANCHORS_PX = (16, 32, 64, 128, 256, 512)
"""Side of the square box that each place of a scale starts from: four strides, in the paper."""
BACKGROUNDS = (3, 1, 1, 1, 1, 1)
"""Scores for "no face" at each scale; the largest counts (the paper's max-out background label)."""
CENTRE_VARIANCE, SIZE_VARIANCE = 0.1, 0.2
_STAGES = ((1, 2), (2, 2), (4, 3), (8, 3), (8, 3))
"""VGG-16: width of each stage, in multiples of the first, and its convolutions."""
_NORM_SCALES = (10.0, 8.0, 5.0)


class L2Norm(nn.Module):
    """Each place's features at unit length, times one learnt factor a channel (Liu et al. 2016, ParseNet).

    Args:
        channels: Channels.
        scale: First value of the factors.
    """

    def __init__(self, channels: int, *, scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), scale))

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, H, W]`` to the same."""
        return F.normalize(x, dim=1, eps=1e-10) * self.weight[:, None, None]


class S3fdNetwork(nn.Module):
    """Boxes and scores at six scales.

    Args:
        width: Channels of the first stage; 64 in the published network.
    """

    def __init__(self, *, width: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        ends, before = [], 3
        for stage, (times, convolutions) in enumerate(_STAGES):
            for _ in range(convolutions):
                layers += [nn.Conv2d(before, times * width, 3, padding=1), nn.ReLU()]
                before = times * width
            ends.append(len(layers))
            # The third one keeps a last odd row or column, as Caffe's did.
            layers.append(nn.MaxPool2d(2, 2, ceil_mode=stage == 2))
        layers += [nn.Conv2d(before, 16 * width, 3, padding=6, dilation=6), nn.ReLU()]
        layers += [nn.Conv2d(16 * width, 16 * width, 1), nn.ReLU()]
        self.vgg = nn.ModuleList(layers)
        self._ends = (*ends[2:], len(layers))
        self.L2Norm3_3, self.L2Norm4_3, self.L2Norm5_3 = (
            L2Norm(_STAGES[stage][0] * width, scale=scale)
            for stage, scale in zip((2, 3, 4), _NORM_SCALES)
        )
        self.extras = nn.ModuleList(
            [
                nn.Conv2d(16 * width, 4 * width, 1),
                nn.Conv2d(4 * width, 8 * width, 3, stride=2, padding=1),
                nn.Conv2d(8 * width, 2 * width, 1),
                nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1),
            ]
        )
        widths = [times * width for times in (4, 8, 8, 16, 8, 4)]
        self.loc = nn.ModuleList(nn.Conv2d(n, 4, 3, padding=1) for n in widths)
        self.conf = nn.ModuleList(
            nn.Conv2d(n, backgrounds + 1, 3, padding=1)
            for n, backgrounds in zip(widths, BACKGROUNDS)
        )

    def forward(self, x: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Score every place.

        Args:
            x: ``[B, 3, H, W]``, RGB 0..255 less 123, 117 and 104; H and W 32 or more.

        Returns:
            Per scale the shifts of the boxes ``[B, 4, h, w]`` and the probability of a face
            ``[B, h, w]``.
        """
        scales = []
        for features, shifts, scores, backgrounds in zip(
            self._features(x), self.loc, self.conf, BACKGROUNDS
        ):
            said = scores(features)
            none = said[:, :backgrounds].amax(1)
            scales.append((shifts(features), torch.sigmoid(said[:, backgrounds] - none)))
        return scales

    def _features(self, x: Tensor) -> Iterator[Tensor]:
        done = 0
        norms = (self.L2Norm3_3, self.L2Norm4_3, self.L2Norm5_3, nn.Identity())
        for end, norm in zip(self._ends, norms):
            for layer in self.vgg[done:end]:
                x = layer(x)
            yield norm(x)
            done = end
        for narrow, wide in (self.extras[:2], self.extras[2:]):
            x = F.relu(wide(F.relu(narrow(x))))
            yield x


def boxes_above(scales: list[tuple[Tensor, Tensor]], threshold: float) -> tuple[Tensor, Tensor]:
    """The boxes whose probability exceeds a threshold, in pixels of the network's input.

    Args:
        scales: What the network gives for one image (B = 1).
        threshold: 0..1.

    Returns:
        ``[N, 4]`` left, top, right, bottom, and ``[N]`` probabilities.
    """
    boxes, kept = [], []
    for (shifts, scores), stride, anchor in zip(scales, STRIDES, ANCHORS_PX):
        row, column = torch.nonzero(scores[0] > threshold, as_tuple=True)
        shift = shifts[0, :, row, column]
        middle = torch.stack([column, row]).to(shift) + 0.5
        middle = middle * stride + CENTRE_VARIANCE * anchor * shift[:2]
        half = anchor / 2 * torch.exp(SIZE_VARIANCE * shift[2:])
        boxes.append(torch.cat([middle - half, middle + half]).T)
        kept.append(scores[0, row, column])
    return torch.cat(boxes), torch.cat(kept)
