"""The joint model behind ``fcn-reg``: both embeddings joined frame by frame, and a small temporal network
that gives one number, the offset. It is kept to be compared with the classifier, not to be used.

Its weakness is known and lies in the loss. Where the evidence leaves several offsets open, the answer with
the least squared error is the mean of those that are left, weighted by their chances (Bishop, "Mixture
density networks", 1994); with the absolute error it is their median. Between -9 and +9, equally likely,
the mean is 0: an offset that nothing speaks for. So the answers shrink to the middle of the range, the
more so the less the network has learnt, and they do not say that they are unsure. ``calibrate`` cannot
mend it: a line stretches right and wrong answers alike.

Comparing is harder for it too. The classifier computes the similarity of a picture with every candidate
sound and only has to tell them apart; this network gets the embeddings side by side, and its layers have
to find out by themselves which rows of the sound to compare a picture with.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_KERNEL = 5


class DilatedBlock(nn.Module):
    """A convolution along time that skips frames, residual (van den Oord et al. 2016, WaveNet).

    Args:
        width: Channels.
        dilation: Frames from one tap to the next.
    """

    def __init__(self, width: int, *, dilation: int) -> None:
        super().__init__()
        self.reach = dilation * (_KERNEL // 2)
        self.conv = nn.Conv1d(
            width, width, _KERNEL, dilation=dilation, padding=self.reach, bias=False
        )
        self.norm = nn.BatchNorm1d(width)
        self.mix = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, width, T] -> [B, width, T]``."""
        return x + self.mix(F.relu(self.norm(self.conv(x))))


class OffsetRegressor(nn.Module):
    """Regresses the offset of every frame.

    Pictures and sound lie on one line of time, each with a mark of where it has something. The head
    looks at least ``max_offset`` frames to either side, so that the sound that belongs to a picture is
    before it at any offset.

    Args:
        video_encoder: ``[B, C, T, H, W] -> [B, D, T]``.
        audio_encoder: Sound features ``-> [B, D, T]``.
        embedding: D of both.
        max_offset: K; the greatest offset in training, and the unit of the last layer.
        width: Channels of the head.
    """

    def __init__(
        self,
        *,
        video_encoder: nn.Module,
        audio_encoder: nn.Module,
        embedding: int,
        max_offset: int = 15,
        width: int = 64,
    ) -> None:
        super().__init__()
        self.video_encoder = video_encoder
        self.audio_encoder = audio_encoder
        self.max_offset = max_offset
        self.join = nn.Conv1d(2 * embedding + 2, width, 1)
        blocks: list[DilatedBlock] = []
        while sum(block.reach for block in blocks) < max_offset:
            blocks.append(DilatedBlock(width, dilation=2 ** len(blocks)))
        self.blocks = nn.Sequential(*blocks)
        self.out = nn.Conv1d(width, 1, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.register_buffer("line", torch.tensor([1.0, 0.0]))

    @property
    def reach(self) -> int:
        """Frames that the head looks at to either side."""
        return sum(block.reach for block in self.blocks)

    def encode_video(self, video: Tensor) -> Tensor:
        """``[B, C, T, H, W] -> [B, D, T]``, unit length."""
        return F.normalize(self.video_encoder(video).float(), dim=1)

    def encode_audio(self, audio: Tensor) -> Tensor:
        """``[B, 1, bands, 4T] -> [B, D, T]``, unit length."""
        return F.normalize(self.audio_encoder(audio).float(), dim=1)

    def forward(self, audio: Tensor, video: Tensor, *, audio_lead: int = 0) -> Tensor:
        """Offsets of all frames.

        Args:
            audio: ``[B, 1, bands, 4 T_audio]``.
            video: ``[B, C, T, H, W]`` with values in 0..1.
            audio_lead: Frame of the sound that belongs to video frame 0.

        Returns:
            ``[B, T]`` in frames, audio ahead positive; not bounded.
        """
        seen, heard = _marked(self.encode_video(video)), _marked(self.encode_audio(audio))
        frames = seen.shape[-1]
        begin, end = min(0, audio_lead), max(heard.shape[-1], audio_lead + frames)
        joined = torch.cat(
            [
                F.pad(seen, (audio_lead - begin, end - audio_lead - frames)),
                F.pad(heard, (-begin, end - heard.shape[-1])),
            ],
            1,
        )
        first = audio_lead - begin
        x = self.blocks(self.join(joined))[..., first : first + frames]
        slope, intercept = self.line
        return slope * self.max_offset * self.out(x)[:, 0].float() + intercept

    @torch.no_grad()
    def calibrate(self, predicted: Tensor, true: Tensor) -> None:
        """Put a straight line behind the last layer: the least squares of truth on prediction.

        Args:
            predicted: Answers of this network as it is, in frames, any shape; of people that it was
                trained on, since held-out ones are to judge it.
            true: The true offsets, same shape.

        Raises:
            ValueError: There are none, or not as many.
        """
        slope, intercept = fitted_line(predicted, true)
        old = self.line.clone()
        self.line.copy_(torch.stack([slope * old[0], slope * old[1] + intercept]))


def fitted_line(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Slope and intercept of the least squares of ``y`` on ``x``; slope 1 where all ``x`` are equal.

    Raises:
        ValueError: There are no values, or not as many of both.
    """
    if x.shape != y.shape or not x.numel():
        raise ValueError(f"{tuple(x.shape)} predictions of {tuple(y.shape)} offsets")
    x, y = x.double().flatten(), y.double().flatten()
    spread = ((x - x.mean()) ** 2).mean()
    # Rounding leaves a spread of its own in equal values.
    flat = spread <= 1e-12 * x.abs().max().clamp_min(1) ** 2
    slope = torch.ones_like(spread)
    if not flat:
        slope = ((x - x.mean()) * (y - y.mean())).mean() / spread
    return slope, y.mean() - slope * x.mean()


def _marked(features: Tensor) -> Tensor:
    """With one more channel of ones: where it is padded, that will be 0."""
    return torch.cat([features, torch.ones_like(features[:, :1])], 1)
