"""Published video networks that are cut behind one of their stages and give a row for every frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from synctool.errors import WeightsError
from synctool.models.dense import clip_shape, make_dense, reach
from synctool.weights.published import fit_published, read_published

STAGES = 4
"""Residual stages of the published networks."""
WIDTH = 64
"""Channels of their stems."""


def check_stages(stages: int) -> None:
    """Refuse a number of stages that the networks do not have.

    Raises:
        ValueError: It is not 1 to 4.
    """
    if stages not in range(1, STAGES + 1):
        raise ValueError(f"stages is 1 to {STAGES}, not {stages}")


class StagedEncoder(nn.Module):
    """What is left of a published network, made dense in time; the mean over space is the embedding.

    Args:
        name: What it is, for messages.
        network: What is left of it; its tensors have the published names.
        left_out: Beginnings of the published names that it has no more.
        embedding_size: D.
        width: Channels of its stem; only a network of the published width takes published weights.
        example: Shape or shapes of its input for a number of frames.
    """

    def __init__(
        self,
        *,
        name: str,
        network: nn.Module,
        left_out: Sequence[str],
        embedding_size: int,
        width: int = WIDTH,
        example: Callable[[int], Any] = clip_shape,
    ) -> None:
        super().__init__()
        self.name = name
        self.network = network
        self.embedding_size = embedding_size
        self.width = width
        self._left_out = tuple(left_out)
        make_dense(network, example)

    @property
    def receptive_field_frames(self) -> int:
        """Frames that a row looks at, and one more where they are even."""
        return 1 + 2 * max(reach(self.network))

    @property
    def pretrained(self) -> nn.Module:
        """The published part, whose children are its stages in order."""
        return getattr(self.network, "blocks", self.network)

    def forward(self, video: Tensor) -> Tensor:
        """Embeddings of frames.

        Args:
            video: ``[B, 3, T, H, W]``, RGB, normalised as the spec says.

        Returns:
            ``[B, D, T]``, row t centred on frame t.
        """
        return self.network(video).mean((3, 4))

    def load_published(self, path: Path) -> None:
        """Take the weights of the published file for this network; any number of stages.

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
        fit_published(self.network, read_published(path), name=self.name, ignored=self._left_out)
