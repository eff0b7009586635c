"""R3D of 34 and 50 layers: the values, names and files of Hara et al., who publish them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synctool.backbones import resnet3d
from synctool.errors import MissingError, WeightsError
from synctool.networks.build import put_published
from synctool.plugins import registry

DEPTHS = {"r3d_34": False, "r3d_50": True}
each_depth = pytest.mark.parametrize("name", DEPTHS)


@pytest.fixture(autouse=True)
def same_noise() -> None:
    torch.manual_seed(5)


def theirs(name: str, stages: int = 4) -> dict[str, Tensor]:
    """Tensors with the names and shapes in the published file, as far as a stage."""
    deep, state, channels = DEPTHS[name], {}, 64

    def conv(at: str, outputs: int, inputs: int, kernel: int) -> None:
        fan = inputs * kernel**3
        state[f"{at}.weight"] = torch.randn(outputs, inputs, *(kernel,) * 3) * (2 / fan) ** 0.5

    def norm(at: str, size: int) -> None:
        for part, low, high in (
            *(("weight", 0.5, 1.0), ("bias", -0.1, 0.1)),
            *(("running_mean", -0.1, 0.1), ("running_var", 0.5, 1.5)),
        ):
            state[f"{at}.{part}"] = torch.empty(size).uniform_(low, high)
        state[f"{at}.num_batches_tracked"] = torch.tensor(7)

    conv("conv1", 64, 3, 7)
    norm("bn1", 64)
    for stage, blocks in enumerate((3, 4, 6, 3)[:stages]):
        planes = 64 * 2**stage
        for block in range(blocks):
            at, outputs = f"layer{stage + 1}.{block}", planes * (4 if deep else 1)
            shapes = (
                ((planes, channels, 1), (planes, planes, 3), (outputs, planes, 1))
                if deep
                else ((planes, channels, 3), (planes, planes, 3))
            )
            for number, shape in enumerate(shapes, 1):
                conv(f"{at}.conv{number}", *shape)
                norm(f"{at}.bn{number}", shape[0])
            if block == 0 and (stage or channels != outputs):
                conv(f"{at}.downsample.0", outputs, channels, 1)
                norm(f"{at}.downsample.1", outputs)
            channels = outputs
    state["fc.weight"], state["fc.bias"] = torch.randn(3, channels), torch.randn(3)
    return state


def their_rows(name: str, state: dict[str, Tensor], x: Tensor, stages: int) -> Tensor:
    """The strided network as its authors write it: ``[B, D, T']``."""

    def norm(x: Tensor, at: str) -> Tensor:
        parts = (state[f"{at}.{p}"] for p in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, *parts)

    x = F.conv3d(x, state["conv1.weight"], None, (1, 2, 2), 3)
    x = F.max_pool3d(norm(x, "bn1").relu(), 3, 2, 1)
    for stage, blocks in enumerate((3, 4, 6, 3)[:stages]):
        for block in range(blocks):
            at, stride = f"layer{stage + 1}.{block}", 2 if stage and not block else 1
            y, numbers = x, (1, 2, 3) if DEPTHS[name] else (1, 2)
            for number in numbers:
                weight = state[f"{at}.conv{number}.weight"]
                steps = stride if number == (2 if DEPTHS[name] else 1) else 1
                y = norm(F.conv3d(y, weight, None, steps, weight.shape[2] // 2), f"{at}.bn{number}")
                y = y if number == numbers[-1] else y.relu()
            if f"{at}.downsample.0.weight" in state:
                x = F.conv3d(x, state[f"{at}.downsample.0.weight"], None, stride)
                x = norm(x, f"{at}.downsample.1")
            x = (x + y).relu()
    return x.mean((3, 4))


def encoder(name: str, **options: int) -> nn.Module:
    """One of ours."""
    return getattr(resnet3d, name)(**options).eval()


@pytest.mark.parametrize(("name", "stages"), [("r3d_34", 2), ("r3d_50", 2)])
def test_rows_are_those_of_the_published_network(name: str, stages: int, tmp_path: Path) -> None:
    state = theirs(name, stages) | {"layer3.0.conv1.weight": torch.ones(2)}  # is left out
    torch.save({"epoch": 200, "arch": name, "state_dict": state}, tmp_path / "whole.pth")
    ours = encoder(name, stages=stages)
    ours.load_published(tmp_path / "whole.pth")
    x = torch.randn(1, 3, 10, 8, 8)
    with torch.no_grad():
        wanted, rows = their_rows(name, state, x, stages), ours(x)
    assert rows.shape == (1, ours.embedding_size, 10) and wanted.std() > 1e-3
    torch.testing.assert_close(rows[..., :: 2**stages], wanted, rtol=1e-3, atol=1e-3)


@each_depth
def test_sizes_follow_the_number_of_stages(name: str) -> None:
    spec = registry.backbones.get(f"resnet3d.{name}")
    frames = {"r3d_34": (33, 93, 277, 453), "r3d_50": (21, 49, 137, 217)}[name]
    for stages, wanted in enumerate(frames, 1):
        with torch.device("meta"):
            ours = encoder(name, stages=stages)
        assert ours.receptive_field_frames == wanted
        assert ours.embedding_size == spec.embedding_size // 2 ** (4 - stages)
        names = {key for key in ours.network.state_dict() if key.startswith(f"layer{stages}.")}
        assert names and not any(f"layer{stages + 1}" in key for key in ours.state_dict())
    assert spec.receptive_field_frames == frames[-1]


def test_the_published_file_is_found_and_another_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("SYNCTOOL_CACHE", str(tmp_path))
    spec, ours = registry.backbones.get("resnet3d.r3d_50"), encoder("r3d_50", stages=1)
    with pytest.raises(MissingError, match=r"r3d50_K_200ep\.pth"):
        put_published(spec, ours)
    state = {f"module.{k}": v for k, v in theirs("r3d_50", 1).items()}
    torch.save({"state_dict": state}, tmp_path / "r3d50_K_200ep.pth")
    assert put_published(spec, ours) == "r3d_50.kinetics700"
    assert torch.equal(ours.network.stem[0].weight, state["module.conv1.weight"])
    with pytest.raises(WeightsError, match="not the published file of r3d_34"):
        encoder("r3d_34", stages=1).load_published(tmp_path / "r3d50_K_200ep.pth")
