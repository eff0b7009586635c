"""Three-dimensional residual networks of torchvision: R3D, MC3 and R(2+1)D, 18 layers each.

Tran et al., "A Closer Look at Spatiotemporal Convolutions for Action Recognition", CVPR 2018
(arXiv:1711.11248).
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn
from torchvision.models import video as published

from synctool.models.staged import STAGES, WIDTH, StagedEncoder, check_stages


class ResNet3D(StagedEncoder):
    """A network of torchvision: stem, residual stages, mean over space.

    Args:
        name: Name of torchvision's constructor.
        stages: Residual stages that are kept, 1 to 4. Fewer cost less and look at less time.

    Raises:
        ValueError: There is no such number of stages.
    """

    def __init__(self, *, name: str, stages: int = STAGES) -> None:
        check_stages(stages)
        whole = getattr(published, name)(weights=None)
        kept = ["stem", *(f"layer{n + 1}" for n in range(stages))]
        network = nn.Sequential(OrderedDict((part, getattr(whole, part)) for part in kept))
        super().__init__(
            name=name,
            network=network,
            left_out=[f"{part}." for part, _ in whole.named_children() if part not in kept],
            embedding_size=WIDTH * 2 ** (stages - 1),
        )


def r3d_18(*, stages: int = STAGES) -> ResNet3D:
    """R3D-18: three-dimensional kernels throughout.

    Args:
        stages: Residual stages that are kept, 1 to 4.
    """
    return ResNet3D(name="r3d_18", stages=stages)


def mc3_18(*, stages: int = STAGES) -> ResNet3D:
    """MC3-18: three-dimensional kernels in the stem and the first stage, frames alone after these.

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
