"""X3D, as PyTorchVideo publishes it.

Feichtenhofer, "X3D: Expanding Architectures for Efficient Video Recognition", CVPR 2020
(arXiv:2004.04730).
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from pathlib import Path

from synctool.models.dense import make_dense, reach
from synctool.weights.published import fit_published, read_published
from torch import Tensor, nn

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it uses torch.jit.script, which newer PyTorch warns of
    from pytorchvideo.models.hub import x3d as hub

STAGES = 4
"""Residual stages of the published networks."""


class X3D(nn.Module):
    """The network up to its last pool, over space alone: stem, residual stages, last convolution.

    It steps over no frames. Its squeeze and excitation take the mean over the whole clip, so each row
    depends a little on all frames; apart from that it sees what ``receptive_field_frames`` says.

    Args:
        name: Name of PyTorchVideo's builder.
        stages: Residual stages that are kept, 1 to 4; the last convolution comes with the fourth. Fewer
            cost less and look at less time.

    Raises:
        ValueError: There is no such number of stages.
    """

    def __init__(self, *, name: str, stages: int = STAGES) -> None:
        super().__init__()
        if stages not in range(1, STAGES + 1):
            raise ValueError(f"stages is 1 to {STAGES}, not {stages}")
        self.name = name
        # Swish under the name that PyTorch has for it: the package's own uses what is deprecated there.
        self.network = getattr(hub, name)(pretrained=False, inner_act=nn.SiLU)
        blocks = self.network.blocks
        kept, head = blocks[: stages + 1], blocks[STAGES + 1]
        self._left_out = [f"blocks.{n}." for n in range(stages + 1, len(blocks))]
        if stages == STAGES:
            parts = ("pre_conv", "pre_norm", "pre_act")
            last = nn.Sequential(OrderedDict((part, getattr(head.pool, part)) for part in parts))
            kept.append(nn.Sequential(OrderedDict(pool=last)))  # with the names of the file
            place = f"blocks.{STAGES + 1}."
            self._left_out = [f"{place}pool.post_conv.", f"{place}proj."]
        self.network.blocks = kept
        make_dense(self.network)

    @property
    def embedding_size(self) -> int:
        """D: 24, 48, 96 or 432, by the number of stages."""
        last = self.network.blocks[-1]
        convs = [m for m in last.modules() if isinstance(m, nn.Conv3d)]
        return convs[-1].out_channels

    @property
    def receptive_field_frames(self) -> int:
        """Frames that a row looks at, but for the means over the whole clip."""
        return 1 + 2 * max(reach(self.network))

    @property
    def pretrained(self) -> nn.Module:
        """The published part: stem, stages and last convolution, in order."""
        return self.network.blocks

    def forward(self, video: Tensor) -> Tensor:
        """Embeddings of pictures.

        Args:
            video: ``[B, 3, T, H, W]``, RGB in 0..1, less 0.45, divided by 0.225.

        Returns:
            ``[B, D, T]``, row t centred on frame t.
        """
        return self.network(video).mean((3, 4))

    def load_published(self, path: Path) -> None:
        """Take the weights of PyTorchVideo's file for this network; any number of stages.

        Raises:
            MissingError: No such file.
            WeightsError: It is another network's, a part of one, or no weights.
        """
        state = read_published(path)
        fit_published(self.network, state, name=self.name, ignored=self._left_out)


def x3d_xs(*, stages: int = STAGES) -> X3D:
    """X3D-XS: weights that were trained on 4 frames of 160 px.

    Args:
        stages: Residual stages that are kept, 1 to 4.
    """
    return X3D(name="x3d_xs", stages=stages)


def x3d_s(*, stages: int = STAGES) -> X3D:
    """X3D-S: weights that were trained on 13 frames of 160 px.

    Args:
        stages: Residual stages that are kept, 1 to 4.
    """
    return X3D(name="x3d_s", stages=stages)


def x3d_m(*, stages: int = STAGES) -> X3D:
    """X3D-M: weights that were trained on 16 frames of 224 px.

    Args:
        stages: Residual stages that are kept, 1 to 4.
    """
    return X3D(name="x3d_m", stages=stages)
