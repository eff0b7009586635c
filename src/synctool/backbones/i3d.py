"""I3D on ResNet-50, as PyTorchVideo publishes it.

Carreira and Zisserman, "Quo Vadis, Action Recognition? A New Model and the Kinetics Dataset", CVPR
2017 (arXiv:1705.07750).
"""

from __future__ import annotations

import warnings
from pathlib import Path

from torch import Tensor, nn

from synctool.errors import WeightsError
from synctool.models.dense import make_dense, reach
from synctool.weights.published import fit_published, read_published

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it uses torch.jit.script, which newer PyTorch warns of
    from pytorchvideo.models.hub.resnet import i3d_r50

STAGES = 4
"""Residual stages of the published network."""
WIDTH = 64
"""Channels of its stem."""
_BLOCKS = {1: 2, 2: 4, 3: 5, 4: 6}
"""How many blocks reach to the end of a stage: the stem before, and a pool after the first."""


class I3D(nn.Module):
    """The network with a row for every frame: stem, residual stages, mean over space.

    Behind the first stage is a maximum over pairs of frames. With two stages or more row t therefore
    looks one frame further back than ahead: its middle is half a frame (20 ms) before that of frame t.

    Args:
        stages: Residual stages that are kept, 1 to 4. Fewer cost less and look at less time.
        width: Channels of the stem; the published network has 64.

    Raises:
        ValueError: There is no such number of stages.
    """

    def __init__(self, *, stages: int = STAGES, width: int = WIDTH) -> None:
        super().__init__()
        if stages not in _BLOCKS:
            raise ValueError(f"stages is 1 to {STAGES}, not {stages}")
        self.width = width
        self.embedding_size = width * 2 ** (stages + 1)
        """D: 2048 for the published network."""
        self.network = i3d_r50(pretrained=False, stem_dim_out=width)
        blocks = self.network.blocks
        kept = _BLOCKS[stages]
        self._left_out = [f"blocks.{n}." for n in range(kept, len(blocks))]
        self.network.blocks = blocks[:kept]
        make_dense(self.network)

    @property
    def receptive_field_frames(self) -> int:
        """Frames that a row looks at, and one more where they are even."""
        return 1 + 2 * max(reach(self.network))

    @property
    def pretrained(self) -> nn.Module:
        """The published part: stem, stages and pool, in order."""
        return self.network.blocks

    def forward(self, video: Tensor) -> Tensor:
        """Embeddings of pictures.

        Args:
            video: ``[B, 3, T, H, W]``, RGB in 0..1, less 0.45, divided by 0.225.

        Returns:
            ``[B, D, T]``, row t centred on frame t, or on its beginning with two stages or more.
        """
        return self.network(video).mean((3, 4))

    def load_published(self, path: Path) -> None:
        """Take the weights of PyTorchVideo's file ``I3D_8x8_R50.pyth``; any number of stages.

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
        fit_published(self.network, state, name="i3d_r50", ignored=self._left_out)


def i3d(*, stages: int = STAGES, width: int = WIDTH) -> I3D:
    """I3D on ResNet-50.

    Args:
        stages: Residual stages that are kept, 1 to 4.
        width: Channels of the stem.
    """
    return I3D(stages=stages, width=width)
