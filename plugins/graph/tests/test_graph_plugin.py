"""The encoder ``graph``: the contract of all encoders, and what is its own."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

import synctool
from synctool.networks.build import build, load_pretrained
from synctool.plugins import registry
from synctool.scoring.confidence import UNCALIBRATED
from synctool.testing import CHECKS
from synctool_plugin_graph.encoder import GraphConv, GraphEncoder, grid_adjacency

TINY = {"embedding": 8, "width": 4, "grid": 3}


@pytest.fixture(autouse=True)
def same_noise() -> None:
    torch.manual_seed(3)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", ["graph", "graph-cls"])
def test_contract(check, name: str) -> None:
    check(registry.single(name))


def test_the_trained_weights_come_with_the_plugin() -> None:
    model = synctool.load_model("graph-cls", device="cpu")
    assert model.weights.startswith("graph-cls.v1 sha256:")
    assert model.calibration is not UNCALIBRATED
    built, pair = build("graph+fcn-mel")
    assert load_pretrained(built, pair)["video"] == "graph-cls.v1"
    trained = model.network.video_encoder.state_dict()
    assert all(
        torch.equal(tensor, trained[name])
        for name, tensor in pair.video_encoder.state_dict().items()
        if not name.endswith("num_batches_tracked")
    )


def test_the_grid_joins_patches_that_touch() -> None:
    itself, touching = grid_adjacency(3)
    assert torch.equal(itself, torch.eye(9))
    assert torch.equal(touching, touching.T)
    # The middle touches all others, a corner its two neighbours and the middle.
    assert (touching[4] > 0).nonzero().flatten().tolist() == [0, 1, 2, 3, 5, 6, 7, 8]
    assert (touching[0] > 0).nonzero().flatten().tolist() == [1, 3, 4]
    assert touching[0, 4].item() == pytest.approx((3 * 8) ** -0.5)
    assert grid_adjacency(1).tolist() == [[[1.0]], [[0.0]]], "one patch touches none"


def test_the_learned_adjacency_joins_what_the_grid_does_not() -> None:
    conv = GraphConv(2, 2, side=3).eval()
    x = torch.zeros(1, 2, 1, 9)
    x[..., 0] = 1.0  # one corner
    assert not conv(x)[..., 8].any(), "the opposite corner does not touch it"
    with torch.no_grad():
        conv.learned[1, 0, 8] = 1.0
    assert conv(x)[..., 8].any()
    with torch.no_grad():
        conv.importance.zero_()
        conv.learned.zero_()
    assert not conv(x).any(), "the importance weighs the fixed edges"


@pytest.mark.parametrize("size", [(32, 32), (45, 61), (112, 112)])
def test_crops_of_any_size_fit(size: tuple[int, int]) -> None:
    assert GraphEncoder(**TINY)(torch.rand(2, 1, 3, *size)).shape == (2, 8, 3)


def test_light_and_contrast_change_nothing() -> None:
    encoder = GraphEncoder(**TINY).eval()
    x = torch.rand(1, 1, 4, 40, 40)
    torch.testing.assert_close(encoder(0.6 * x + 0.2), encoder(x), rtol=0.02, atol=0.02)
    assert encoder(torch.full((1, 1, 2, 40, 40), 0.5)).isfinite().all(), "a flat crop"


def test_where_something_moves_matters() -> None:
    encoder = GraphEncoder(**TINY).eval()
    x = torch.zeros(1, 1, 6, 48, 48)
    x[:, :, 3:, 4:12, 4:12] = 1.0
    assert not torch.allclose(encoder(x), encoder(x.flip(4)), atol=1e-4)


def test_it_costs_little() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        encoder, x = GraphEncoder().eval(), torch.rand(1, 1, 10, 72, 72)
    with FlopCounterMode(display=False) as counter:
        encoder(x)
    assert counter.get_total_flops() / 2 / 10 < 15e6, "multiply-adds per frame"


def test_it_learns_how_far_a_mouth_is_open() -> None:
    encoder = GraphEncoder(embedding=1, width=4, grid=3, dropout=0.0)
    optimizer = torch.optim.Adam(encoder.parameters(), lr=0.01)
    row = torch.arange(32)[:, None]
    losses = []
    for _ in range(60):
        gap = torch.rand(4, 1, 8, 1, 1)
        x = 1 - ((row - 16).abs() < 2 + 10 * gap).float().expand(-1, -1, -1, -1, 32)
        loss = F.mse_loss(encoder(x)[:, 0], gap.flatten(1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) / 10 < 0.03 < losses[0], "random answers have a variance of 1/12"
