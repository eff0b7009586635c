"""Dense networks: a row for every frame, with the values of the strided network."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import video as torchvision_video

from synctool.models.dense import DensePool, clip_shape, make_dense, reach


@pytest.fixture(autouse=True)
def same_noise() -> None:
    torch.manual_seed(3)


def conv(
    inputs: int, outputs: int, kernel: int, stride: int, padding: int, **more: object
) -> nn.Conv3d:
    """A convolution over time, and over space by 3."""
    return nn.Conv3d(
        inputs, outputs, (kernel, 3, 3), (stride, 1, 1), padding=(padding, 1, 1), **more
    )


class Residual(nn.Module):
    """Two convolutions beside a shortcut, all in strides."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.shortcut = nn.Conv3d(4, 4, 1, stride=(stride, 1, 1))
        self.main = nn.Sequential(conv(4, 4, 3, stride, 1), nn.ReLU(), conv(4, 4, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x) + self.shortcut(x)


class Branches(nn.Module):
    """Branches side by side, as in an Inception block."""

    def __init__(self) -> None:
        super().__init__()
        self.long = conv(4, 2, 5, 2, 2)
        self.short = nn.Sequential(
            nn.MaxPool3d((3, 1, 1), (2, 1, 1), (1, 0, 0)), conv(4, 2, 1, 1, 0)
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.long(x), self.short(x)], 1)


class EverySecond(nn.Module):
    """Steps over frames where no layer shows it."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, ::2]


class Twice(nn.Module):
    """One convolution at two rates."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 3, (3, 1, 1), (2, 1, 1), (1, 0, 0))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.conv(x))


NETWORKS = {
    "one convolution": (2, lambda: nn.Sequential(conv(3, 4, 3, 2, 1))),
    "stride 3, then dilated": (
        3,
        lambda: nn.Sequential(conv(3, 4, 5, 3, 2), conv(4, 4, 3, 1, 2, dilation=(2, 1, 1))),
    ),
    "three strides": (
        8,
        lambda: nn.Sequential(
            conv(3, 4, 7, 2, 3), nn.ReLU(), conv(4, 4, 3, 2, 1), conv(4, 4, 3, 2, 1)
        ),
    ),
    "maximum": (
        4,
        lambda: nn.Sequential(nn.MaxPool3d(3, 2, 1), conv(3, 4, 3, 2, 1), nn.MaxPool3d(3, 1, 1)),
    ),
    "average with zeros": (
        4,
        lambda: nn.Sequential(conv(3, 4, 3, 2, 1), nn.AvgPool3d(3, 2, 1), conv(4, 4, 3, 1, 1)),
    ),
    "average without zeros": (
        4,
        lambda: nn.Sequential(
            conv(3, 4, 3, 2, 1), nn.AvgPool3d(3, 2, 1, count_include_pad=False), conv(4, 4, 3, 1, 1)
        ),
    ),
    "stride of a pool of one": (
        2,
        lambda: nn.Sequential(nn.MaxPool3d((1, 3, 3), (2, 2, 2)), conv(3, 4, 3, 1, 1)),
    ),
    "shortcut": (
        4,
        lambda: nn.Sequential(conv(3, 4, 3, 2, 1), Residual(2), nn.ReLU(), Residual(1)),
    ),
    "branches": (4, lambda: nn.Sequential(conv(3, 4, 3, 2, 1), Branches(), conv(4, 4, 3, 1, 1))),
}
EVEN = {
    "convolution of 4": (2, 1, lambda: nn.Sequential(conv(3, 4, 4, 2, 1), conv(4, 4, 3, 1, 1))),
    "convolution of 2": (4, 3, lambda: nn.Sequential(conv(3, 4, 2, 2, 0), conv(4, 4, 2, 2, 0))),
    "convolution of 2, padded": (2, 0, lambda: nn.Sequential(conv(3, 4, 2, 2, 1))),
    "maximum of 2": (
        4,
        2,
        lambda: nn.Sequential(
            conv(3, 4, 3, 2, 1), nn.MaxPool3d((2, 1, 1)), conv(4, 4, 3, 1, 1), nn.ReLU()
        ),
    ),
    "average of 2": (2, 1, lambda: nn.Sequential(nn.AvgPool3d((2, 1, 1)), conv(3, 4, 3, 1, 1))),
}
"""Stride, how many frames later the published rows come, and the network."""
every_network = pytest.mark.parametrize("name", [*NETWORKS, *EVEN])


def both(name: str) -> tuple[int, int, nn.Module, nn.Module]:
    """Stride, how much later its rows are, the network as published, and the same made dense."""
    stride, *later, make = {**NETWORKS, **EVEN}[name]
    strided = make().eval()
    dense = deepcopy(strided)
    make_dense(dense)
    return stride, *(later or [0]), strided, dense


def influence(network: nn.Module, row: int, frames: int) -> list[int]:
    """Frames that a row depends on."""
    given = torch.randn(1, 3, frames, 8, 8, requires_grad=True)
    rows = network(given)
    (rows[:, :, row] * torch.randn_like(rows[:, :, row])).sum().backward()
    return given.grad.abs().sum((0, 1, 3, 4)).nonzero().flatten().tolist()


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("frames", [9, 24, 27])
def test_rows_are_those_of_the_strided_network(name: str, frames: int) -> None:
    stride, later, strided, dense = both(name)
    given = torch.randn(2, 3, frames, 8, 8)
    rows, wanted = dense(given), strided(given)
    assert rows.shape[2] == frames
    assert wanted.std() > 1e-3
    torch.testing.assert_close(rows[:, :, later::stride], wanted)


@pytest.mark.parametrize("name", EVEN)
def test_rows_of_even_kernels_are_those_of_the_strided_network(name: str) -> None:
    stride, later, strided, dense = both(name)
    given = torch.randn(2, 3, 40, 8, 8)
    rows, wanted = dense(given), strided(given)[:, :, 1:-1]
    assert rows.shape[2] == 40
    assert wanted.std() > 1e-3
    got = rows[:, :, stride + later :: stride][:, :, : wanted.shape[2]]
    torch.testing.assert_close(got, wanted)


@pytest.mark.parametrize(
    ("layer", "later"),
    [
        (lambda: conv(3, 4, 5, 2, 0), 2),
        (lambda: conv(3, 4, 3, 2, 2), -1),
        (lambda: nn.MaxPool3d((3, 1, 1), (2, 1, 1), dilation=(2, 1, 1)), 2),
    ],
)
def test_padding_that_does_not_centre_moves_the_rows(layer, later: int) -> None:
    strided = layer()
    dense = nn.Sequential(deepcopy(strided))
    make_dense(dense)
    given = torch.randn(1, 3, 24, 8, 8)
    rows, wanted = dense(given), strided(given)[:, :, 1:-1]
    torch.testing.assert_close(rows[:, :, 2 + later :: 2][:, :, : wanted.shape[2]], wanted)


@every_network
def test_every_phase_is_the_strided_network_on_a_later_start(name: str) -> None:
    stride, later, strided, dense = both(name)
    given = torch.randn(1, 3, 64, 8, 8)
    rows = dense(given)
    margin = max(reach(dense)) // stride + 1
    for phase in range(stride):
        wanted = strided(given[:, :, phase:])[:, :, margin:-margin]
        got = rows[:, :, phase + later :: stride][:, :, margin:]
        assert wanted.shape[2] > 3
        torch.testing.assert_close(got[:, :, : wanted.shape[2]], wanted)


@every_network
@pytest.mark.parametrize("frames", [1, 2, 5])
def test_any_number_of_frames(name: str, frames: int) -> None:
    *_, dense = both(name)
    rows = dense(torch.randn(1, 3, frames, 8, 8))
    assert rows.shape[2] == frames
    assert rows.isfinite().all()


@pytest.mark.parametrize("name", [name for name in [*NETWORKS, *EVEN] if name != "branches"])
def test_rows_look_as_far_as_reach_says(name: str) -> None:
    *_, dense = both(name)
    for layer in dense.modules():  # a maximum, or a zero, hides what it does not take
        if isinstance(layer, DensePool):
            layer.largest = False
    for parent in list(dense.modules()):
        for child, module in parent.named_children():
            if isinstance(module, nn.ReLU):
                setattr(parent, child, nn.Identity())
    before, after = reach(dense)
    seen = influence(dense, 40, 80)
    assert (40 - seen[0], seen[-1] - 40) == (before, after)


@pytest.mark.parametrize("name", NETWORKS)
def test_odd_kernels_look_as_far_back_as_ahead(name: str) -> None:
    *_, dense = both(name)
    before, after = reach(dense)
    assert before == after > 0


def test_an_even_kernel_looks_one_of_its_rows_further_back() -> None:
    *_, dense = both("maximum of 2")
    assert reach(dense) == (1 + 2 + 4, 1 + 4), "rows two frames apart before it, and four behind"


@every_network
def test_weights_keep_their_names_and_are_shared(name: str) -> None:
    *_, strided, dense = both(name)
    assert dense.state_dict().keys() == strided.state_dict().keys()
    again = deepcopy(strided)
    owned = dict(again.named_parameters())
    make_dense(again)
    assert all(parameter is owned[key] for key, parameter in again.named_parameters())


def test_a_dense_network_stays_as_it_is() -> None:
    *_, dense = both("shortcut")
    again = deepcopy(dense)
    make_dense(again)
    given = torch.randn(1, 3, 9, 8, 8)
    assert torch.equal(again(given), dense(given))
    assert reach(again) == reach(dense)


def test_it_leaves_nothing_behind() -> None:
    network = NETWORKS["shortcut"][1]()
    network[1].eval()
    modes = [module.training for module in network.modules()]
    make_dense(network)
    assert [module.training for module in network.modules()] == modes
    assert not any(module._forward_pre_hooks for module in network.modules())


@pytest.mark.parametrize("name", ["r3d_18", "mc3_18", "r2plus1d_18"])
def test_networks_of_torchvision(name: str) -> None:
    whole = getattr(torchvision_video, name)().eval()
    strided = nn.Sequential(whole.stem, whole.layer1, whole.layer2, whole.layer3, whole.layer4)
    dense = deepcopy(strided)
    make_dense(dense)
    stride = 1 if name == "mc3_18" else 8
    given = torch.randn(1, 3, 17, 16, 16)
    with torch.no_grad():
        rows, wanted = dense(given), strided(given)
    assert rows.shape[2] == 17
    assert wanted.shape[2] == -(-17 // stride)
    assert wanted.std() > 1e-3
    torch.testing.assert_close(rows[:, :, ::stride], wanted, rtol=1e-4, atol=1e-4)


def test_inputs_at_several_rates() -> None:
    class TwoPaths(nn.Module):
        """A path that sees every fourth frame, joined by one that sees all."""

        def __init__(self) -> None:
            super().__init__()
            self.slow, self.fast = conv(3, 2, 3, 1, 1), conv(3, 2, 3, 1, 1)
            self.join = conv(2, 2, 5, 4, 2)

        def forward(self, given: list[Tensor]) -> Tensor:
            return self.slow(given[0]) + self.join(self.fast(given[1]))

    strided = TwoPaths()
    dense = deepcopy(strided)
    make_dense(dense, lambda frames: [clip_shape(frames // 4), clip_shape(frames)])
    given = torch.randn(1, 3, 24, 8, 8)
    wanted = strided([given[:, :, ::4], given])
    torch.testing.assert_close(dense([given, given])[:, :, ::4], wanted)


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (lambda: conv(3, 3, 3, 2, 1, padding_mode="replicate"), "replicate"),
        (lambda: nn.Conv3d(3, 3, 3, padding="same"), "same"),
        (lambda: nn.MaxPool3d((2, 1, 1), return_indices=True), "no dense form"),
        (lambda: nn.AvgPool3d((2, 1, 1), divisor_override=3), "no dense form"),
        (EverySecond, "240 rows for 480 frames"),
        (lambda: nn.Sequential(conv(3, 3, 3, 2, 1), EverySecond()), "240 rows for 480 frames"),
        (lambda: nn.ConvTranspose3d(3, 3, (2, 1, 1), (2, 1, 1)), "960 rows for 480 frames"),
        (lambda: nn.Sequential(nn.AdaptiveAvgPool3d(4), conv(3, 3, 3, 1, 1)), "gets 0 rows"),
        (Twice, "several rates"),
    ],
)
def test_what_has_no_dense_form_is_refused(network, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make_dense(nn.Sequential(network()))
