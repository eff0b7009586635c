"""SlowFast, as PyTorchVideo publishes it.

Feichtenhofer et al., "SlowFast Networks for Video Recognition", ICCV 2019 (arXiv:1812.03982).
"""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from synctool.errors import WeightsError
from synctool.models.dense import clip_shape, make_dense, reach
from synctool.weights.published import fit_published, read_published
from torch import Tensor, nn

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it uses torch.jit.script, which newer PyTorch warns of
    from pytorchvideo.models.hub import slowfast as hub

STAGES = 4
"""Residual stages of the published networks."""
WIDTH = 64
"""Channels of the slow path's stem."""
ALPHA = 4
"""The slow path of the published networks sees every fourth frame of the fast one."""
BETA = 8
"""It has eight times as many channels."""


class SlowFast(nn.Module):
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
        super().__init__()
        if stages not in range(1, STAGES + 1):
            raise ValueError(f"stages is 1 to {STAGES}, not {stages}")
        if width < BETA or width % BETA:
            raise ValueError(f"width is a multiple of {BETA}, not {width}")
        self.name = name
        self.width = width
        slow = width * 2 ** (stages + 1)
        self.embedding_size = slow + slow // BETA
        """D: 2304 for the published networks."""
        self.network = getattr(hub, name)(pretrained=False, stem_dim_outs=(width, width // BETA))
        blocks = self.network.blocks
        self._left_out = [f"blocks.{n}." for n in range(stages + 1, len(blocks))]
        self._left_out.append(f"blocks.{stages}.multipathway_fusion.")
        self.network.blocks = blocks[: stages + 1]
        # As behind the published last stage: nothing comes after it that would need the fast path.
        self.network.blocks[-1].multipathway_fusion = nn.Identity()
        make_dense(self.network, lambda frames: [clip_shape(frames // ALPHA), clip_shape(frames)])

    @property
    def receptive_field_frames(self) -> int:
        """Frames that a row looks at."""
        slow = fast = 0
        for block in self.network.blocks:
            slow += max(reach(block.multipathway_blocks[0]))
            fast += max(reach(block.multipathway_blocks[1]))
            slow = max(slow, fast + max(reach(block.multipathway_fusion)))
        return 1 + 2 * max(slow, fast)

    @property
    def pretrained(self) -> nn.Module:
        """The published part: stems and stages, in order."""
        return self.network.blocks

    def forward(self, video: Tensor) -> Tensor:
        """Embeddings of pictures.

        Args:
            video: ``[B, 3, T, H, W]``, RGB in 0..1, less 0.45, divided by 0.225.

        Returns:
            ``[B, D, T]``, row t centred on frame t; first the slow path's channels, then the fast one's.
        """
        return torch.cat([path.mean((3, 4)) for path in self.network([video, video])], 1)

    def load_published(self, path: Path) -> None:
        """Take the weights of PyTorchVideo's file for this network; any number of stages.

        Raises:
            MissingError: No such file.
            WeightsError: It is another network's, a part of one, or no weights; or the width is
                another.
        """
        if self.width != WIDTH:
            raise WeightsError(
                f"the published weights are for width={WIDTH}, not {self.width}",
                remedy="Leave the option width out.",
            )
        state = read_published(path)
        fit_published(self.network, state, name=self.name, ignored=self._left_out)


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
