"""Three-dimensional residual networks of torchvision: R3D, MC3 and R(2+1)D, 18 layers each.

Tran et al., "A Closer Look at Spatiotemporal Convolutions for Action Recognition", CVPR 2018
(arXiv:1711.11248).
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

from torch import Tensor, nn
from torchvision.models import video as published

from synctool.models.dense import make_dense, reach
from synctool.weights.published import fit_published, read_published

STAGES = 4
"""Residual stages of the published networks."""


class ResNet3D(nn.Module):
    """A network of torchvision with a row for every frame: stem, residual stages, mean over space.

    Args:
        name: Name of torchvision's constructor.
        stages: Residual stages that are kept, 1 to 4. Fewer cost less and look at less time.

    Raises:
        ValueError: There is no such number of stages.
    """

    def __init__(self, *, name: str, stages: int = STAGES) -> None:
        super().__init__()
        if stages not in range(1, STAGES + 1):
            raise ValueError(f"stages is 1 to {STAGES}, not {stages}")
        whole = getattr(published, name)(weights=None)
        kept = ["stem", *(f"layer{n + 1}" for n in range(stages))]
        self.name = name
        self.network = nn.Sequential(OrderedDict((part, getattr(whole, part)) for part in kept))
        self._left_out = [f"{part}." for part, _ in whole.named_children() if part not in kept]
        make_dense(self.network)

    @property
    def embedding_size(self) -> int:
        """D: 64, 128, 256 or 512, by the last stage."""
        return self.network[-1][-1].conv2[-1].num_features

    @property
    def receptive_field_frames(self) -> int:
        """Frames that a row looks at."""
        return 1 + 2 * max(reach(self.network))

    @property
    def pretrained(self) -> nn.Module:
        """The published part: stem and stages, in order."""
        return self.network

    def forward(self, video: Tensor) -> Tensor:
        """Embeddings of pictures.

        Args:
            video: ``[B, 3, T, H, W]``, RGB, normalised as torchvision's ``transforms()`` do.

        Returns:
            ``[B, D, T]``, row t centred on frame t.
        """
        return self.network(video).mean((3, 4))

    def load_published(self, path: Path) -> None:
        """Take the weights of torchvision's file for this network; any number of stages.

        Raises:
            MissingError: No such file.
            WeightsError: It is another network's, a part of one, or no weights.
        """
        state = read_published(path)
        fit_published(self.network, state, name=self.name, ignored=self._left_out)


def r3d_18(*, stages: int = STAGES) -> ResNet3D:
    """R3D-18: three-dimensional kernels throughout.

    Args:
        stages: Residual stages that are kept, 1 to 4.
    """
    return ResNet3D(name="r3d_18", stages=stages)


def mc3_18(*, stages: int = STAGES) -> ResNet3D:
    """MC3-18: three-dimensional kernels in the stem and the first stage, pictures alone after these.

    Args:
        stages: Residual stages that are kept, 1 to 4.
    """
    return ResNet3D(name="mc3_18", stages=stages)


def r2plus1d_18(*, stages: int = STAGES) -> ResNet3D:
    """R(2+1)D-18: each kernel as one over space and one over time.

    Args:
        stages: Residual stages that are kept, 1 to 4.
    """
    return ResNet3D(name="r2plus1d_18", stages=stages)
