"""The encoder ``vjepa2``: the contract of all encoders, and what is its own.

Published folders are written by transformers' own ``save_pretrained``, in small.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    PreTrainedModel,
    VideoMAEConfig,
    VideoMAEModel,
    VJEPA2Config,
    VJEPA2ForVideoClassification,
    VJEPA2Model,
)

from synctool.errors import UsageError, WeightsError
from synctool.plugins import registry
from synctool.testing import CHECKS
from synctool.training.unfreezing import LayerGroups, Unfreezing
from synctool_plugin_videotransformers import synctool_backbones, synctool_catalogue
from synctool_plugin_videotransformers.vjepa2 import VJEPA2Encoder

SIZES = {"hidden_size": 16, "num_attention_heads": 2, "mlp_ratio": 2.0}
TINY = {**SIZES, "layers": 2, "image_size": 32, "num_frames": 4}
KINDS = [VJEPA2Model, VJEPA2ForVideoClassification]
each_kind = pytest.mark.parametrize("kind", KINDS, ids=["trunk", "classifier"])


@pytest.fixture(autouse=True)
def same_noise() -> None:
    torch.manual_seed(5)


def lively(module: nn.Module) -> nn.Module:
    """A network with nothing at zero, in evaluation mode."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3)
    return module.eval()


def published(kind: type[PreTrainedModel] = VJEPA2Model, **changes: object) -> PreTrainedModel:
    """A small network as its publishers have it, predictor and head and all."""
    small = {
        **{"pred_hidden_size": 12, "pred_num_attention_heads": 2, "pred_num_hidden_layers": 1},
        **{"num_pooler_layers": 1, "num_labels": 3, "num_hidden_layers": 2},
    }
    fields = {**SIZES, **small, "crop_size": 32, "frames_per_clip": 4, **changes}
    return lively(kind(VJEPA2Config(**fields)))


def trunk(network: PreTrainedModel) -> VJEPA2Model:
    return network.vjepa2 if isinstance(network, VJEPA2ForVideoClassification) else network


def row_by_row(network: VJEPA2Model, x: Tensor, frames: int) -> Tensor:
    """Each frame from the two windows at whose middle it is: ``[D, T]``."""
    rows, last = [], x.shape[1] - 1
    for t in range(x.shape[1]):
        seen = []
        for place in (frames // 2 - 1, frames // 2):
            at = [min(max(t - place + k, 0), last) for k in range(frames)]
            window = x.transpose(0, 1)[at][None]
            tokens = network(window, skip_predictor=True).last_hidden_state[0]
            patches = len(tokens) // (frames // 2)
            seen.append(tokens.split(patches)[place // 2].mean(0))
        rows.append((seen[0] + seen[1]) / 2)
    return torch.stack(rows, 1)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(check: Callable) -> None:
    check(registry.single("vjepa2"))


@each_kind
def test_rows_are_the_published_network_at_its_middle(
    kind: type[PreTrainedModel], tmp_path: Path
) -> None:
    network, ours, x = published(kind), VJEPA2Encoder(**TINY).eval(), torch.randn(3, 5, 32, 32)
    network.save_pretrained(tmp_path)
    ours.load_published(tmp_path)
    with torch.no_grad():
        wanted = row_by_row(trunk(network), x, 4)
        torch.testing.assert_close(ours(x[None])[0], wanted, rtol=1e-4, atol=1e-5)
    own = ours.network.state_dict()
    assert own and not any("predictor" in name for name in own)


def test_positions_are_free_of_the_published_size(tmp_path: Path) -> None:
    """More frames and smaller images than it was trained on."""
    network = published()
    network.save_pretrained(tmp_path)
    ours = VJEPA2Encoder(**{**TINY, "num_frames": 8, "image_size": 16}).eval()
    ours.load_published(tmp_path)
    theirs = VJEPA2Model(VJEPA2Config(**{**network.config.to_dict(), "crop_size": 16})).eval()
    theirs.load_state_dict(network.state_dict())
    x = torch.randn(3, 4, 16, 16)
    with torch.no_grad():
        wanted = row_by_row(theirs, x, 8)
        torch.testing.assert_close(ours(x[None])[0], wanted, rtol=1e-4, atol=1e-5)


def test_what_is_missing_or_other_is_named(tmp_path: Path) -> None:
    published().save_pretrained(tmp_path)
    with pytest.raises(WeightsError, match=r"hidden_size is 16, not 32"):
        VJEPA2Encoder(**{**TINY, "hidden_size": 32}).load_published(tmp_path)
    with pytest.raises(WeightsError, match=r"missing: encoder\.layer\.2\."):
        VJEPA2Encoder(**{**TINY, "layers": 3}).load_published(tmp_path)
    VJEPA2Encoder(**{**TINY, "layers": 1}).load_published(tmp_path)
    path = tmp_path / "model.safetensors"
    lost = "encoder.layer.1.attention.proj.weight"
    save_file({k: v for k, v in load_file(path).items() if k != lost}, path, {"format": "pt"})
    with pytest.raises(WeightsError, match=r"missing: encoder\.layer\.1\.attention\.proj\.weight"):
        VJEPA2Encoder(**TINY).load_published(tmp_path)
    other = tmp_path / "other"
    fields = {"hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 1}
    VideoMAEModel(VideoMAEConfig(**fields, image_size=32)).save_pretrained(other)
    with pytest.raises(WeightsError, match="videomae network; vjepa2 is a vjepa2 network"):
        VJEPA2Encoder(**TINY).load_published(other)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"hop": 2}, "odd"),
        ({"num_frames": 5}, "num_frames"),
        ({"image_size": 40}, "patch_size"),
        ({"num_attention_heads": 4}, "4 heads for 16 numbers"),
    ],
)
def test_what_does_not_go_together_is_refused(options: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        VJEPA2Encoder(**{**TINY, **options})


@pytest.mark.parametrize(("side", "said"), [(256, 829e9), (128, 168e9)])
def test_the_cost_of_a_window_is_what_is_said(side: int, said: float) -> None:
    with torch.device("meta"):
        network = VJEPA2Encoder(image_size=side, layers=12).eval()  # half of them
        window = torch.rand(1, network.frames, 3, side, side)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.features(window)
    assert counter.get_total_flops() == pytest.approx(said, rel=0.01), (
        "multiply-adds of both halves"
    )


def test_layers_are_unfrozen_one_after_the_other() -> None:
    model = nn.Module()
    model.video_encoder = VJEPA2Encoder(**TINY)
    model.requires_grad_(False)
    groups = LayerGroups(model, Unfreezing(epoch=2))
    for epoch, part in (
        (2, ".layernorm."),
        (3, ".layer.1."),
        (4, ".layer.0."),
        (5, ".embeddings."),
    ):
        before = {name for name, p in model.named_parameters() if p.requires_grad}
        groups.at(epoch)
        newly = {name for name, p in model.named_parameters() if p.requires_grad} - before
        assert newly and all(part in name for name in newly)
    assert all(p.requires_grad for p in model.parameters())


def test_its_weights_are_in_the_catalogue() -> None:
    (spec,) = [spec for spec in synctool_backbones() if spec.name == "vjepa2"]
    (entry,) = synctool_catalogue()
    assert (entry.name, entry.licence) == (spec.weights.catalogue, spec.weights.licence)
    assert set(entry.hub.patterns) == {"config.json", "model.safetensors"}
