"""The encoders ``timesformer`` and ``videomae``: the contract of all encoders, and what is their own.

Published folders are written by transformers' own ``save_pretrained``, in small.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    PreTrainedModel,
    TimesformerConfig,
    TimesformerForVideoClassification,
    TimesformerModel,
    VideoMAEConfig,
    VideoMAEForPreTraining,
    VideoMAEForVideoClassification,
    VideoMAEModel,
)

from synctool.errors import MissingError, UsageError, WeightsError
from synctool.plugins import registry
from synctool.testing import CHECKS
from synctool.training.unfreezing import LayerGroups, Unfreezing
from synctool_plugin_videotransformers.timesformer import TimesformerEncoder
from synctool_plugin_videotransformers.videomae import VideoMAEEncoder
from synctool_plugin_videotransformers.windows import WindowedEncoder

SIZES = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 24, "image_size": 32}
TINY = {**SIZES, "layers": 2}
PUBLISHED = {
    "timesformer, classifier": TimesformerForVideoClassification,
    "timesformer, trunk": TimesformerModel,
    "videomae, pretrained": VideoMAEForPreTraining,
    "videomae, trunk": VideoMAEModel,
    "videomae, classifier": VideoMAEForVideoClassification,
}
BOTH = {"timesformer": TimesformerEncoder, "videomae": VideoMAEEncoder}
both = pytest.mark.parametrize("encoder", BOTH.values(), ids=BOTH)
every_published = pytest.mark.parametrize("kind", PUBLISHED.values(), ids=PUBLISHED)


@pytest.fixture(autouse=True)
def same_noise() -> None:
    torch.manual_seed(5)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*args: object) -> NoReturn:
        raise AssertionError("something reaches for the network")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)


def lively(module: nn.Module) -> nn.Module:
    """A network with nothing at zero, in evaluation mode."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3)
    return module.eval()


def published(kind: type[PreTrainedModel], **changes: object) -> PreTrainedModel:
    """A small network as its publishers have it, head and all."""
    fields = {**SIZES, "num_hidden_layers": 3, "num_labels": 4, **changes}
    if kind in (TimesformerForVideoClassification, TimesformerModel):
        return lively(kind(TimesformerConfig(**fields)))
    small = {
        "decoder_hidden_size": 8,
        "decoder_num_attention_heads": 2,
        "decoder_num_hidden_layers": 1,
        "decoder_intermediate_size": 8,
    }
    pooled = kind is VideoMAEForVideoClassification
    return lively(kind(VideoMAEConfig(**{"use_mean_pooling": pooled, **small, **fields})))


def encoder_for(kind: type[PreTrainedModel], **options: object) -> WindowedEncoder:
    """The encoder that goes with it, with other random weights."""
    options = {**SIZES, "layers": 3, **options}
    if kind in (TimesformerForVideoClassification, TimesformerModel):
        return lively(TimesformerEncoder(**options))
    pooled = kind is VideoMAEForVideoClassification
    return lively(VideoMAEEncoder(**{"use_mean_pooling": pooled, **options}))


def by_frame(network: PreTrainedModel, window: Tensor) -> Tensor:
    """What a published network says about each frame of one window ``[n, 3, S, S]``: ``[n, D]``."""
    tokens = network.base_model(window[None]).last_hidden_state[0]
    patches = 4  # of 16 px in a frame of 32 px
    if isinstance(network.config, TimesformerConfig):
        # After the class token comes one patch after the other, each with all its frames.
        return torch.stack([tokens[1 + f :: len(window)].mean(0) for f in range(len(window))])
    steps = torch.stack([step.mean(0) for step in tokens.split(patches)])
    if network.config.use_mean_pooling:
        steps = network.fc_norm(steps)
    return torch.stack([steps[f // 2] for f in range(len(window))])


def row_by_row(network: PreTrainedModel, x: Tensor) -> Tensor:
    """Each frame from the two windows at whose middle it is, one after the other: ``[D, T]``."""
    n, last = network.config.num_frames, x.shape[1] - 1
    rows = []
    for t in range(x.shape[1]):
        seen = []
        for place in (n // 2 - 1, n // 2):
            frames = [min(max(t - place + k, 0), last) for k in range(n)]
            seen.append(by_frame(network, x.transpose(0, 1)[frames])[place])
        rows.append((seen[0] + seen[1]) / 2)
    return torch.stack(rows, 1)


# ------------------------------------------------------------------------------------- the contract


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", BOTH)
def test_contract(check: Callable, name: str) -> None:
    check(registry.single(name))


MOVED = [check for check in CHECKS if check.__name__ in ("check_shift", "check_centre")]


@pytest.mark.parametrize("check", MOVED, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", BOTH)
def test_contract_with_a_stride(check: Callable, name: str) -> None:
    spec = registry.single(name)
    check(replace(spec, small={**spec.small, "stride": 2}))


@pytest.mark.parametrize(
    ("name", "hop"), [("timesformer", 2), ("timesformer", 4), ("videomae", 3), ("videomae", 7)]
)
def test_contract_with_a_hop(name: str, hop: int) -> None:
    spec = registry.single(name)
    small = {**spec.small, "hop": hop}
    check_centre = next(check for check in MOVED if check.__name__ == "check_centre")
    check_centre(replace(spec, small=small, bounded=False))

    encoder = lively(BOTH[name](**small))
    assert not encoder.bounded and BOTH[name](**TINY).bounded
    reach = encoder.receptive_field_frames // 2
    x = torch.randn(1, 3, 2 * reach + 2 + hop, 32, 32)
    with torch.no_grad():
        before, after = encoder(x), encoder(x[:, :, hop:])
    inside = slice(reach, after.shape[2] - reach)
    torch.testing.assert_close(after[..., inside], before[..., hop:][..., inside])
    changed = x.clone()
    changed[:, :, 0] += 1.0
    with torch.no_grad():
        moved = (encoder(changed) - before).abs().sum((0, 1)) > 0
    assert moved[0] and not moved[reach + 1 :].any()


def test_the_plugin_is_light() -> None:
    code = (
        "import sys, synctool_plugin_videotransformers as p; assert p.synctool_backbones(); "
        "assert not {'torch', 'transformers', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# -------------------------------------------------------------------------------- the dense embedding


@every_published
@pytest.mark.parametrize("frames", [1, 11])
def test_rows_are_the_published_network_at_its_middle(
    kind: type[PreTrainedModel], frames: int, tmp_path: Path
) -> None:
    network, encoder = published(kind), encoder_for(kind)
    x = torch.randn(3, frames, 32, 32)
    with torch.no_grad():
        wanted = row_by_row(network, x)
        assert not torch.allclose(encoder(x[None])[0], wanted, atol=0.1)
        network.save_pretrained(tmp_path)
        encoder.load_published(tmp_path)
        torch.testing.assert_close(encoder(x[None])[0], wanted, rtol=1e-4, atol=1e-5)
    assert not encoder.training


@both
@pytest.mark.parametrize("hop", [1, 3])
def test_windows_fade_into_one_another(encoder: type[WindowedEncoder], hop: int) -> None:
    dense, x = lively(encoder(**TINY, hop=hop)), torch.randn(2, 3, 8, 32, 32)
    n = dense.frames
    with torch.no_grad():
        got = dense(x)
        for t in range(8):
            start = t - t % hop - n // 2  # of the window whose middle frame t is just after
            rows, weights = [], []
            for first in (start, start + hop):
                frames = torch.arange(first, first + n).clamp(0, 7)
                rows.append(by_frame(dense.network, x[1].transpose(0, 1)[frames])[t - first])
                weights.append(1 - abs(t - first - (n - 1) / 2) / hop)
            assert sum(weights) == pytest.approx(1)
            middles = weights[0] * start + weights[1] * (start + hop) + (n - 1) / 2
            assert middles == pytest.approx(t)
            wanted = weights[0] * rows[0] + weights[1] * rows[1]
            torch.testing.assert_close(got[1, :, t], wanted, rtol=1e-4, atol=1e-5)


@both
def test_a_stride_takes_every_other_frame(encoder: type[WindowedEncoder]) -> None:
    near, far = lively(encoder(**TINY)), encoder(**TINY, stride=2).eval()
    far.load_state_dict(near.state_dict())
    x = torch.randn(2, 3, 13, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(far(x)[..., ::2], near(x[:, :, ::2]), rtol=1e-4, atol=1e-5)
        assert not torch.allclose(far(x), near(x), atol=1e-2)


@both
def test_many_clips_and_windows_at_once(encoder: type[WindowedEncoder]) -> None:
    network, x = lively(encoder(**TINY)), torch.randn(9, 3, 10, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(network(x)[8], network(x[8:])[0], rtol=1e-4, atol=1e-5)


@both
@pytest.mark.parametrize("size", [(32, 64), (112, 112), (40, 33)])
def test_frames_are_scaled(encoder: type[WindowedEncoder], size: tuple[int, int]) -> None:
    network, x = lively(encoder(**TINY)), torch.randn(1, 3, 2, *size)
    scaled = F.interpolate(x[0].transpose(0, 1), (32, 32), mode="bilinear", antialias=True)
    with torch.no_grad():
        got, wanted = network(x), network(scaled.transpose(0, 1)[None])
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)


@both
def test_checkpointing_changes_no_gradient(
    encoder: type[WindowedEncoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = lively(encoder(**TINY)).train()
    saving = encoder(**TINY, gradient_checkpointing=True).train()
    saving.load_state_dict(plain.state_dict())
    x = torch.randn(1, 3, 3, 32, 32)
    for network, times in ((plain, 1), (saving, 2)):
        seen, features = [], network.features
        monkeypatch.setattr(network, "features", lambda w: (seen.append(w), features(w))[1])  # noqa: B023
        network(x).square().mean().backward()
        assert len(seen) == times, "what is not kept is computed again"
    for (name, a), b in zip(plain.named_parameters(), saving.parameters()):
        assert a.grad.any(), name
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("encoder", "options", "said"),
    [
        (TimesformerEncoder, {"hop": 5}, "1 to 4"),
        (TimesformerEncoder, {"hop": 0}, "1 to 4"),
        (TimesformerEncoder, {"stride": 0}, "stride"),
        (TimesformerEncoder, {"num_frames": 7}, "num_frames"),
        (TimesformerEncoder, {"num_attention_heads": 3}, "num_attention_heads"),
        (VideoMAEEncoder, {"hop": 2}, "odd"),
        (VideoMAEEncoder, {"hop": 9}, "1 to 8"),
        (VideoMAEEncoder, {"layers": 0}, "layers"),
        (VideoMAEEncoder, {"image_size": 33}, "patch_size"),
    ],
)
def test_what_does_not_go_together_is_refused(
    encoder: type[WindowedEncoder], options: dict, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        encoder(**{**TINY, **options})


@pytest.mark.parametrize(
    ("encoder", "said"), [(TimesformerEncoder, 196e9), (VideoMAEEncoder, 180e9)], ids=BOTH
)
def test_the_cost_of_a_window_is_what_is_said(encoder: type[WindowedEncoder], said: float) -> None:
    with torch.device("meta"):
        network = encoder().eval()
        window = torch.rand(1, network.frames, 3, 224, 224)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.features(window)
    assert counter.get_total_flops() / 2 == pytest.approx(said, rel=0.005), "multiply-adds"


# ------------------------------------------------------------------------------ the published weights


@every_published
def test_published_folders_are_read_with_any_file(
    kind: type[PreTrainedModel], tmp_path: Path
) -> None:
    network, encoder = published(kind), encoder_for(kind)
    network.save_pretrained(tmp_path)
    torch.save(load_file(tmp_path / "model.safetensors"), tmp_path / "pytorch_model.bin")
    (tmp_path / "model.safetensors").unlink()
    encoder.load_published(tmp_path)
    wanted = network.state_dict()
    prefix = "" if hasattr(encoder.network, "classifier") else network.base_model_prefix + "."
    for name, tensor in encoder.network.state_dict().items():
        full = prefix + name if network.base_model is not network else name
        assert torch.equal(tensor, wanted[full]), name


def test_names_in_the_published_videomae(tmp_path: Path) -> None:
    """Its attention keeps the biases of queries and values apart from their weights."""
    published(VideoMAEForPreTraining).save_pretrained(tmp_path)
    names = load_file(tmp_path / "model.safetensors").keys()
    assert "videomae.encoder.layer.0.attention.attention.q_bias" in names
    encoder = encoder_for(VideoMAEForPreTraining)
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    encoder.load_published(tmp_path)
    assert not any(torch.equal(tensor, before[n]) for n, tensor in encoder.state_dict().items())


@both
def test_the_first_layers_can_be_kept(encoder: type[WindowedEncoder], tmp_path: Path) -> None:
    kind = TimesformerModel if encoder is TimesformerEncoder else VideoMAEModel
    network, short = published(kind), encoder_for(kind, layers=2)
    network.save_pretrained(tmp_path)
    short.load_published(tmp_path)
    assert len(short.network.encoder.layer) == 2
    for name, tensor in short.network.encoder.layer.state_dict().items():
        assert torch.equal(tensor, network.encoder.layer.state_dict()[name])
    with pytest.raises(WeightsError, match=r"missing: encoder\.layer\.3\."):
        encoder_for(kind, layers=4).load_published(tmp_path)


@every_published
def test_a_missing_part_is_named(kind: type[PreTrainedModel], tmp_path: Path) -> None:
    published(kind).save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    state = load_file(path)
    gone = next(name for name in state if name.endswith("layer.1.layernorm_after.weight"))
    if "decoder" in gone:  # a decoder is of no concern
        gone = "videomae.encoder.layer.1.layernorm_after.weight"
    kept = {name: tensor for name, tensor in state.items() if name != gone}
    save_file(kept, path, metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=r"missing: .*layer\.1\.layernorm_after\.weight"):
        encoder_for(kind).load_published(tmp_path)


def test_another_shape_is_named(tmp_path: Path) -> None:
    published(VideoMAEForPreTraining).save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    state = load_file(path)
    state["videomae.layernorm.weight"] = torch.ones(17)
    save_file(state, path, metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=r"other shape: layernorm\.weight"):
        encoder_for(VideoMAEForPreTraining).load_published(tmp_path)


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        (TimesformerModel, {"hidden_size": 32}, "hidden_size is 16, not 32"),
        (TimesformerModel, {"num_frames": 16}, "num_frames is 8, not 16"),
        (TimesformerModel, {"patch_size": 8}, "patch_size is 16, not 8"),
        (VideoMAEModel, {"image_size": 64}, "image_size is 32, not 64"),
        (VideoMAEModel, {"num_attention_heads": 4}, "num_attention_heads is 2, not 4"),
        (VideoMAEModel, {"use_mean_pooling": True}, "use_mean_pooling is False, not True"),
        (VideoMAEForVideoClassification, {"use_mean_pooling": False}, "use_mean_pooling is True"),
    ],
)
def test_other_sizes_are_named(
    kind: type[PreTrainedModel], options: dict, said: str, tmp_path: Path
) -> None:
    published(kind).save_pretrained(tmp_path)
    with pytest.raises(WeightsError, match=said):
        encoder_for(kind, **options).load_published(tmp_path)


@pytest.mark.parametrize(
    ("there", "asked"), [(TimesformerModel, VideoMAEModel), (VideoMAEModel, TimesformerModel)]
)
def test_another_network_is_refused(there: type, asked: type, tmp_path: Path) -> None:
    published(there).save_pretrained(tmp_path)
    with pytest.raises(WeightsError, match="Choose the backbone that it belongs to"):
        encoder_for(asked).load_published(tmp_path)


@both
def test_a_folder_without_a_network(encoder: type[WindowedEncoder], tmp_path: Path) -> None:
    network = encoder(**TINY)
    with pytest.raises(MissingError):
        network.load_published(tmp_path / "nowhere")
    with pytest.raises(MissingError):
        network.load_published(tmp_path)
    config = json.loads(network.network.config.to_json_string())
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises((MissingError, WeightsError)):
        network.load_published(tmp_path)


class Trap:
    """Something that writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.write_text, (self.path, "caught")


@both
def test_nothing_is_ever_run(encoder: type[WindowedEncoder], tmp_path: Path) -> None:
    kind = TimesformerModel if encoder is TimesformerEncoder else VideoMAEModel
    published(kind).save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    torch.save({**state, "extra": Trap(tmp_path / "sprung")}, tmp_path / "pytorch_model.bin")
    with pytest.raises(WeightsError):
        encoder_for(kind).load_published(tmp_path)
    assert not (tmp_path / "sprung").exists()


# ---------------------------------------------------------------------------------- in steps, from the top


@every_published
def test_layers_are_unfrozen_one_after_the_other(kind: type[PreTrainedModel]) -> None:
    model = nn.Module()
    model.video_encoder = encoder_for(kind)
    model.requires_grad_(False)
    groups = LayerGroups(model, Unfreezing(epoch=2, layer_decay=0.5))
    layers = model.video_encoder.network.base_model.encoder.layer
    trained: list[set[str]] = []
    for epoch in range(1, 8):
        groups.at(epoch)
        trained.append({n for n, p in model.named_parameters() if p.requires_grad})
    assert not trained[0]
    norm = {n.removeprefix("video_encoder.network.") for n in trained[1]}
    assert norm in ({"layernorm.weight", "layernorm.bias"}, {"fc_norm.weight", "fc_norm.bias"})
    for depth in (1, 2, 3):
        newly = trained[1 + depth] - trained[depth]
        assert newly and all(f".layer.{3 - depth}." in name for name in newly)
        assert groups.scale(next(layers[3 - depth].parameters())) == 0.5**depth
    assert trained[5] - trained[4] and all(".embeddings." in n for n in trained[5] - trained[4])
    assert trained[6] == trained[5] == {name for name, _ in model.named_parameters()}
