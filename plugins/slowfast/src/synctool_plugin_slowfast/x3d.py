"""X3D, as PyTorchVideo publishes it.

Feichtenhofer, "X3D: Expanding Architectures for Efficient Video Recognition", CVPR 2020
(arXiv:2004.04730).
"""

from __future__ import annotations

import warnings
from collections import OrderedDict

from synctool.models.staged import STAGES, StagedEncoder, check_stages
from torch import nn

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it uses torch.jit.script, which newer PyTorch warns of
    from pytorchvideo.models.hub import x3d as hub


class X3D(StagedEncoder):
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
        check_stages(stages)
        # Swish under the name that PyTorch has for it: the package's own uses what is deprecated there.
        network = getattr(hub, name)(pretrained=False, inner_act=nn.SiLU)
        blocks = network.blocks
        kept, head = blocks[: stages + 1], blocks[STAGES + 1]
        left_out = [f"blocks.{n}." for n in range(stages + 1, len(blocks))]
        if stages == STAGES:
            parts = ("pre_conv", "pre_norm", "pre_act")
            last = nn.Sequential(OrderedDict((part, getattr(head.pool, part)) for part in parts))
            kept.append(nn.Sequential(OrderedDict(pool=last)))  # with the names of the file
            place = f"blocks.{STAGES + 1}."
            left_out = [f"{place}pool.post_conv.", f"{place}proj."]
        network.blocks = kept
        convs = [layer for layer in kept[-1].modules() if isinstance(layer, nn.Conv3d)]
        size = convs[-1].out_channels
        super().__init__(name=name, network=network, left_out=left_out, embedding_size=size)


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
