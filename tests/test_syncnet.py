"""SyncNet: its published weights fit, and its dense rows are its published windows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synctool.backbones.syncnet import SyncNet, syncnet
from synctool.scoring.syncnet import pairwise_distances

LAYERS = {
    "netcnnaud.0": (64, 1, 3, 3),
    "netcnnaud.4": (192, 64, 3, 3),
    "netcnnaud.8": (384, 192, 3, 3),
    "netcnnaud.11": (256, 384, 3, 3),
    "netcnnaud.14": (256, 256, 3, 3),
    "netcnnaud.18": (512, 256, 5, 4),
    "netfcaud.0": (512, 512),
    "netfcaud.3": (1024, 512),
    "netcnnlip.0": (96, 3, 5, 7, 7),
    "netcnnlip.4": (256, 96, 1, 5, 5),
    "netcnnlip.8": (256, 256, 1, 3, 3),
    "netcnnlip.11": (256, 256, 1, 3, 3),
    "netcnnlip.14": (256, 256, 1, 3, 3),
    "netcnnlip.18": (512, 256, 1, 6, 6),
    "netfclip.0": (512, 512),
    "netfclip.3": (1024, 512),
}
"""Convolutions and linear layers of ``syncnet_v2.model``, with the shapes of their weights."""
NORMS = {
    **{"netcnnaud.1": 64, "netcnnaud.5": 192, "netcnnaud.9": 384, "netcnnaud.12": 256},
    **{"netcnnaud.15": 256, "netcnnaud.19": 512, "netfcaud.1": 512},
    **{"netcnnlip.1": 96, "netcnnlip.5": 256, "netcnnlip.9": 256, "netcnnlip.12": 256},
    **{"netcnnlip.15": 256, "netcnnlip.19": 512, "netfclip.1": 512},
}
"""Its batch normalisations, with their channels. The file is older than PyTorch's step counters."""
PUBLISHED: dict[str, tuple[int, ...]] = {
    **{f"{layer}.weight": shape for layer, shape in LAYERS.items()},
    **{f"{layer}.bias": shape[:1] for layer, shape in LAYERS.items()},
    **{
        f"{norm}.{part}": (channels,)
        for norm, channels in NORMS.items()
        for part in ("weight", "bias", "running_mean", "running_var")
    },
}
COUNTERS = {f"{norm}.num_batches_tracked" for norm in NORMS}
PUBLISHED_FILE_BYTES = 54_573_114


@pytest.fixture(scope="module")
def network() -> SyncNet:
    """Random weights whose normalisations have seen data, so that nothing fades away in between."""
    torch.manual_seed(1)
    network = SyncNet(chunk_frames=4)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = 1.0
    network.train()
    with torch.no_grad():
        network.encode_video(torch.rand(1, 3, 4, 224, 224) * 255)
        network.encode_audio(torch.randn(1, 1, 13, 16) * 10)
    return network.eval()


@pytest.fixture(autouse=True)
def same_noise_and_no_gradients() -> Iterator[None]:
    torch.manual_seed(7)
    with torch.no_grad():
        yield


def test_the_published_weights_are_known_in_full() -> None:
    size = 4 * sum(int(np.prod(shape)) for shape in PUBLISHED.values())
    assert 0 < PUBLISHED_FILE_BYTES - size < 200 * len(PUBLISHED), (
        "the rest is the file's directory"
    )


def test_published_weights_load_strictly() -> None:
    network = syncnet()
    own = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    assert {key: shape for key, shape in own.items() if key not in COUNTERS} == PUBLISHED
    assert own.keys() == PUBLISHED.keys() | COUNTERS
    state = {key: torch.rand(shape) for key, shape in PUBLISHED.items()}
    network.load_state_dict(state, strict=True)
    assert all(torch.equal(network.state_dict()[key], state[key]) for key in state)
    network.load_state_dict({**state, **dict.fromkeys(COUNTERS, torch.tensor(0))}, strict=True)


def held(x: Tensor, by: int, *, dim: int) -> Tensor:
    """``x`` with its outermost slices repeated ``by`` times at both ends."""
    first, last = x.narrow(dim, 0, 1), x.narrow(dim, x.shape[dim] - 1, 1)
    return torch.cat([first] * by + [x] + [last] * by, dim)


def assert_close(got: Tensor, wanted: Tensor) -> None:
    assert got.shape == wanted.shape
    assert wanted.std() > 0.01, "a comparison of constants proves nothing"
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-5 * float(wanted.abs().max().clamp(1)))


def test_rows_of_the_frame_are_published_windows(network: SyncNet) -> None:
    video = torch.rand(1, 3, 6, 224, 224) * 255
    padded = held(video, 2, dim=2)  # window i of the video itself is window i + 2 of the padded one
    windows = [padded[:, :, t : t + 5] for t in range(6)]
    wanted = [network.netfclip(network.netcnnlip(w).flatten(1)) for w in windows]
    assert torch.equal(windows[2], video[:, :, :5])
    assert_close(network.encode_video(video), torch.stack(wanted, 2))


def test_rows_of_the_audio_are_published_windows(network: SyncNet) -> None:
    audio = torch.randn(2, 1, 13, 4 * 11) * 10
    padded = held(audio, 8, dim=3)
    windows = [padded[..., 4 * t : 4 * t + 20] for t in range(11)]
    wanted = [network.netfcaud(network.netcnnaud(w).flatten(1)) for w in windows]
    assert torch.equal(windows[2], audio[..., :20])
    got = network.encode_audio(audio)
    assert_close(got, torch.stack(wanted, 2))
    incomplete = torch.cat([audio, torch.ones(2, 1, 13, 3)], 3)
    assert_close(network.encode_audio(incomplete), got)


def test_bytes_of_frames_are_taken_as_they_are(network: SyncNet) -> None:
    video = torch.randint(0, 256, (1, 3, 2, 224, 224), dtype=torch.uint8)
    assert torch.equal(network.encode_video(video), network.encode_video(video.float()))


@pytest.mark.parametrize("ahead", [-15, -3, 0, 1, 7])
def test_audio_ahead_by_n_frames_is_row_k_plus_n(network: SyncNet, ahead: int) -> None:
    audio = torch.randn(1, 1024, 60)
    seen = audio[..., 20:40]
    lead = 20 + ahead  # with each frame plays the audio of a frame ``ahead`` frames later
    volume = network.score(audio, seen, max_offset=15, audio_lead=lead)
    assert volume.shape == (1, 31, 20)
    assert torch.all(volume.argmax(1) == 15 + ahead)
    # EPSILON is all that is left between a frame and its own audio: 1e-6 in 1024 dimensions.
    torch.testing.assert_close(
        volume[:, 15 + ahead], torch.full((1, 20), -32e-6), rtol=1e-3, atol=0
    )


@pytest.mark.parametrize(("frames", "length", "lead"), [(150, 150, 0), (70, 9, -4), (5, 0, 0)])
def test_scores_are_the_published_distances(
    network: SyncNet, frames: int, length: int, lead: int
) -> None:
    seen, audio = torch.randn(1, 1024, frames), torch.randn(1, 1024, length)
    volume = network.score(audio, seen, max_offset=6, audio_lead=lead)
    distances = pairwise_distances(seen[0].T.numpy(), audio[0].T.numpy(), 6, -lead)
    wanted = torch.from_numpy(np.where(np.isnan(distances), -np.inf, -distances))
    torch.testing.assert_close(volume[0], wanted)
    if lead == 0 and length > 9:
        pair = F.pairwise_distance(seen[0, :, 100], audio[0, :, 98])
        torch.testing.assert_close(volume[0, 6 + 2, 100], -pair)
