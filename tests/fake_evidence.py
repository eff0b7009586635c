"""Evidence and small networks made by hand, for tests of losses and tasks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from synctool.data.windows import WindowBatch
from synctool.models.offset_classifier import OffsetClassifier
from synctool.training.losses.loss_inputs import Evidence

BANDS = 64
SIDE = 4


def evidence(
    volume: Tensor,
    offsets: list[float],
    *,
    on: str = "plain",
    scale: float | Tensor = 1.0,
    teacher: Tensor | None = None,
    **more: object,
) -> Evidence:
    """Evidence around one volume ``[B, 2K+1, T]``; the features are made up unless given."""
    clips, rows, frames = volume.shape
    fields = {
        "video_features": torch.ones(clips, 1, frames),
        "audio_features": torch.ones(clips, 1, frames),
        "audio_lead": 0,
        "local_scale": torch.as_tensor(scale),
        **more,
    }
    return Evidence(
        volumes={on: volume},
        offset_frames=torch.tensor(offsets),
        max_offset=rows // 2,
        scale=torch.as_tensor(scale),
        teacher=teacher,
        **fields,
    )


class FakeVideo(nn.Module):
    """One linear layer per frame, ``[B, 1, T, S, S] -> [B, D, T]``."""

    def __init__(self, embedding: int) -> None:
        super().__init__()
        self.layer = nn.Linear(SIDE * SIDE, embedding)

    def forward(self, x: Tensor) -> Tensor:
        """Row t sees frame t alone."""
        return self.layer(x[:, 0].flatten(2) - 0.5).transpose(1, 2)


class FakeAudio(nn.Module):
    """One linear layer per frame, ``[B, 1, 64, 4T] -> [B, D, T]``."""

    def __init__(self, embedding: int) -> None:
        super().__init__()
        self.layer = nn.Linear(4 * BANDS, embedding)

    def forward(self, x: Tensor) -> Tensor:
        """Row t sees the four steps of frame t alone."""
        steps = x[:, 0].unflatten(2, (-1, 4)).permute(0, 2, 1, 3).flatten(2)
        return self.layer(steps).transpose(1, 2)


class Locally(nn.Module):
    """An encoder with a local stage; the stage beyond it is a linear layer."""

    def __init__(self, encoder: nn.Module, embedding: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.beyond = nn.Conv1d(embedding, embedding, 1)

    def local(self, x: Tensor) -> Tensor:
        """Inputs to ``[B, D, T]``."""
        return self.encoder(x)

    def context(self, local: Tensor) -> Tensor:
        """``[B, D, T] -> [B, D, T]``."""
        return self.beyond(local)

    def forward(self, x: Tensor) -> Tensor:
        """Both in turn."""
        return self.context(self.local(x))


def tiny_model(embedding: int = 8, *, local: bool = False, seed: int = 0) -> OffsetClassifier:
    """An offset classifier with a few hundred parameters; its crops have 4 px."""
    torch.manual_seed(seed)
    video, audio = FakeVideo(embedding), FakeAudio(embedding)
    if local:
        video, audio = Locally(video, embedding), Locally(audio, embedding)
    return OffsetClassifier(video_encoder=video, audio_encoder=audio, max_offset=3, head_channels=2)


class Constant(nn.Module):
    """What a collapsed encoder gives: the same embedding for everything."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor) -> Tensor:
        """The embeddings' shape with the value 1 everywhere."""
        return torch.ones_like(self.encoder(x))


def talking_batch(
    seed: int, *, clips: int = 6, frames: int = 24, max_offset: int = 3, drift: bool = False
) -> WindowBatch:
    """Windows whose frames and audio show the same hidden course, the audio moved by whole frames.

    The second view has noise of its own.

    Args:
        seed: Seed of the courses and offsets; how they show is always the same.
        clips: B.
        frames: T.
        max_offset: The audio is moved by up to this.
        drift: The course goes on in one direction, so that its order can be told.
    """
    shown = torch.Generator().manual_seed(99)
    to_pixels = torch.randn(3, SIDE * SIDE, generator=shown)
    to_bands = torch.randn(3, 4 * BANDS, generator=shown) / 8
    chance = torch.Generator().manual_seed(seed)
    pad = 2 * max_offset
    course = torch.randn(clips, frames + 2 * pad, 3, generator=chance)
    if drift:
        course = 0.3 * course + torch.linspace(-2, 2, frames + 2 * pad)[None, :, None]
    offsets = torch.randint(-max_offset, max_offset + 1, (clips,), generator=chance)
    pixels = (course[:, pad : pad + frames] @ to_pixels * 30 + 128).clamp(0, 255)
    # The audio of frame t is at t + max_offset - offset: of the course, the piece from the offset on.
    heard = torch.stack(
        [
            c[max_offset + n : max_offset + n + frames + pad]
            for c, n in zip(course, offsets.tolist())
        ]
    )
    mel = (heard @ to_bands).unflatten(2, (BANDS, 4)).permute(0, 2, 1, 3).flatten(2)

    def seen(noise: Tensor | float) -> Tensor:
        shades = (pixels + noise).clamp(0, 255).to(torch.uint8)
        return shades.unflatten(2, (SIDE, SIDE))[:, None]

    return WindowBatch(
        seen(0.0),
        mel[:, None],
        offsets.float(),
        max_offset,
        second_video=seen(10 * torch.randn(pixels.shape, generator=chance)),
        second_audio=(mel + 0.05 * torch.randn(mel.shape, generator=chance))[:, None],
    )
