"""SlowFast and X3D: the contract, the published values, the published files."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from synctool.errors import WeightsError
from synctool.plugins import registry
from synctool.plugins.specs import BackboneSpec
from synctool.testing import CHECKS, check_options
from torch import Tensor, nn

from synctool_plugin_slowfast import slowfast, synctool_backbones, x3d

SPECS = {spec.full_name: spec for spec in synctool_backbones()}
FACTORIES = {
    "slowfast": slowfast.slowfast_r50,
    "slowfast.r101": slowfast.slowfast_r101,
    "x3d": x3d.x3d_s,
    "x3d.xs": x3d.x3d_xs,
    "x3d.m": x3d.x3d_m,
}
ALPHA = 4
every_network = pytest.mark.parametrize("name", SPECS)
one_of_each = pytest.mark.parametrize("name", ["slowfast", "x3d"])


@pytest.fixture(autouse=True)
def same_noise() -> None:
    torch.manual_seed(11)


def livened(network: nn.Module) -> nn.Module:
    """Normalisations as if they had seen data; PyTorchVideo begins some with weights of zero."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.0)
    return network.eval()


def published(name: str, **options: object) -> nn.Module:
    """The network as PyTorchVideo builds it."""
    if name.startswith("slowfast"):
        return livened(getattr(slowfast.hub, f"slowfast_{SPECS[name].tag}")(**options))
    return livened(getattr(x3d.hub, f"x3d_{SPECS[name].tag}")(**options))


def taken_over(ours: nn.Module, whole: nn.Module) -> nn.Module:
    """An encoder with the weights of a published network of the same width."""
    state = whole.state_dict()
    ours.network.load_state_dict({key: state[key] for key in ours.network.state_dict()})
    return ours.eval()


def close(got: Tensor, wanted: Tensor) -> None:
    """Equal up to rounding, and not for want of anything to compare."""
    assert wanted.numel() > 0
    assert wanted.std() > 1e-3
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4 * float(wanted.abs().max()))


# ------------------------------------------------------------------------------------- the contract


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", ["slowfast", "slowfast.r101", "x3d"])
def test_contract(name: str, check) -> None:
    check(SPECS[name])


def test_sizes_of_x3d_differ_in_crops_and_files_alone() -> None:
    usual = SPECS["x3d"]
    for name in ("x3d.xs", "x3d.m"):
        check_options(SPECS[name])
        different = {
            field.name
            for field in fields(BackboneSpec)
            if getattr(SPECS[name], field.name) != getattr(usual, field.name)
        }
        assert different - {"video"} == {"tag", "default", "factory", "summary", "weights"}
        with torch.device("meta"):
            shapes = [
                {k: v.shape for k, v in FACTORIES[n]().state_dict().items()} for n in (name, "x3d")
            ]
        assert shapes[0] == shapes[1]


@every_network
def test_the_plugin_is_found(name: str) -> None:
    assert registry.single(name) == SPECS[name]


def test_listing_the_plugin_loads_nothing_heavy() -> None:
    code = (
        "import sys, synctool_plugin_slowfast as p; assert len(p.synctool_backbones()) == 5;"
        "print([m for m in ('torch', 'pytorchvideo', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# -------------------------------------------------------------------- the values of the publishers


@pytest.mark.parametrize(
    ("name", "stages"), [("slowfast", 2), ("slowfast", 4), ("slowfast.r101", 3)]
)
def test_both_paths_are_those_of_the_published_network(name: str, stages: int) -> None:
    whole = published(name, stem_dim_outs=(16, 2))
    ours = taken_over(FACTORIES[name](stages=stages, width=16), whole)
    given = torch.randn(1, 3, 16, 32, 32)
    paths = [given[:, :, ::ALPHA], given]
    with torch.no_grad():
        rows = ours(given)
        for block in whole.blocks[:stages]:
            paths = block(paths)
        last = whole.blocks[stages].multipathway_blocks
        slow, fast = (path(x).mean((3, 4)) for path, x in zip(last, paths))
    assert rows.shape == (1, ours.embedding_size, 16)
    close(rows[:, : slow.shape[1], ::ALPHA], slow)
    close(rows[:, slow.shape[1] :], fast)


def test_slow_rows_of_every_phase_are_those_of_the_published_network() -> None:
    whole = published("slowfast", stem_dim_outs=(16, 2))
    ours = taken_over(slowfast.slowfast_r50(stages=2, width=16), whole)
    given = torch.randn(1, 3, 40, 32, 32)
    reach = ours.receptive_field_frames // 2
    for phase in range(ALPHA):
        later = given[:, :, phase:]
        with torch.no_grad():
            paths = whole.blocks[1](whole.blocks[0]([later[:, :, ::ALPHA], later]))
            slow = whole.blocks[2].multipathway_blocks[0](paths[0]).mean((3, 4))
            rows = ours(given)[:, : slow.shape[1], phase::ALPHA]
        inside = slice(reach // ALPHA + 1, -(reach // ALPHA + 1))
        close(rows[..., inside], slow[..., inside])


@pytest.mark.parametrize("stages", [1, 3, 4])
def test_x3d_is_the_published_network(stages: int) -> None:
    whole = published("x3d")
    ours = taken_over(x3d.x3d_s(stages=stages), whole)
    given = torch.randn(2, 3, 7, 32, 32)
    with torch.no_grad():
        wanted = given
        for block in whole.blocks[: stages + 1]:
            wanted = block(wanted)
        if stages == 4:
            head = whole.blocks[5].pool
            wanted = head.pre_act(head.pre_norm(head.pre_conv(wanted)))
        rows = ours(given)
    assert rows.shape == (2, ours.embedding_size, 7)
    close(rows, wanted.mean((3, 4)))


def test_the_published_classifier_understands_the_rows_of_x3d() -> None:
    whole = published("x3d.xs")
    ours = taken_over(x3d.x3d_xs(), whole)
    given = torch.randn(1, 3, 4, 160, 160)  # what it was trained on
    head = whole.blocks[5]
    with torch.no_grad():
        pooled = ours(given).mean(2)[..., None, None, None]
        scores = head.proj(head.pool.post_act(head.pool.post_conv(pooled)).flatten(1))
        close(scores.log_softmax(1), whole(given).log())


# --------------------------------------------------------------------------------- how far they look


def influence(network: nn.Module, row: int, frames: int) -> tuple[int, int]:
    """First and last frame that a row depends on, if nothing is rectified away."""
    for parent in list(network.modules()):
        for child, module in parent.named_children():
            if isinstance(module, nn.ReLU):
                setattr(parent, child, nn.Identity())
    given = torch.randn(1, 3, frames, 8, 8, requires_grad=True, dtype=torch.float64)
    features = network.double()(given)[0, :, row]  # the smallest influences are none in 32 bits
    features.backward(torch.randn_like(features))
    seen = given.grad.abs().sum((0, 1, 3, 4)).nonzero().flatten()
    return int(seen[0]), int(seen[-1])


@pytest.mark.parametrize(
    ("name", "stages", "frames"),
    [("slowfast", 1, 11), ("slowfast", 2, 19), ("slowfast", 4, 97), ("slowfast.r101", 2, 19)],
)
def test_rows_of_slowfast_look_as_far_as_they_say(name: str, stages: int, frames: int) -> None:
    ours = livened(FACTORIES[name](stages=stages, width=16))
    assert ours.receptive_field_frames == frames
    row = frames // 2 + 1
    assert influence(ours, row, 2 * row + 1) == (row - frames // 2, row + frames // 2)


@pytest.mark.parametrize(("stages", "frames"), [(1, 11), (4, 57)])
def test_rows_of_x3d_look_as_far_as_they_say_but_for_means_over_all(
    stages: int, frames: int
) -> None:
    ours = livened(x3d.x3d_s(stages=stages))
    assert ours.receptive_field_frames == frames
    row = frames // 2 + 1
    assert influence(ours, row, 2 * row + 1) == (0, 2 * row)
    for module in ours.modules():
        if type(module).__name__ == "SqueezeExcitation":
            module.forward = lambda x: x
    assert influence(ours, row, 2 * row + 1) == (1, 2 * row - 1)


# --------------------------------------------------------------------------------------- their files


def first_stage(whole: nn.Module) -> dict[str, Tensor]:
    """What the file has for stem, first stage and the end."""
    begins = ("blocks.0.", "blocks.1.", "blocks.5.", "blocks.6.")
    return {k: v for k, v in whole.state_dict().items() if k.startswith(begins)}


def write(path: Path, state: dict[str, Tensor]) -> Path:
    """A file as PyTorchVideo's."""
    torch.save({"model_state": state}, path)
    return path


@every_network
def test_pytorchvideo_says_where_weights_are(name: str) -> None:
    spec: BackboneSpec = SPECS[name]
    (entry,) = [e for e in registry.catalogue.all() if e.name == spec.weights.catalogue]
    (file,) = entry.files
    hub = slowfast.hub if spec.name == "slowfast" else x3d.hub
    assert file.urls[0] == hub.checkpoint_paths[f"{spec.name}_{spec.tag}"]
    assert spec.weights.file_name == file.path == Path(file.urls[0]).name


@pytest.mark.parametrize(("name", "stages"), [("slowfast", 2), ("x3d.m", 4)])
def test_published_files_fit(name: str, stages: int, tmp_path: Path) -> None:
    whole = published(name)
    file = write(tmp_path / SPECS[name].weights.file_name, whole.state_dict())
    ours = FACTORIES[name](stages=stages)
    ours.load_published(file)
    state = whole.state_dict()
    assert len(ours.network.state_dict()) > 50
    assert all(torch.equal(value, state[key]) for key, value in ours.network.state_dict().items())


@one_of_each
def test_a_part_of_a_file_is_refused_by_the_names_of_its_tensors(name: str, tmp_path: Path) -> None:
    state = first_stage(published(name))
    lost = next(k for k in state if k.startswith("blocks.1.") and k.endswith("conv_a.weight"))
    shape = next(iter(state))
    ours = FACTORIES[name](stages=1)
    ours.load_published(write(tmp_path / "whole.pyth", state))
    with pytest.raises(WeightsError, match=f"missing: {lost}"):
        ours.load_published(
            write(tmp_path / "part.pyth", {k: v for k, v in state.items() if k != lost})
        )
    with pytest.raises(WeightsError, match=f"other shape: {shape}"):
        ours.load_published(write(tmp_path / "cut.pyth", {**state, shape: state[shape][:1]}))
    with pytest.raises(WeightsError, match=r"not its own: blocks\.0\.more"):
        ours.load_published(
            write(tmp_path / "more.pyth", {**state, "blocks.0.more": torch.ones(1)})
        )


def test_the_file_of_another_network_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "other.pyth", first_stage(published("x3d")))
    with pytest.raises(WeightsError, match="not the published file of slowfast_r50"):
        slowfast.slowfast_r50(stages=1).load_published(file)


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.folder),)


@one_of_each
def test_a_file_that_would_run_code_is_refused(name: str, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    torch.save({"model_state": Payload(trap)}, tmp_path / "bad.pyth")
    with pytest.raises(WeightsError, match="cannot be read as weights"):
        FACTORIES[name](stages=1).load_published(tmp_path / "bad.pyth")
    assert not trap.exists()
    torch.load(tmp_path / "bad.pyth", weights_only=False)
    assert trap.exists(), "the trap works"


def test_slowfast_of_another_width_has_no_published_weights(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="width=64, not 16"):
        slowfast.slowfast_r50(stages=1, width=16).load_published(tmp_path / "any.pyth")


@every_network
def test_other_numbers_of_stages_are_refused(name: str) -> None:
    for stages in (0, 5, 1.5):
        with pytest.raises(ValueError, match="stages is 1 to 4"):
            FACTORIES[name](stages=stages)


@pytest.mark.parametrize("width", [0, 4, 12, -8])
def test_other_widths_are_refused(width: int) -> None:
    with pytest.raises(ValueError, match="width is a multiple of 8"):
        slowfast.slowfast_r50(width=width)
