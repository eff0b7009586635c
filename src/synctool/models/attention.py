"""Attention that stays local: over channels, over neighbouring frames, over neighbouring candidates.

An embedding must look at so many frames and no more, so that long videos can be encoded in pieces; a
score must not depend on how many candidates were asked for. So nothing here looks at a whole clip.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synctool.models.heads import VolumeHead

_SQUEEZE = 8


class SqueezeExcitation(nn.Module):
    """Channel attention (Hu, Shen & Sun 2018): each channel times a factor in 0..1 that depends on the
    means of all.

    Args:
        channels: C.
        over: Axes of the means. Those of a frame for ``[N, C, H, W]`` with one frame in each N;
            for audio ``[B, C, bands, time]`` the bands alone, since a mean over the time of a clip
            would let every step look at all of it.
    """

    def __init__(self, channels: int, *, over: tuple[int, ...]) -> None:
        super().__init__()
        self.over = over
        hidden = max(4, channels // _SQUEEZE)
        self.squeeze = nn.Conv2d(channels, hidden, 1)
        self.excite = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Shape as it comes."""
        means = x.mean(self.over, keepdim=True)
        # GELU where the paper has ReLU: of the few hidden units none can fall silent for good.
        return x * self.excite(F.gelu(self.squeeze(means))).sigmoid()


video_gate = partial(SqueezeExcitation, over=(2, 3))
"""For ``[N, C, H, W]``, frame by frame."""
audio_gate = partial(SqueezeExcitation, over=(2,))
"""For ``[B, C, bands, time]``, step by step."""


class BandedAttention(nn.Module):
    """Self-attention along time (Vaswani et al. 2017) in a band: each frame over those nearby, as in
    local attention (Parmar et al. 2018), with a bias for every relative position (Shaw et al. 2018,
    in the form of Raffel et al. 2020).

    Frame t looks at t-N .. t+N, beyond the ends of the input at nothing. Time and memory grow with
    ``T * (2N+1)``, not with the square of T.

    Args:
        width: D.
        reach: N.
        heads: Number of heads; divides D.
        dropout: Share of weights dropped in training.

    Raises:
        ValueError: The heads do not divide D, or the reach is negative.
    """

    def __init__(self, width: int, *, reach: int, heads: int = 4, dropout: float = 0.0) -> None:
        super().__init__()
        if heads < 1 or width % heads:
            raise ValueError(f"{heads} heads do not divide {width} channels")
        if reach < 0:
            raise ValueError(f"attention cannot reach {reach} frames")
        self.reach = reach
        self.heads = heads
        # A bias of the keys would add the same to all weights, and the softmax does not see that.
        self.project = nn.Conv1d(width, 3 * width, 1, bias=False)
        self.relative = nn.Parameter(torch.zeros(heads, 2 * reach + 1))
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, D, T] -> [B, D, T]``."""
        n, frames = self.reach, x.shape[-1]
        queries, keys, values = self.project(x).unflatten(1, (3, self.heads, -1)).unbind(1)
        keys, values = (F.pad(y, (n, n)).unfold(-1, 2 * n + 1, 1) for y in (keys, values))
        logits = torch.einsum("bhdt,bhdtn->bhtn", queries, keys) / queries.shape[2] ** 0.5
        at = torch.arange(frames, device=x.device)[:, None]
        at = at + torch.arange(-n, n + 1, device=x.device)
        outside = (at < 0) | (at >= frames)
        logits = (logits + self.relative[:, None]).float().masked_fill(outside, float("-inf"))
        weights = self.dropout(logits.softmax(-1)).to(values.dtype)
        return self.out(torch.einsum("bhtn,bhdtn->bhdt", weights, values).flatten(1, 2))


class AttentionBlock(nn.Module):
    """Banded self-attention, residual, on normalised channels (pre-norm: Xiong et al. 2020).

    Args:
        width: D.
        reach: Frames that it looks at to either side.
        heads: Number of heads.
        dropout: Share of features dropped in training.
    """

    def __init__(self, width: int, *, reach: int, heads: int = 4, dropout: float = 0.0) -> None:
        super().__init__()
        self.reach = reach
        self.norm = nn.LayerNorm(width)
        self.attention = BandedAttention(width, reach=reach, heads=heads, dropout=dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, D, T] -> [B, D, T]``."""
        return x + self.dropout(self.attention(over_channels(self.norm, x)))


class FeedForwardBlock(nn.Module):
    """The other half of a transformer's layer: each frame by itself through two linear layers, residual.

    Args:
        width: D.
        expansion: Hidden channels over D.
        dropout: Share of features dropped in training.
    """

    reach = 0
    """Frames that it looks at to either side."""

    def __init__(self, width: int, *, expansion: int = 2, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.widen = nn.Conv1d(width, expansion * width, 1)
        self.narrow = nn.Conv1d(expansion * width, width, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, D, T] -> [B, D, T]``."""
        y = self.dropout(F.gelu(self.widen(over_channels(self.norm, x))))
        return x + self.dropout(self.narrow(y))


def over_channels(norm: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Layer normalisation (Ba et al. 2016) of each frame: ``[B, D, T] -> [B, D, T]``."""
    return norm(x.transpose(1, 2)).transpose(1, 2)


class AttentiveHead(VolumeHead):
    """A head in which the frames attend to the audio frames before it sharpens.

    For the candidate at offset n, frame t asks the audio frames at n-N .. n+N: its query
    against their keys gives weights that sum to 1, and what it gathers by them of the audio frames' values
    is compared with a second projection of the frame. That corrects the similarity in row n. As
    queries and keys have unit length, a learned temperature scales their products (cosine attention:
    Henry et al. 2020; Liu et al. 2022); a learned bias tells the relative offsets apart.

    Attention over all candidates would depend on how many there are. This one looks at N rows to
    either side, whatever the range, so a shift of the audio still shifts the answer, and any range is
    a part of a larger one. It begins as a ``VolumeHead``: the corrections are zero at first.

    Args:
        embedding: D.
        reach: N.
        heads: Number of heads, each of D / heads channels.
        channels: Width of the convolutions.

    Raises:
        ValueError: The heads do not divide D, or the reach is negative.
    """

    def __init__(
        self, *, embedding: int, reach: int = 3, heads: int = 4, channels: int = 16
    ) -> None:
        super().__init__(channels=channels)
        if heads < 1 or embedding % heads:
            raise ValueError(f"{heads} heads do not divide {embedding} channels")
        if reach < 0:
            raise ValueError(f"attention cannot reach {reach} candidates")
        self.reach = reach
        self.heads = heads
        self.hear = nn.Conv1d(embedding, 2 * embedding, 1, bias=False)
        self.see = nn.Conv1d(embedding, 2 * embedding, 1, bias=False)
        self.log_temperature = nn.Parameter(torch.full((heads,), 1.0))
        self.relative = nn.Parameter(torch.zeros(heads, 2 * reach + 1))
        self.gain = nn.Parameter(torch.zeros(heads))

    @property
    def margin(self) -> int:
        """Offsets beyond the asked range that attention and convolutions look at."""
        return super().margin + self.reach

    def further(
        self, audio_features: Tensor, video_features: Tensor
    ) -> tuple[tuple[Tensor, Tensor], ...]:
        """Keys with queries of every head, then the values with what they are compared with.

        Args:
            audio_features: ``[B, D, T_audio]``, unit length.
            video_features: ``[B', D, T]``, unit length.

        Returns:
            ``2 * heads`` pairs ``[B, D / heads, T_audio]`` and ``[B', D / heads, T]``, unit length.
        """
        audio, video = (
            F.normalize(layer(x).float().unflatten(1, (2 * self.heads, -1)), dim=2).unbind(1)
            for layer, x in ((self.hear, audio_features), (self.see, video_features))
        )
        return tuple(zip(audio, video))

    def refine(
        self,
        volume: Tensor,
        inside: Tensor,
        further: Sequence[Tensor] = (),
        *,
        outside: float = float("-inf"),
    ) -> Tensor:
        """As of ``VolumeHead``.

        Raises:
            ValueError: The volumes of ``further`` are not given.
        """
        if len(further) != 2 * self.heads:
            raise ValueError(f"{len(further)} volumes of {2 * self.heads} that the attention takes")
        volumes = torch.stack(list(further), 1)
        weights, values = volumes[:, : self.heads], volumes[:, self.heads :]
        correction = self._gathered(weights, values, inside)
        n = self.reach
        cut = slice(n, volume.shape[1] - n)
        logits = volume[:, cut] * self.log_scale.exp() + correction
        return self._sharpened(logits, inside[:, cut], outside)

    def _gathered(self, similar: Tensor, values: Tensor, inside: Tensor) -> Tensor:
        """What attention adds to each row but the outermost N.

        Args:
            similar: Queries times keys, ``[B, heads, R, T]``.
            values: Of each candidate for each frame, same shape.
            inside: Boolean ``[B, R, T]``.

        Returns:
            ``[B, R - 2N, T]``, zero outside the audio.
        """
        n = self.reach
        near = 2 * n + 1
        logits = (similar * self.log_temperature.exp()[:, None, None]).unfold(2, near, 1)
        logits = logits + self.relative[:, None, None]
        here = inside.unfold(1, near, 1)[:, None]
        # A finite value: where no candidate has audio, the weights must be numbers too.
        weights = logits.float().masked_fill(~here, torch.finfo(torch.float32).min).softmax(-1)
        gathered = (weights * values.unfold(2, near, 1)).sum(-1)
        added = (gathered * self.gain[:, None, None]).sum(1)
        return added * inside[:, n : inside.shape[1] - n]
