"""The encoder ``avhubert``: the contract, the published form, published files.

Published files are made here, with the names that their authors gave to tensors, in small.
"""

from __future__ import annotations

import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from synctool.errors import MissingError, UsageError, WeightsError
from synctool.networks.build import put_published
from synctool.testing import CHECKS
from synctool.training.unfreezing import LayerGroups, Unfreezing
from synctool_plugin_lipreading import synctool_backbones
from synctool_plugin_lipreading.frontend import LipFrontend, avhubert_frontend

(SPEC,) = synctool_backbones()
ACTIVATIONS = ("prelu", "relu", "swish")
AVHUBERT = "feature_extractor_video.resnet."
PREFIXES = {
    "alone": "",
    "avhubert, pretrained": AVHUBERT,
    "avhubert, fine-tuned": f"encoder.w2v_model.{AVHUBERT}",
    "auto-avsr": "encoder.frontend.",
}


@pytest.fixture(autouse=True)
def same_noise() -> None:
    torch.manual_seed(3)


def small(activation: str = "prelu", width: int = 4) -> LipFrontend:
    """An encoder with nothing at its beginning values."""
    network = avhubert_frontend(width=width, activation=activation)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                tensor.uniform_(0.2, 0.6) if "var" in name else tensor.normal_(0.1, 0.4)
    return network.eval()


def published(network: LipFrontend, prefix: str) -> dict[str, Tensor]:
    """Its tensors as the file of a whole network has them, beside others."""
    others = {
        f"{prefix}proj.weight": torch.randn(3, 2),
        "feature_extractor_audio.proj.weight": torch.randn(3, 2),
        "encoder.layers.0.fc1.weight": torch.randn(3, 2),
        "mask_emb": torch.randn(3),
    }
    return others | {prefix + name: tensor for name, tensor in network.state_dict().items()}


def by_the_paper(x: Tensor, state: dict[str, Tensor], activation: str) -> Tensor:
    """The network as its authors write it, one frame after the other: ``[1, 1, T, S, S] -> [D, T]``."""

    def norm(x: Tensor, name: str) -> Tensor:
        shape = (1, -1, *(1,) * (x.ndim - 2))
        mean, var = (state[f"{name}.running_{k}"].view(shape) for k in ("mean", "var"))
        weight, bias = (state[f"{name}.{k}"].view(shape) for k in ("weight", "bias"))
        return (x - mean) / (var + 1e-5).sqrt() * weight + bias

    def act(x: Tensor, name: str) -> Tensor:
        if activation == "prelu":
            return F.prelu(x, state[f"{name}.weight"])
        return x * torch.sigmoid(x) if activation == "swish" else x.clamp_min(0)

    frames = x.shape[2]
    padded = F.pad(x, (0, 0, 0, 0, 2, 2))
    rows = []
    for t in range(frames):
        y = F.conv3d(
            padded[:, :, t : t + 5], state["frontend3D.0.weight"], None, (1, 2, 2), (0, 3, 3)
        )
        y = act(norm(y, "frontend3D.1"), "frontend3D.2")[:, :, 0]
        y = F.max_pool2d(y, 3, 2, 1)
        for stage in range(1, 5):
            for block in range(2):
                name = f"trunk.layer{stage}.{block}"
                stride = 2 if stage > 1 and block == 0 else 1
                z = F.conv2d(y, state[f"{name}.conv1.weight"], None, stride, 1)
                z = act(norm(z, f"{name}.bn1"), f"{name}.relu1")
                z = norm(F.conv2d(z, state[f"{name}.conv2.weight"], None, 1, 1), f"{name}.bn2")
                if f"{name}.downsample.0.weight" in state:
                    y = F.conv2d(y, state[f"{name}.downsample.0.weight"], None, stride)
                    y = norm(y, f"{name}.downsample.1")
                y = act(z + y, f"{name}.relu2")
        rows.append(y.mean((2, 3))[0])
    return torch.stack(rows, 1)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(check: Callable) -> None:
    check(SPEC)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_rows_are_what_the_paper_says(activation: str) -> None:
    network, x = small(activation), torch.randn(1, 1, 4, 24, 24)
    with torch.no_grad():
        wanted = by_the_paper(x, network.state_dict(), activation)
        torch.testing.assert_close(network(x)[0], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("form", "prefix"),
    [
        ("safetensors", AVHUBERT),
        *(("plain", p) for p in PREFIXES.values()),
        ("model_state_dict", ""),
    ],
)
def test_published_files(form: str, prefix: str, tmp_path: Path) -> None:
    theirs, ours = small(), small()
    state = published(theirs, prefix)
    if form == "safetensors":
        path = tmp_path / "w.safetensors"
        save_file(state, path)
    else:
        path = tmp_path / "w.pt"
        saved = state if form == "plain" else {"epoch": 3, "model_state_dict": state}
        torch.save(saved, path)
    ours.load_published(path)
    for name, tensor in ours.state_dict().items():
        assert torch.equal(tensor, theirs.state_dict()[name]), name


def test_the_published_file_is_found_by_itself(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("SYNCTOOL_CACHE", str(tmp_path))
    theirs, ours = small(), small()
    with pytest.raises(MissingError, match=r"avhubert-frontend\.safetensors") as told:
        put_published(SPEC, ours)
    assert str(tmp_path / "avhubert-frontend.safetensors") in told.value.remedy
    save_file(published(theirs, AVHUBERT), tmp_path / "avhubert-frontend.safetensors")
    assert put_published(SPEC, ours) == "avhubert-frontend"
    assert torch.equal(ours.frontend3D[0].weight, theirs.frontend3D[0].weight)


def test_the_published_size() -> None:
    network = avhubert_frontend()
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert shapes["frontend3D.0.weight"] == (64, 1, 5, 7, 7)
    assert shapes["trunk.layer4.1.relu2.weight"] == (512,)
    assert shapes["trunk.layer2.0.downsample.0.weight"] == (128, 64, 1, 1)
    assert (
        sum(p.numel() for p in network.parameters()) == 11_176_512 - 9408 + 15_680 + 3904
    )  # ResNet-18, stem, PReLUs


def test_fairseq_objects_are_never_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "base_vox_iter5.pt"
    torch.save({"args": Namespace(arch="av_hubert"), "model": published(small(), AVHUBERT)}, path)
    with pytest.raises(WeightsError, match=r"base_vox_iter5\.pt cannot be read as weights"):
        small().load_published(path)


@pytest.mark.parametrize(
    ("theirs", "ours", "said"),
    [
        ("prelu", "relu", r"not its own: .*relu"),
        ("relu", "prelu", r"missing: .*relu1\.weight"),
    ],
)
def test_another_activation_is_refused(theirs: str, ours: str, said: str, tmp_path: Path) -> None:
    torch.save(published(small(theirs), AVHUBERT), tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=said):
        small(ours).load_published(tmp_path / "w.pt")


def test_another_network_is_refused(tmp_path: Path) -> None:
    torch.save({"conv1.weight": torch.randn(2, 2)}, tmp_path / "other.pt")
    with pytest.raises(WeightsError, match="no visual front ends") as told:
        small().load_published(tmp_path / "other.pt")
    assert told.value.exit_code == WeightsError.exit_code
    torch.save(published(small(), "") | published(small(), AVHUBERT), tmp_path / "two.pt")
    with pytest.raises(WeightsError, match="2 visual front ends"):
        small().load_published(tmp_path / "two.pt")
    torch.save(published(small(width=8), AVHUBERT), tmp_path / "wide.pt")
    with pytest.raises(WeightsError, match="other shape"):
        small().load_published(tmp_path / "wide.pt")


@pytest.mark.parametrize(
    ("options", "said"), [({"activation": "gelu"}, "'gelu'"), ({"width": 0}, "width of 0")]
)
def test_options_are_checked(options: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        avhubert_frontend(**options)


def test_stages_are_unfrozen_one_after_the_other() -> None:
    model = nn.Module()
    model.video_encoder = small()
    model.requires_grad_(False)
    groups = LayerGroups(model, Unfreezing(epoch=2, layer_decay=0.5))
    groups.at(2)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained and all(".trunk.layer4." in name for name in trained)
    groups.at(6)
    assert all(p.requires_grad for p in model.parameters())


def test_the_plugin_is_light() -> None:
    code = (
        "import sys, synctool_plugin_lipreading as p; assert p.synctool_backbones(); "
        "assert not {'torch', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
