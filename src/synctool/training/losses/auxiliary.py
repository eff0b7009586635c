"""A second task for the encoder of the frames: values of every frame that were measured elsewhere."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from synctool.errors import UsageError
from synctool.training.losses.base import known_mean
from synctool.training.losses.loss_inputs import Evidence
from synctool.training.losses.volume import COSINES, one_of

_SPREAD = 8.0
"""Unit vectors of some hundred numbers are small; so the layer begins with outputs near one."""


class Auxiliary(nn.Module):
    """Squared error of values that a linear layer tells from the embeddings of the frames.

    What one network has learned from many people (the shape of the lips, say, by a landmark detector)
    steadies another that sees few (multitask learning: Caruana 1997). The layer is trained along and
    is no part of the weights.

    Args:
        on: ``local`` or ``plain``: which embeddings.
        values: N, how many values a frame has.
        embedding: D.
    """

    def __init__(self, *, on: str = "local", values: int = 12, embedding: int = 256) -> None:
        super().__init__()
        self.on = one_of("on", on, COSINES)
        for option, value in (("values", values), ("embedding", embedding)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise UsageError(f"{option} is {value!r}", remedy="Give a number from 1 on.")
        self.layer = nn.Conv1d(embedding, values, 1)

    def forward(self, evidence: Evidence) -> Tensor:
        """The loss of a batch, a scalar; values that are not known take no part.

        Raises:
            UsageError: There are no targets, they do not fit the options, or the network has no such
                embeddings.
        """
        embeddings = evidence.local_video if self.on == "local" else evidence.video_features
        if evidence.targets is None:
            raise UsageError(
                "the loss auxiliary needs targets", remedy="Give a file of them: --targets FILE."
            )
        if embeddings is None:
            raise UsageError(
                "the network has no local embeddings", remedy="Write auxiliary=WEIGHT,on=plain."
            )
        found = (embeddings.shape[1], evidence.targets.shape[1])
        if found != (self.layer.in_channels, self.layer.out_channels):
            raise UsageError(
                f"the loss auxiliary is for embeddings of {self.layer.in_channels} numbers and "
                f"{self.layer.out_channels} values a frame, and here are {found[0]} and {found[1]}",
                remedy=f"Write auxiliary=WEIGHT,embedding={found[0]},values={found[1]}.",
            )
        told = self.layer(embeddings * _SPREAD).float()
        known = ~torch.isnan(evidence.targets)
        return known_mean((told - evidence.targets.nan_to_num()).square(), known)
