"""Three-dimensional residual networks: R3D, MC3 and R(2+1)D of 18 layers, and R3D of 34 and 50.

Tran et al., "A Closer Look at Spatiotemporal Convolutions for Action Recognition", CVPR 2018
(arXiv:1711.11248), of torchvision; Hara, Kataoka and Satoh, "Can Spatiotemporal 3D CNNs Retrace the History
of 2D CNNs and ImageNet?", CVPR 2018 (arXiv:1711.09577), from torchvision's blocks.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from pathlib import Path
from typing import cast

from torch import nn
from torchvision.models import video as published
from torchvision.models.video.resnet import BasicBlock, Bottleneck, Conv3DSimple, VideoResNet

from synctool.models.staged import STAGES, WIDTH, StagedEncoder, check_stages
from synctool.weights.published import fit_published, read_published

_BLOCKS = (3, 4, 6, 3)
"""In the stages of 34 and of 50 layers."""
_RENAMED = (
    (re.compile(r"^conv1\."), "stem.0."),
    (re.compile(r"^bn1\."), "stem.1."),
    (re.compile(r"^(layer\d\.\d+\.conv\d)\.weight$"), r"\1.0.weight"),
    (re.compile(r"^(layer\d\.\d+\.)bn(\d)\."), r"\1conv\2.1."),
)
"""Names in the files of Hara et al., and the same in torchvision's networks."""


class ResNet3D(StagedEncoder):
    """A network of torchvision: stem, residual stages, mean over space.

    Args:
        name: Name of torchvision's constructor, or what the network is called.
        stages: Residual stages that are kept, 1 to 4. Fewer cost less and look at less time.
        whole: The network with all its stages; None takes torchvision's of that name.

    Raises:
        ValueError: There is no such number of stages.
    """

    def __init__(
        self, *, name: str, stages: int = STAGES, whole: VideoResNet | None = None
    ) -> None:
        check_stages(stages)
        if whole is None:
            whole = cast("VideoResNet", getattr(published, name)(weights=None))
        kept = ["stem", *(f"layer{n + 1}" for n in range(stages))]
        network = nn.Sequential(OrderedDict((part, getattr(whole, part)) for part in kept))
        super().__init__(
            name=name,
            network=network,
            left_out=[f"{part}." for part, _ in whole.named_children() if part not in kept],
            embedding_size=WIDTH * 2 ** (stages - 1) * whole.layer1[0].expansion,
        )


class DeepResNet3D(ResNet3D):
    """R3D of 34 or 50 layers as Hara et al. published it.

    Unlike R3D-18 it has a stem of 7 x 7 x 7 and a maximum over 3 x 3 x 3 behind it, so that a row looks at
    more time: 453 frames with all stages of 34 layers, 217 with those of 50.

    Args:
        name: What it is called.
        block: Residual block of torchvision.
        stages: Residual stages that are kept, 1 to 4.

    Raises:
        ValueError: There is no such number of stages.
    """

    def __init__(
        self, *, name: str, block: type[BasicBlock] | type[Bottleneck], stages: int
    ) -> None:
        check_stages(stages)
        blocks = [*_BLOCKS[:stages], *(1,) * (STAGES - stages)]  # the others are left out anyway
        whole = VideoResNet(block, [Conv3DSimple] * STAGES, blocks, _DeepStem)
        super().__init__(name=name, stages=stages, whole=whole)
        self._left_out = (*self._left_out, "fc.")

    def load_published(self, path: Path) -> None:
        """Take the weights of the file that Hara et al. give; any number of stages.

        Raises:
            MissingError: No such file.
            WeightsError: It is another network's, a part of one, or no weights.
        """
        state = {_torchvision_name(name): tensor for name, tensor in read_published(path).items()}
        fit_published(self.network, state, name=self.name, ignored=self._left_out)


class _DeepStem(nn.Sequential):
    """Stem of Hara et al."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv3d(3, WIDTH, 7, (1, 2, 2), 3, bias=False),
            nn.BatchNorm3d(WIDTH),
            nn.ReLU(inplace=True),
            nn.MaxPool3d(3, 2, 1),
        )


def _torchvision_name(name: str) -> str:
    for pattern, new in _RENAMED:
        name, found = pattern.subn(new, name)
        if found:
            break
    return name


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


def r3d_34(*, stages: int = STAGES) -> DeepResNet3D:
    """R3D of 34 layers: basic blocks.

    Args:
        stages: Residual stages that are kept, 1 to 4.
    """
    return DeepResNet3D(name="r3d_34", block=BasicBlock, stages=stages)


def r3d_50(*, stages: int = STAGES) -> DeepResNet3D:
    """R3D of 50 layers: bottleneck blocks.

    Args:
        stages: Residual stages that are kept, 1 to 4.
    """
    return DeepResNet3D(name="r3d_50", block=Bottleneck, stages=stages)
