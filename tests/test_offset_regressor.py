"""The offset regressor: shapes, what it sees of the audio, and its straight line."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from synctool.models.offset_regressor import OffsetRegressor, fitted_line


class FakeVideo(nn.Module):
    """Each frame to its mean and its contrast; no weights."""

    def forward(self, video: Tensor) -> Tensor:
        """``[B, C, T, H, W] -> [B, 2, T]``."""
        return torch.stack([video.mean((1, 3, 4)), video.std((1, 3, 4)) + 1], 1)


class FakeAudio(nn.Module):
    """Each frame of the audio to its mean; no weights."""

    def forward(self, audio: Tensor) -> Tensor:
        """``[B, 1, bands, 4T] -> [B, 2, T]``."""
        mean = audio.unflatten(-1, (-1, 4)).mean((1, 2, 4))
        return torch.stack([mean, torch.ones_like(mean)], 1)


def regressor(max_offset: int = 3, **more: int) -> OffsetRegressor:
    torch.manual_seed(0)
    model = OffsetRegressor(
        video_encoder=FakeVideo(),
        audio_encoder=FakeAudio(),
        embedding=2,
        max_offset=max_offset,
        width=8,
        **more,
    )
    nn.init.normal_(model.out.weight)
    return model.eval()


def inputs(frames: int, audio_frames: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(2, 1, 8, 4 * audio_frames), torch.rand(2, 1, frames, 6, 6)


@pytest.mark.parametrize(
    ("frames", "audio_frames", "lead"), [(5, 5, 0), (5, 17, 6), (5, 5, -3), (5, 2, 9), (1, 1, 0)]
)
def test_one_number_for_every_frame(frames: int, audio_frames: int, lead: int) -> None:
    audio, video = inputs(frames, audio_frames)
    offsets = regressor()(audio, video, audio_lead=lead)
    assert offsets.shape == (2, frames)
    assert torch.isfinite(offsets).all()


def test_it_begins_with_the_middle_of_the_range() -> None:
    model = OffsetRegressor(
        video_encoder=FakeVideo(), audio_encoder=FakeAudio(), embedding=2, max_offset=3
    )
    assert not model(*inputs(4, 4)).any()


@pytest.mark.parametrize("max_offset", [1, 3, 15])
def test_the_head_sees_the_audio_of_any_offset_searched(max_offset: int) -> None:
    model = regressor(max_offset)
    assert max_offset <= model.reach
    audio, video = inputs(1, 2 * max_offset + 1)
    audio.requires_grad_()
    model(audio, video, audio_lead=max_offset).sum().backward()
    felt = audio.grad.unflatten(-1, (-1, 4)).abs().sum((0, 1, 2, 4))
    assert (felt > 0).all()


def test_audio_and_frames_lie_on_one_line_of_time() -> None:
    """Audio that is cut off in front is the same as a smaller lead, away from the cut."""
    model = regressor(1)
    audio, video = inputs(3, 20)
    whole = model(audio, video, audio_lead=10)
    cut = model(audio[..., 4 * 5 :], video, audio_lead=5)
    assert torch.allclose(whole, cut, atol=1e-5)
    assert not torch.allclose(whole, model(audio, video, audio_lead=9), atol=1e-3)


def test_the_line_of_least_squares() -> None:
    x, y = torch.tensor([0.0, 1.0, 2.0, 3.0]), torch.tensor([1.0, 3.0, 4.0, 8.0])
    slope, intercept = fitted_line(x, y)  # by hand: 11 / 5, and 4 - 2.2 * 1.5
    assert float(slope) == pytest.approx(2.2)
    assert float(intercept) == pytest.approx(0.7)
    slope, intercept = fitted_line(torch.full((3,), 0.1), torch.tensor([1.0, 2.0, 6.0]))
    assert float(slope) == 1
    assert float(intercept) == pytest.approx(2.9)


@pytest.mark.parametrize("count", [0, 2])
def test_a_line_needs_pairs(count: int) -> None:
    with pytest.raises(ValueError, match="predictions"):
        fitted_line(torch.zeros(count), torch.zeros(3) if count else torch.zeros(0))


def test_calibrating_moves_the_answers_onto_the_line_also_twice() -> None:
    model = regressor()
    audio, video = inputs(6, 6)
    raw = model(audio, video)
    model.calibrate(raw, 3 * raw - 2)
    assert torch.allclose(model(audio, video), 3 * raw - 2, atol=1e-4)
    model.calibrate(model(audio, video), raw)
    assert torch.allclose(model(audio, video), raw, atol=1e-4)
    other = regressor()
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(audio, video), model(audio, video))


def test_it_learns_what_the_frames_tell() -> None:
    """The brightness of a frame is its offset: one thing that a regression can learn."""
    model = regressor().train()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for step in range(60):
        torch.manual_seed(step)
        true = torch.empty(8).uniform_(-3, 3)
        video = (true / 6 + 0.5).view(8, 1, 1, 1, 1).expand(8, 1, 4, 6, 6)
        offsets = model(torch.zeros(8, 1, 8, 16), video)
        loss = ((offsets - true[:, None]) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.5  # 3 is what the mean of the range gives
