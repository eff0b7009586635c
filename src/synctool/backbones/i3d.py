"""I3D on ResNet-50, as PyTorchVideo publishes it.

Carreira and Zisserman, "Quo Vadis, Action Recognition? A New Model and the Kinetics Dataset", CVPR
2017 (arXiv:1705.07750).
"""

from __future__ import annotations

import warnings
from typing import cast

from torch import nn

from synctool.models.staged import STAGES, WIDTH, StagedEncoder, check_stages

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it uses torch.jit.script, which newer PyTorch warns of
    from pytorchvideo.models.hub.resnet import i3d_r50

_BLOCKS = {1: 2, 2: 4, 3: 5, 4: 6}
"""How many blocks reach to the end of a stage: the stem before, and a pool after the first."""


class I3D(StagedEncoder):
    """Stem, residual stages, mean over space.

    Behind the first stage is a maximum over pairs of frames. With two stages or more row t therefore
    looks one frame further back than ahead: its middle is half a frame (20 ms) before that of frame t.

    Args:
        stages: Residual stages that are kept, 1 to 4. Fewer cost less and look at less time.
        width: Channels of the stem; the published network has 64.

    Raises:
        ValueError: There is no such number of stages.
    """

    def __init__(self, *, stages: int = STAGES, width: int = WIDTH) -> None:
        check_stages(stages)
        network = i3d_r50(pretrained=False, stem_dim_out=width)
        blocks, kept = cast("nn.ModuleList", network.blocks), _BLOCKS[stages]
        network.blocks = blocks[:kept]
        super().__init__(
            name="i3d_r50",
            network=network,
            left_out=[f"blocks.{n}." for n in range(kept, len(blocks))],
            embedding_size=width * 2 ** (stages + 1),
            width=width,
        )


def i3d(*, stages: int = STAGES, width: int = WIDTH) -> I3D:
    """I3D on ResNet-50.

    Args:
        stages: Residual stages that are kept, 1 to 4.
        width: Channels of the stem.
    """
    return I3D(stages=stages, width=width)
