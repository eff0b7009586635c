"""Two processes that train together do what one does with the whole batch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

import replica_run
from synctool.training import replicas
from synctool.training.checkpoint import STATE, WEIGHTS, load_state

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def two(shared: replica_run.Shared) -> Path:
    return replica_run.two(shared)


@pytest.mark.parametrize("kind", replica_run.KINDS)
def test_two_processes_reach_what_one_reaches(two: Path, tmp_path: Path, kind: str) -> None:
    losses, weights = replica_run.run(tmp_path, unfreeze_epoch=replica_run.KINDS[kind])
    ranks = [json.loads((two / f"rank{i}.json").read_text()) for i in (0, 1)]
    assert len(losses) == replica_run.STEPS
    assert ranks[0][kind] == pytest.approx(losses, rel=1e-5)
    assert ranks[1][kind] == []  # only the first process tells
    found = torch.load(two / kind / "weights.pt", weights_only=True)
    # Added to all logits alike it changes nothing: its gradient is rounding, which AdamW makes large.
    del weights["head.layers.2.bias"]
    for name, value in weights.items():
        assert torch.allclose(found[name].float(), value.float(), atol=3e-4), name
    assert (two / kind / WEIGHTS).is_file()
    assert len(load_state(two / kind / STATE)["random"]) == 2


def test_collectives_by_hand(two: Path) -> None:
    first, second = (json.loads((two / f"rank{i}.json").read_text())["collectives"] for i in (0, 1))
    for found in (first, second):
        assert found["gathered"] == [1, 1, 2]
        # (2 x 3) of one and (2 x 3 + 2 x 5) of the other, over three frames; its derivative by 2.
        assert found["mean"] == pytest.approx([22 / 3])
        assert found["mean_gradient"] == pytest.approx([11 / 3])
        assert found["no_frames"] == [0]
    # Both processes weigh everything alike, so each part gets twice its factor.
    assert first["gathered_gradient"] == [2]
    assert second["gathered_gradient"] == [20, 200]


def test_with_one_process_nothing_changes() -> None:
    x = torch.randn(3, 2)
    assert replicas.gather(x) is x
    assert replicas.average(x) is x
    assert replicas.gather_objects("a") == ["a"]
    assert replicas.global_mean(torch.tensor(6.0), torch.tensor(4)).item() == 1.5
    assert replicas.global_mean(torch.tensor(0.0), torch.tensor(0)).item() == 0
    model = nn.BatchNorm1d(2)
    assert replicas.synchronised(model) is model


@pytest.mark.parametrize("momentum", [0.1, None])
def test_the_shared_normalisation_is_the_plain_one_where_nobody_shares(
    momentum: float | None,
) -> None:
    plain = nn.BatchNorm1d(3, momentum=momentum)
    shared = replicas.GlobalBatchNorm.like(nn.BatchNorm1d(3, momentum=momentum))
    assert list(shared.state_dict()) == list(plain.state_dict())
    x = torch.randn(4, 3, 5)
    assert torch.allclose(plain(x), shared(x))
    plain.eval(), shared.eval()
    assert torch.allclose(plain.running_var, shared.running_var)
    assert torch.allclose(plain(x), shared(x))
    with pytest.raises(ValueError, match="dimensions"):
        shared(torch.zeros(3))
