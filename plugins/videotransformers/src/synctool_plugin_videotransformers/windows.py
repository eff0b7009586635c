"""Networks that take a fixed number of frames, evaluated densely: one embedding per frame."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from synctool.errors import UsageError
from synctool.models.tracing import exporting

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_AT_ONCE = 8
"""Windows that go through the network together: enough to keep it busy, and memory stays bounded."""


class WindowedEncoder(nn.Module, ABC):
    """A video network slid over a clip.

    The network takes n frames (an even number) and gives features for each of them. A window begins
    every ``hop`` frames, so that each frame lies in two windows near their middle: at most ``hop``
    frames after the middle of the earlier, and at most ``hop`` before that of the later one. Its
    embedding is a mean of its features in the two, weighed so that their middles are on average the
    frame itself: a cross-fade from window to window. Beyond the ends of the clip the outermost frame
    is repeated.

    With ``hop=1`` (the default) every window contributes the two frames at its middle only, with equal
    weights. Each embedding is then the same function of the n/2 frames before and after its own,
    wherever in the clip it is: moved frames give moved embeddings, exactly, and long videos can be
    encoded in pieces. The price is one window per frame. A larger hop costs a ``hop``-th of that with
    the same weights, and embeddings stay centred on their frames, but look ``hop - 1`` frames further
    and depend on where among the windows a frame happens to lie: the network's own marks of time show
    through, a pattern that repeats every ``hop`` frames whatever the video. Audio has no such pattern, so
    to a comparison with it that is noise.

    Args:
        network: Of the transformers library.
        frames: How many frames it takes, n.
        image_size: Height and width of its frames, in px.
        tubelet: Frames that the network joins in one token.
        hop: Frames from window to window, 1 to n/2; odd if there are tubelets of two frames, so that
            these begin at even and at odd frames in turn and their middles, too, cancel out.
        stride: Frames between those of a window. Published networks saw every 4th frame of a video or
            fewer; the mouth moves too fast for that, hence 1. It does not change the cost.
        gradient_checkpointing: Keep nothing of a window for the backward pass but its frames, and
            compute it again: a third more work, and memory for a few windows only.

    Raises:
        UsageError: A hop or a stride that does not go with the network.
    """

    def __init__(
        self,
        network: PreTrainedModel,
        *,
        frames: int,
        image_size: int,
        tubelet: int = 1,
        hop: int = 1,
        stride: int = 1,
        gradient_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.frames, self.image_size = frames, image_size
        if not 1 <= hop <= self.frames // 2 or (tubelet > 1 and hop % 2 == 0):
            raise UsageError(
                f"a hop of {hop} does not go with windows of {self.frames} frames",
                remedy=f"It is 1 to {self.frames // 2}{', and odd' if tubelet > 1 else ''}.",
            )
        if stride < 1:
            raise UsageError(f"a stride of {stride} frames", remedy="It is 1 or more.")
        self.hop, self.stride = hop, stride
        self.gradient_checkpointing = gradient_checkpointing
        self.embedding_size: int = network.config.hidden_size
        self.network = network
        middle = self.frames // 2
        self._near = [frame // tubelet for frame in range(middle - hop, middle + hop)]

    @property
    def receptive_field_frames(self) -> int:
        """Frames that one embedding looks at, with the hop and the stride that were chosen."""
        return 2 * (self.frames // 2 + self.hop - 1) * self.stride + 1

    @property
    def bounded(self) -> bool:
        """Whether moved frames give moved embeddings exactly."""
        return self.hop == 1

    @property
    def pretrained(self) -> nn.ModuleList:
        """The published part in order from input to output: embeddings, each layer, last norm."""
        embeddings = next(self.network.base_model.children())
        layers = next(m for m in self.network.modules() if isinstance(m, nn.ModuleList))
        return nn.ModuleList([embeddings, *layers, self.last_norm])

    @property
    @abstractmethod
    def last_norm(self) -> nn.Module:
        """The normalisation that the network ends in."""

    @abstractmethod
    def features(self, windows: Tensor) -> Tensor:
        """What the network says about each time step of windows.

        Args:
            windows: ``[N, n, 3, S, S]``.

        Returns:
            ``[N, n / tubelet, D]``, the mean over the frame.
        """

    def forward(self, x: Tensor) -> Tensor:
        """Encode a clip.

        Args:
            x: ``[B, 3, T, H, W]``, normalised as the spec says. Frames of another size than the
                network's are scaled to it.

        Returns:
            ``[B, D, T]``, row t centred on frame t.
        """
        x = resized(x, self.image_size)
        batch, _, frames = x.shape[:3]
        # With a stride, every stride-th frame is a clip of its own with windows of its own.
        rows = -(-frames // self.stride)
        index = self._windows(rows, x.device).clamp_(0, frames - 1)
        pieces = []
        index = index.flatten(0, 1)
        for some in [index] if exporting() else index.split(max(1, _AT_ONCE // batch)):
            windows = x[:, :, some].permute(0, 2, 3, 1, 4, 5)
            pieces.append(self._at_middle(windows.flatten(0, 1)).unflatten(0, (batch, -1)))
        near = torch.cat(pieces, 1).unflatten(
            1, (self.stride, -1)
        )  # [B, stride, windows, 2 hop, D]
        fade = (torch.arange(self.hop, device=x.device, dtype=near.dtype) + 0.5) / self.hop
        earlier, later = near[:, :, :-1, self.hop :], near[:, :, 1:, : self.hop]
        dense = torch.lerp(earlier, later, fade[:, None].expand_as(earlier)).flatten(2, 3)
        return dense[:, :, :rows].permute(0, 3, 2, 1).flatten(2)[..., :frames]

    def _at_middle(self, windows: Tensor) -> Tensor:
        """Features of the frames near the middle of windows: ``[N, 2 hop, D]``."""
        if self.gradient_checkpointing and torch.is_grad_enabled():
            found = checkpoint(self.features, windows, use_reentrant=False)
        else:
            found = self.features(windows)
        return found[:, self._near]

    def _windows(self, rows: int, device: torch.device) -> Tensor:
        """Which frames the windows look at: ``[stride, windows, n]``, also beyond the clip's ends."""
        count = (rows - 1) // self.hop + 2
        first = torch.arange(count, device=device) * self.hop - self.frames // 2
        inside = torch.arange(self.frames, device=device)
        phase = torch.arange(self.stride, device=device)
        return phase[:, None, None] + self.stride * (first[:, None] + inside)


def resized(x: Tensor, size: int) -> Tensor:
    """Frames scaled to a square, ``[B, C, T, H, W]`` to ``[B, C, T, S, S]``."""
    if x.shape[-2:] == (size, size):
        return x
    batch, _, frames = x.shape[:3]
    images = x.transpose(1, 2).flatten(0, 1)
    scaled = F.interpolate(images, (size, size), mode="bilinear", antialias=True)
    return scaled.unflatten(0, (batch, frames)).transpose(1, 2)


def check_sizes(
    *,
    num_frames: int,
    layers: int,
    hidden_size: int,
    num_attention_heads: int,
    image_size: int,
    patch_size: int,
) -> None:
    """Refuse sizes that make no network.

    Raises:
        UsageError: One of them; the message says which and what it may be.
    """
    for name, wrong, rule in (
        ("layers", layers < 1, "at least 1"),
        ("num_frames", num_frames < 2 or num_frames % 2, "even"),
        (
            "num_attention_heads",
            num_attention_heads < 1 or hidden_size % num_attention_heads,
            "a divisor of hidden_size",
        ),
        ("patch_size", patch_size < 1 or image_size % patch_size, "a divisor of image_size"),
        ("hidden_size", hidden_size < 2 or hidden_size % 2, "even"),
    ):
        if wrong:
            raise UsageError(f"{name} does not fit", remedy=f"It must be {rule}.")
