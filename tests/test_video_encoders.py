"""Video encoders made of published networks: their values, their files, how far they look."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import torch
from pytorchvideo.models.hub import resnet as pytorchvideo_resnet
from torch import Tensor, nn
from torchvision.models import video as torchvision_video

from synctool.backbones import i3d, resnet3d
from synctool.errors import MissingError, WeightsError
from synctool.plugins import registry
from synctool.plugins.specs import BackboneSpec

TORCHVISION = {
    "r3d_18": torchvision_video.R3D_18_Weights.KINETICS400_V1,
    "mc3_18": torchvision_video.MC3_18_Weights.KINETICS400_V1,
    "r2plus1d_18": torchvision_video.R2Plus1D_18_Weights.KINETICS400_V1,
}
SPECS = {
    **{tag: registry.backbones.get(f"resnet3d.{tag}") for tag in TORCHVISION},
    "i3d": registry.backbones.get("i3d"),
}
EVERY = ["r3d_18", "mc3_18", "r2plus1d_18", "i3d"]
every_network = pytest.mark.parametrize("name", EVERY)
each_publisher = pytest.mark.parametrize("name", ["r3d_18", "i3d"])


@pytest.fixture(autouse=True)
def same_noise() -> None:
    torch.manual_seed(5)


def encoder(name: str, **options: int) -> nn.Module:
    """An encoder in evaluation mode."""
    factory = i3d.i3d if name == "i3d" else getattr(resnet3d, name)
    return livened(factory(**options))


def livened(network: nn.Module) -> nn.Module:
    """Normalisations as if they had seen data; PyTorchVideo begins some with weights of zero."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.0)
    return network.eval()


@cache
def published(name: str) -> nn.Module:
    """The network of the publisher's package."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        if name == "i3d":
            return livened(pytorchvideo_resnet.i3d_r50(pretrained=False))
        return livened(getattr(torchvision_video, name)(weights=None))


def stage_outputs(name: str, given: Tensor) -> list[Tensor]:
    """What the published network gives after each of its stages."""
    network = published(name)
    if name == "i3d":
        ends, parts = (1, 3, 4, 5), list(network.blocks[:6])
    else:
        ends = (1, 2, 3, 4)
        parts = [network.stem, network.layer1, network.layer2, network.layer3, network.layer4]
    found = []
    for part in parts:
        given = part(given)
        found.append(given)
    return [found[end] for end in ends]


def write(path: Path, name: str, state: dict[str, Tensor]) -> Path:
    """A file as the publisher's: tensors at the top, or in ``model_state``."""
    torch.save({"model_state": state} if name == "i3d" else state, path)
    return path


@pytest.fixture(scope="module")
def file_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Path]]:
    """The published files, with random values; they are large, and removed in the end."""
    folder = tmp_path_factory.mktemp("published")

    def file(name: str) -> Path:
        path = folder / SPECS[name].weights.file_name
        return path if path.exists() else write(path, name, published(name).state_dict())

    yield file
    shutil.rmtree(folder)


def influence(network: nn.Module, row: int, frames: int) -> tuple[int, int]:
    """First and last frame that a row depends on."""
    given = torch.randn(1, 3, frames, 8, 8, requires_grad=True)
    features = network(given)[0, :, row]
    features.backward(torch.randn_like(features))
    seen = given.grad.abs().sum((0, 1, 3, 4)).nonzero().flatten()
    return int(seen[0]), int(seen[-1])


# -------------------------------------------------------------------- the values of the publishers


@pytest.mark.parametrize(
    ("name", "stages"), [("r3d_18", 2), ("i3d", 2), *((name, 4) for name in EVERY)]
)
def test_rows_are_those_of_the_published_network(
    name: str, stages: int, file_of: Callable[[str], Path]
) -> None:
    ours = encoder(name, stages=stages)
    ours.load_published(file_of(name))
    given = torch.randn(1, 3, 12, 16, 16)
    with torch.no_grad():
        rows = ours(given)
        wanted = stage_outputs(name, given)[stages - 1].mean((3, 4))
    assert rows.shape == (1, ours.embedding_size, 12)
    assert wanted.std() > 1e-3
    if name == "i3d":  # pairs of frames 2 j and 2 j + 1, each in the row of its second frame
        first, step = 1, 2
    else:
        first, step = 0, 1 if name == "mc3_18" else 2 ** (stages - 1)
    torch.testing.assert_close(rows[:, :, first::step], wanted, rtol=1e-4, atol=1e-4)


def test_the_published_classifier_understands_the_rows(file_of: Callable[[str], Path]) -> None:
    ours, whole = encoder("r3d_18"), published("r3d_18")
    ours.load_published(file_of("r3d_18"))
    given = torch.randn(1, 3, 12, 16, 16)
    with torch.no_grad():
        rows = ours(given)[:, :, ::8]
        wanted = whole(given)
        torch.testing.assert_close(whole.fc(rows.mean(2)), wanted, rtol=1e-4, atol=1e-4)
    assert wanted.std() > 1e-3


@every_network
def test_pretrained_is_all_of_it_from_input_to_output(name: str) -> None:
    ours = encoder(name, stages=2)
    parts = list(ours.pretrained.children())
    assert {id(p) for part in parts for p in part.parameters()} == {
        id(p) for p in ours.parameters()
    }
    called: list[nn.Module] = []
    for part in parts:
        part.register_forward_hook(lambda module, *_: called.append(module))
    ours(torch.randn(1, 3, 2, 16, 16))
    assert called == parts


# ---------------------------------------------------------------------------------- their files


@pytest.mark.parametrize(("tag", "weights"), TORCHVISION.items())
def test_torchvision_says_where_weights_are_and_what_they_expect(tag: str, weights) -> None:
    spec = SPECS[tag]
    (entry,) = [e for e in registry.catalogue.all() if e.name == spec.weights.catalogue]
    (file,) = entry.files
    assert file.urls[0] == weights.url
    assert spec.weights.file_name == file.path == Path(weights.url).name
    assert file.sha256.startswith(file.path.rpartition("-")[2].removesuffix(".pth"))
    expected = weights.transforms()
    assert spec.video.mean == tuple(expected.mean)
    assert spec.video.std == tuple(expected.std)
    assert [spec.video.size_px] * 2 == list(expected.crop_size)
    assert spec.video.colour == "rgb"
    assert spec.video.value_range == (0.0, 1.0)


def test_pytorchvideo_says_where_weights_of_i3d_are() -> None:
    spec = SPECS["i3d"]
    (entry,) = [e for e in registry.catalogue.all() if e.name == spec.weights.catalogue]
    (file,) = entry.files
    assert file.urls[0] == pytorchvideo_resnet.checkpoint_paths["i3d_r50"]
    assert spec.weights.file_name == file.path == Path(file.urls[0]).name


def first_stage(name: str) -> dict[str, Tensor]:
    """What the file has for stem, first stage and classifier."""
    begins = ("stem.", "layer1.", "fc.", "blocks.0.", "blocks.1.", "blocks.6.")
    return {k: v for k, v in published(name).state_dict().items() if k.startswith(begins)}


@each_publisher
def test_a_part_of_a_file_is_refused_by_the_names_of_its_tensors(name: str, tmp_path: Path) -> None:
    state = first_stage(name)
    lost = (
        "blocks.1.res_blocks.0.branch2.conv_a.weight" if name == "i3d" else "layer1.0.conv1.1.bias"
    )
    del state[lost]
    ours = encoder(name, stages=1)
    before = {key: value.clone() for key, value in ours.state_dict().items()}
    with pytest.raises(WeightsError, match=f"missing: {lost}"):
        ours.load_published(write(tmp_path / "part.pth", name, state))
    assert all(torch.equal(value, before[key]) for key, value in ours.state_dict().items())


@each_publisher
def test_a_tensor_of_another_shape_is_refused(name: str, tmp_path: Path) -> None:
    state = first_stage(name)
    key = next(iter(state))
    state[key] = state[key][:2]
    with pytest.raises(WeightsError, match=f"other shape: {key}"):
        encoder(name, stages=1).load_published(write(tmp_path / "cut.pth", name, state))


@pytest.mark.parametrize(
    ("name", "other"), [("r3d_18", "mc3_18"), ("r3d_18", "r2plus1d_18"), ("i3d", "r3d_18")]
)
def test_the_file_of_another_network_is_refused(
    name: str, other: str, file_of: Callable[[str], Path]
) -> None:
    with pytest.raises(WeightsError, match=r"not the published file of (r3d_18|i3d_r50)"):
        encoder(name).load_published(file_of(other))


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.folder),)


@each_publisher
def test_a_file_that_would_run_code_is_refused(name: str, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    torch.save({"model_state": Payload(trap)}, tmp_path / "bad.pth")
    with pytest.raises(WeightsError, match="cannot be read as weights"):
        encoder(name, stages=1).load_published(tmp_path / "bad.pth")
    assert not trap.exists()
    torch.load(tmp_path / "bad.pth", weights_only=False)
    assert trap.exists(), "the trap works"


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no such weights"):
        encoder("i3d", stages=1).load_published(tmp_path / "none.pyth")


def test_i3d_of_another_width_has_no_published_weights(file_of: Callable[[str], Path]) -> None:
    with pytest.raises(WeightsError, match="width=64, not 8"):
        encoder("i3d", stages=1, width=8).load_published(file_of("i3d"))


# --------------------------------------------------------------------------------- how far they look

FRAMES = {
    "r3d_18": (11, 25, 53, 109),
    "mc3_18": (11, 11, 11, 11),
    "r2plus1d_18": (11, 25, 53, 109),
    "i3d": (11, 21, 33, 37),
}
"""With one stage, two, three and four."""


@pytest.mark.parametrize(
    ("name", "stages"),
    [("r3d_18", 1), ("r3d_18", 2), ("mc3_18", 2), ("r2plus1d_18", 2), ("i3d", 1), ("i3d", 4)],
)
def test_rows_look_as_far_as_they_say(name: str, stages: int) -> None:
    ours = encoder(name, stages=stages, **({"width": 8} if name == "i3d" else {}))
    reach = ours.receptive_field_frames // 2
    row = reach + 1
    first, last = influence(ours, row, 2 * row + 1)
    assert row - first == reach
    pairs = name == "i3d" and stages > 1
    assert last - row == reach - pairs, "but for a pool over pairs as far ahead as back"


@every_network
def test_sizes_follow_the_number_of_stages(name: str) -> None:
    spec: BackboneSpec = SPECS[name]
    for stages, frames in enumerate(FRAMES[name], 1):
        with torch.device("meta"):
            ours = encoder(name, stages=stages)
            rows = ours(torch.empty(2, 3, 7, spec.video.size_px, spec.video.size_px))
        assert ours.receptive_field_frames == frames
        assert rows.shape == (2, ours.embedding_size, 7)
        assert ours.embedding_size == spec.embedding_size // 2 ** (4 - stages)
    assert spec.receptive_field_frames == frames


@every_network
def test_other_numbers_of_stages_are_refused(name: str) -> None:
    for stages in (0, 5, 2.5, -1):
        with pytest.raises(ValueError, match="stages is 1 to 4"):
            encoder(name, stages=stages)
