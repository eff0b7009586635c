"""The joint model behind ``fcn-reg``: both embeddings joined frame by frame, and a small temporal network
that gives one number, the offset. It is kept to be compared with the classifier, not to be used.

Its weakness is known and lies in the loss. Where the evidence leaves several offsets open, the answer with
the least squared error is the mean of those that are left, weighted by their chances (Bishop, "Mixture
density networks", 1994); with the absolute error it is their median. Between -9 and +9, equally likely,
the mean is 0: an offset that nothing speaks for. So the answers shrink to the middle of the range, the
more so the less the network has learned, and they do not say that they are unsure. ``calibrate`` cannot
correct it: a line stretches right and wrong answers alike.

Comparing is harder for it too. The classifier computes the similarity of a frame with every candidate
audio and only has to tell them apart; this network gets the embeddings side by side, and its layers have
to find out by themselves which rows of the audio to compare a frame with.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal, cast, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synctool.models.correlation import inside_audio, inside_window
from synctool.types import DEFAULT_MAX_OFFSET

Calibrated = Literal["linear", "fitted"]
_KERNEL = 5
_LEAST_SPREAD_FRAMES = 0.25


def reach_of(layers: Iterable[nn.Module]) -> int:
    """Frames that layers one after the other look at to either side; each has a ``reach`` of its own."""
    return sum(cast("int", layer.reach) for layer in layers)


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

    Frames and audio lie on one line of time, each with a mark of where it has something. The head
    looks at least ``max_offset`` frames to either side, so that the audio that belongs to a frame is
    before it at any offset. So the answers belong to the ``max_offset`` that it was trained with:
    ``score`` can lay them out over any range, but nothing has taught them to leave their own.

    The network's last layer gives a number without a unit; a straight line turns it into frames. There
    are two ways to come by the line:

    ``linear``
        It is fixed by hand, before anything is trained: the number times ``max_offset``, through
        zero, so that -1 and 1 stand for the ends of the range. The first prototypes of this
        regression did so, with a line that somebody had chosen. Answers that shrink to the middle
        of the range stay there.
    ``fitted``
        It is the least squares of truth on answer, after training, over windows of the people that
        were trained on: ``calibrate``. Before that it is the linear one.

    Args:
        video_encoder: ``[B, C, T, H, W] -> [B, D, T]``.
        audio_encoder: Audio features ``-> [B, D, T]``.
        embedding: D of both.
        max_offset: K; the greatest offset in training, and the unit of the last layer.
        width: Channels of the head.
        calibration: ``linear`` or ``fitted``.

    Attributes:
        line: Buffer ``[2]``, slope and intercept behind the last layer; the slope is over K.
        spread_frames: Buffer, a scalar: how far from the truth a single frame's answer is, as a
            standard deviation.

    Raises:
        ValueError: There is no such calibration.
    """

    equivariant = False
    """Whether moved audio moves the answer whatever the weights are: it has to be learned here."""
    line: Tensor
    spread_frames: Tensor

    def __init__(
        self,
        *,
        video_encoder: nn.Module,
        audio_encoder: nn.Module,
        embedding: int,
        max_offset: int = DEFAULT_MAX_OFFSET,
        width: int = 64,
        calibration: Calibrated = "fitted",
    ) -> None:
        super().__init__()
        if calibration not in get_args(Calibrated):
            known = " or ".join(get_args(Calibrated))
            raise ValueError(f"the calibration {calibration!r} is not {known}")
        self.calibration = calibration
        self.video_encoder = video_encoder
        self.audio_encoder = audio_encoder
        self.max_offset = max_offset
        self.join = nn.Conv1d(2 * embedding + 2, width, 1)
        blocks: list[DilatedBlock] = []
        while sum(block.reach for block in blocks) < max_offset:
            blocks.append(DilatedBlock(width, dilation=2 ** len(blocks)))
        self.blocks = nn.Sequential(*blocks)
        self.out = nn.Conv1d(width, 1, 1)
        for parameter in self.out.parameters():
            nn.init.zeros_(parameter)
        self.register_buffer("line", torch.tensor([1.0, 0.0]))
        # The deviation of offsets anywhere in the range from its middle, the first answer to all.
        self.register_buffer("spread_frames", torch.tensor(max_offset / 3**0.5))

    @property
    def reach(self) -> int:
        """Frames that the head looks at to either side."""
        return reach_of(self.blocks)

    @property
    def margin(self) -> int:
        """Offsets beyond the asked range that it looks at: all that is within its reach."""
        return self.reach

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
            audio_lead: Frame of the audio that belongs to video frame 0.

        Returns:
            ``[B, T]`` in frames, audio ahead positive; not bounded.
        """
        return self.regress(
            self.encode_audio(audio), self.encode_video(video), audio_lead=audio_lead
        )

    def regress(
        self, audio_features: Tensor, video_features: Tensor, *, audio_lead: int = 0
    ) -> Tensor:
        """Offsets of all frames from embeddings.

        Args:
            audio_features: ``[B, D, T_audio]``.
            video_features: ``[B, D, T]``.
            audio_lead: Index of the audio that belongs to video frame 0.

        Returns:
            ``[B, T]`` in frames, audio ahead positive; not bounded.
        """
        video, audio = _marked(video_features), _marked(audio_features)
        frames = video.shape[-1]
        begin, end = min(0, audio_lead), max(audio.shape[-1], audio_lead + frames)
        joined = torch.cat(
            [
                F.pad(video, (audio_lead - begin, end - audio_lead - frames)),
                F.pad(audio, (-begin, end - audio.shape[-1])),
            ],
            1,
        )
        first = audio_lead - begin
        return self._answers(self.blocks(self.join(joined))[..., first : first + frames])

    def _answers(self, x: Tensor) -> Tensor:
        """``[B, width, T]`` behind the blocks ``-> [B, T]`` in frames."""
        slope, intercept = self.line
        return slope * self.max_offset * self.out(x)[:, 0].float() + intercept

    def score(
        self,
        audio_features: Tensor,
        video_features: Tensor,
        *,
        max_offset: int,
        audio_lead: int = 0,
    ) -> Tensor:
        """Log-density of a normal distribution round each frame's answer.

        Averaged over frames it is highest at their mean, and a parabola through its peak has its top
        there. Unlike those of a comparison, the scores of a frame depend on ``regress`` alone: they
        have one peak, however little the network knows, and moving the audio does not move them
        unless it has learned to follow.

        Args:
            audio_features: ``[B, D, T_audio]``.
            video_features: ``[B, D, T]``.
            max_offset: K; a greater one than that of the training adds rows, and no answers.
            audio_lead: Index of the audio that belongs to video frame 0.

        Returns:
            ``[B, 2K+1, T]``, ``-inf`` where a candidate lies outside the audio.
        """
        answers = self.regress(audio_features, video_features, audio_lead=audio_lead)
        frames, length = answers.shape[-1], audio_features.shape[-1]
        inside = inside_audio(frames, length, max_offset, audio_lead).to(answers.device)
        rows = torch.arange(-max_offset, max_offset + 1, device=answers.device)
        return self._density(answers, rows, inside, float("-inf"))

    def score_window(
        self,
        audio: Tensor,
        inside: Tensor,
        video_features: Tensor,
        *,
        outside: float = float("-inf"),
    ) -> Tensor:
        """See ``synctool.models.heads.WindowHead.score_window``.

        The window holds all that its answers look at, so they are those of ``regress``, whose line of
        time ends where audio and frames end: the layers here see nothing beyond these ends either.
        """
        frames, margin = video_features.shape[-1], self.margin
        spare = audio.shape[-1] - frames
        inside = inside.expand(audio.shape[0], -1)
        video = F.pad(_marked(video_features), (spare // 2, spare - spare // 2))
        known = torch.maximum(inside[:, None], video[:, -1:])
        x = self.join(torch.cat([video, audio, inside[:, None]], 1))
        for block in self.blocks:
            x = block(x * known)
        answers = self._answers(x[..., spare // 2 : spare // 2 + frames])
        places = torch.arange(audio.shape[-1], device=answers.device)
        rows = places[: spare + 1 - 2 * margin] - (spare // 2 - margin)
        here = inside_window(inside[:, margin : inside.shape[1] - margin], frames)
        return self._density(answers, rows, here, outside)

    def _density(self, answers: Tensor, rows: Tensor, inside: Tensor, outside: float) -> Tensor:
        """Log-densities ``[B, R, T]`` of the offsets ``rows [R]`` round answers ``[B, T]``."""
        errors = (rows[:, None] - answers[:, None]) / self.spread_frames
        scores = -errors.square() / 2 - (self.spread_frames * math.sqrt(2 * math.pi)).log()
        return scores.masked_fill(~inside, outside)

    @torch.no_grad()
    def calibrate(self, predicted: Tensor, true: Tensor) -> tuple[float, float]:
        """Put a straight line behind the last layer: the least squares of truth on prediction.

        Args:
            predicted: Answers of this network as it is, in frames, any shape; of people that it was
                trained on, since held-out ones are to judge it.
            true: The true offsets, same shape.

        Returns:
            Slope and intercept of the line that was put behind what there was.

        Raises:
            ValueError: There are none, or not as many.
        """
        slope, intercept = fitted_line(predicted, true)
        old = self.line.clone()
        self.line.copy_(torch.stack([slope * old[0], slope * old[1] + intercept]))
        return float(slope), float(intercept)

    @torch.no_grad()
    def fit_spread(self, predicted: Tensor, true: Tensor) -> None:
        """Take the width of ``score`` from the errors of single frames.

        Args:
            predicted: Answers of this network as it is, in frames, any shape.
            true: The true offsets, same shape.

        Raises:
            ValueError: There are none, or not as many.
        """
        if predicted.shape != true.shape or not predicted.numel():
            raise ValueError(f"{tuple(predicted.shape)} predictions of {tuple(true.shape)} offsets")
        error = (predicted.double() - true.double()).square().mean().sqrt()
        self.spread_frames.copy_(error.clamp_min(_LEAST_SPREAD_FRAMES))


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
