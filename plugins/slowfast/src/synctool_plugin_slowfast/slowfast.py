"""SlowFast, as PyTorchVideo publishes it.

Feichtenhofer et al., "SlowFast Networks for Video Recognition", ICCV 2019 (arXiv:1812.03982).
"""

from __future__ import annotations

import warnings

import torch
from synctool.models.dense import clip_shape, reach
from synctool.models.staged import STAGES, WIDTH, StagedEncoder, check_stages
from torch import Tensor, nn

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it uses torch.jit.script, which newer PyTorch warns of
    from pytorchvideo.models.hub import slowfast as hub

ALPHA = 4
"""The slow path of the published networks sees every fourth frame of the fast one."""
BETA = 8
"""It has eight times as many channels."""


class SlowFast(StagedEncoder):
    """Both paths with a row for every frame: stems, residual stages, means over space, side by side.

    The slow path sees every frame, its kernels reach over rows four frames apart: at each frame it gives
    what the published network gives for the slow clip that has this frame among its own.

    Args:
        name: Name of PyTorchVideo's builder.
        stages: Residual stages that are kept, 1 to 4. Fewer cost less and look at less time.
        width: Channels of the slow path's stem, a multiple of 8; the published networks have 64.

    Raises:
        ValueError: There is no such number of stages, or no such width.
    """

    def __init__(self, *, name: str, stages: int = STAGES, width: int = WIDTH) -> None:
        check_stages(stages)
        if width < BETA or width % BETA:
            raise ValueError(f"width is a multiple of {BETA}, not {width}")
        network = getattr(hub, name)(pretrained=False, stem_dim_outs=(width, width // BETA))
        blocks, slow = network.blocks, width * 2 ** (stages + 1)
        left_out = [f"blocks.{n}." for n in range(stages + 1, len(blocks))]
        left_out.append(f"blocks.{stages}.multipathway_fusion.")
        network.blocks = blocks[: stages + 1]
        # As behind the published last stage: nothing comes after it that would need the fast path.
        network.blocks[-1].multipathway_fusion = nn.Identity()
        super().__init__(
            name=name,
            network=network,
            left_out=left_out,
            embedding_size=slow + slow // BETA,
            width=width,
            example=lambda frames: [clip_shape(frames // ALPHA), clip_shape(frames)],
        )

    @property
    def receptive_field_frames(self) -> int:
        """Frames that a row looks at."""
        slow = fast = 0
        for block in self.network.blocks:
            slow += max(reach(block.multipathway_blocks[0]))
            fast += max(reach(block.multipathway_blocks[1]))
            slow = max(slow, fast + max(reach(block.multipathway_fusion)))
        return 1 + 2 * max(slow, fast)

    def forward(self, video: Tensor) -> Tensor:
        """Embeddings of frames.

        Args:
            video: ``[B, 3, T, H, W]``, RGB in 0..1, less 0.45, divided by 0.225.

        Returns:
            ``[B, D, T]``, row t centred on frame t; first the slow path's channels, then the fast one's.
        """
        return torch.cat([path.mean((3, 4)) for path in self.network([video, video])], 1)


def slowfast_r50(*, stages: int = STAGES, width: int = WIDTH) -> SlowFast:
    """SlowFast 8x8 on ResNet-50.

    Args:
        stages: Residual stages that are kept, 1 to 4.
        width: Channels of the slow path's stem.
    """
    return SlowFast(name="slowfast_r50", stages=stages, width=width)


def slowfast_r101(*, stages: int = STAGES, width: int = WIDTH) -> SlowFast:
    """SlowFast 8x8 on ResNet-101.

    Args:
        stages: Residual stages that are kept, 1 to 4.
        width: Channels of the slow path's stem.
    """
    return SlowFast(name="slowfast_r101", stages=stages, width=width)
