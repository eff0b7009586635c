"""I3D with two streams: optical flow as an input, the values and files of pytorch-i3d."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from synctool.backbones.i3d_two_stream import TwoStreamI3D, i3d_two_stream
from synctool.errors import MissingError, WeightsError
from synctool.features.inputs import as_input, overlapping
from synctool.features.optical_flow import flow_of
from synctool.features.stored_crops import fitted
from synctool.features.video_input import as_batch, prepared
from synctool.networks.names import model_spec
from synctool.plugins import registry
from synctool.plugins.specs import VideoInput
from synctool.testing import check_centre
from synctool.weights.inputs import video_input

SPEC = registry.backbones.get("i3d.two-stream")
_RNG = np.random.default_rng(3)


@pytest.fixture(autouse=True)
def same_noise() -> None:
    torch.manual_seed(5)


# ----------------------------------------------------------------------------------------------- the flow


def drifting(frames: int, *, right: float = 0.0, down: float = 0.0, side: int = 96) -> np.ndarray:
    """A smooth pattern that moves by so many pixels a frame: uint8 ``[T, side, side]``."""
    y, x = np.mgrid[:side, :side].astype(np.float64)
    images = []
    for t in range(frames):
        u, v = x - right * t, y - down * t
        images.append(128 + 50 * np.sin(u / 5) * np.cos(v / 7) + 40 * np.sin((u + 2 * v) / 9))
    return np.stack(images).astype(np.uint8)


@pytest.mark.parametrize(("right", "down"), [(2.0, 0.0), (-1.5, 1.0), (0.0, 3.0)])
def test_flow_is_the_motion_of_its_frame(right: float, down: float) -> None:
    flow = 20 * flow_of(drifting(5, right=right, down=down))
    assert flow.shape == (2, 5, 96, 96) and flow.dtype == np.float32
    inside = flow[:, :, 20:-20, 20:-20]
    for t in range(5):  # at the ends too, where it is that of a pair
        assert np.median(inside[0, t]) == pytest.approx(right, abs=0.2)
        assert np.median(inside[1, t]) == pytest.approx(down, abs=0.2)


def test_flow_is_centred_and_sees_three_frames() -> None:
    """Motion that begins at frame 4 is half at frame 4: it has moved in one of the two steps around it."""
    moving = drifting(5, right=2.0)
    clip = np.concatenate([np.repeat(moving[:1], 4, 0), moving])
    seen = [np.median(20 * flow_of(clip)[0, t, 20:-20, 20:-20]) for t in range(9)]
    assert seen[:4] == pytest.approx([0] * 4, abs=0.05)
    assert seen[4] == pytest.approx(1.0, abs=0.2)
    assert seen[5:8] == pytest.approx([2.0] * 3, abs=0.2)


def test_flow_of_little() -> None:
    assert not flow_of(drifting(1)).any()
    assert not flow_of(drifting(3)).any()
    assert np.abs(flow_of(_RNG.integers(0, 255, (3, 32, 32), np.uint8))).max() <= 1.0
    assert flow_of(_RNG.integers(0, 255, (2, 16, 16), np.uint8)).shape == (2, 2, 16, 16)


@pytest.mark.parametrize("colour", ["rgb", "bgr"])
def test_training_and_measuring_are_given_the_same(colour: str) -> None:
    wanted = VideoInput(
        crop="face", size_px=40, colour=colour, value_range=(-1.0, 1.0), flow="dis",
        mean=(0.1, 0.2, 0.3), std=(0.5, 0.5, 0.5),
    )  # fmt: skip
    crops = _RNG.integers(0, 255, (4, 40, 40, 3), np.uint8)
    stored = np.ascontiguousarray(crops if colour == "rgb" else crops[..., ::-1])
    measured, trained = as_input(crops, wanted), prepared(as_batch(stored), wanted)
    assert measured.shape == (1, 5, 4, 40, 40) == tuple(trained.shape)
    np.testing.assert_allclose(trained.numpy(), measured, atol=1e-5)
    plain = as_input(crops, replace(wanted, flow=None))
    np.testing.assert_array_equal(measured[:, :3], plain)
    assert measured[:, 3:].any() and plain.shape[1] == 3
    grey = replace(wanted, colour="gray")
    assert as_input(crops[..., 0], grey).shape == (1, 5, 4, 40, 40)


def test_pieces_of_a_video_have_the_flow_of_the_whole() -> None:
    """The receptive field counts the frames that the flow sees."""
    spec = replace(model_spec("i3d.two-stream+fcn-mel"), receptive_field_frames=2 * 3 + 1)
    crops = np.stack([drifting(40, right=1.0, side=32)] * 3, -1)
    whole = as_input(crops, spec.video)
    for given, kept in overlapping(40, side_px=224 * 8, spec=spec):
        piece = as_input(crops[given], spec.video)
        rows = range(*kept.indices(piece.shape[2]))
        first = given.start
        for row in (rows[0], rows[-1]):
            near = slice(max(row - 2, 0), row + 3)  # all that a network of reach 2 looks at
            at = slice(first + near.start, first + min(near.stop, piece.shape[2]))
            if at.stop < 40 or first + piece.shape[2] >= 40:
                np.testing.assert_array_equal(piece[:, :, near], whole[:, :, at])


def test_flow_of_grey_crops() -> None:
    """Processed videos without colour: the frame three times, and its flow."""
    stored = SimpleNamespace(crop="face", size_px=64, colour="gray")
    wanted = fitted(stored, SPEC.video, any_crop=True)
    assert (wanted.colour, wanted.image_channels, wanted.channels) == ("gray", 3, 5)
    given = as_input(drifting(3, right=1.0, side=64), wanted)
    assert given.shape == (1, 5, 3, 64, 64) and given[:, 3].any()
    np.testing.assert_array_equal(given[:, 0], given[:, 2])


def test_weights_remember_the_flow() -> None:
    facts = {"crop": "face", "size_px": 224, "colour": "rgb", "value_range": [-1, 1]}
    facts |= {"mean": [0.0], "std": [1.0]}
    assert video_input(facts).flow is None
    assert video_input({**facts, "flow": "dis"}) == SPEC.video
    assert (SPEC.video.image_channels, SPEC.video.channels) == (3, 5)


# ------------------------------------------------------------------------------------------- the network


def test_rows_of_all_stages_stand_at_their_frames() -> None:
    check_centre(replace(SPEC, small={"stages": 4, "width": 8}))


@pytest.mark.parametrize(("stages", "frames", "size"), [(1, 13, 384), (2, 21, 960), (3, 65, 1664)])
def test_sizes_follow_the_number_of_stages(stages: int, frames: int, size: int) -> None:
    with torch.device("meta"):
        network = i3d_two_stream(stages=stages)
    assert (network.receptive_field_frames, network.embedding_size) == (frames, size)


@pytest.mark.parametrize("options", [{"stages": 5}, {"width": 12}, {"width": 0}], ids=str)
def test_options_are_checked(options: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        i3d_two_stream(**options)


def lively(stages: int, width: int = 8) -> TwoStreamI3D:
    """With normalisations that have seen data."""
    network = i3d_two_stream(stages=stages, width=width).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.1, 0.3)
    return network


def as_published(state: dict[str, Tensor], x: Tensor) -> Tensor:
    """The strided network of pytorch-i3d, padded as TensorFlow does: ``[B, D, T']``."""

    def same(x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
        pads = []
        for size, k, s in reversed(list(zip(x.shape[2:], kernel, stride))):
            more = max(k - (size % s or s), 0)
            pads += [more // 2, more - more // 2]
        return F.pad(x, pads)

    def unit(x: Tensor, name: str, stride: int = 1) -> Tensor:
        weight = state[f"{name}.conv3d.weight"]
        x = F.conv3d(same(x, weight.shape[2:], (stride,) * 3), weight, None, stride)
        parts = (state[f"{name}.bn.{p}"] for p in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, *parts, eps=0.001).relu()

    def pool(x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
        return F.max_pool3d(same(x, kernel, stride), kernel, stride)

    x = pool(unit(x, "Conv3d_1a_7x7", 2), (1, 3, 3), (1, 2, 2))
    x = unit(unit(x, "Conv3d_2b_1x1"), "Conv3d_2c_3x3")
    pools = {"3b": ((1, 3, 3), (1, 2, 2)), "4b": ((3,) * 3, (2,) * 3), "5b": ((2,) * 3, (2,) * 3)}
    for module in ("3b", "3c", "4b", "4c", "4d", "4e", "4f", "5b", "5c"):
        name = f"Mixed_{module}"
        if f"{name}.b0.conv3d.weight" not in state:
            break
        x = pool(x, *pools[module]) if module in pools else x
        branches = [unit(x, f"{name}.b0"), unit(unit(x, f"{name}.b1a"), f"{name}.b1b")]
        branches.append(unit(unit(x, f"{name}.b2a"), f"{name}.b2b"))
        branches.append(unit(pool(x, (3,) * 3, (1,) * 3), f"{name}.b3b"))
        x = torch.cat(branches, 1)
    return x.mean((3, 4))


@pytest.mark.parametrize(("stages", "first", "step"), [(2, 1, 2), (3, 3, 4), (4, 5, 8)])
def test_rows_are_those_of_the_published_network(stages: int, first: int, step: int) -> None:
    network, x = lively(stages), torch.randn(1, 5, 16, 36, 40)
    with torch.no_grad():
        rows = network(x)
        wanted = torch.cat(
            [
                as_published(getattr(network, stream).state_dict(), part)
                for stream, part in (("rgb", x[:, :3]), ("flow", x[:, 3:]))
            ],
            1,
        )
    assert rows.shape == (1, network.embedding_size, 16) and wanted.std() > 1e-3
    torch.testing.assert_close(rows[..., first::step], wanted, rtol=1e-3, atol=1e-4)


def published(folder: Path, network: TwoStreamI3D) -> Path:
    """Both files as pytorch-i3d gives them, in which there are all stages and a classifier."""
    for stream in ("rgb", "flow"):
        state = dict(getattr(network, stream).state_dict())
        more = {"Mixed_5c.b0.conv3d.weight": torch.ones(2), "logits.conv3d.bias": torch.ones(2)}
        torch.save(more | state, folder / f"{stream}_imagenet.pt")
    return folder


def test_published_files(tmp_path: Path) -> None:
    theirs, ours = lively(1, width=64), i3d_two_stream(stages=1)
    with pytest.raises(MissingError, match=r"no rgb_imagenet\.pt"):
        ours.load_published(tmp_path)
    published(tmp_path, theirs)
    ours.load_published(tmp_path)
    assert all(torch.equal(v, theirs.state_dict()[k]) for k, v in ours.state_dict().items())
    with pytest.raises(WeightsError, match="width=64, not 8"):
        i3d_two_stream(stages=1, width=8).load_published(tmp_path)
    with pytest.raises(WeightsError, match=r"missing: Mixed_3b\."):
        i3d_two_stream(stages=2).load_published(tmp_path)
    (tmp_path / "flow_imagenet.pt").write_bytes((tmp_path / "rgb_imagenet.pt").read_bytes())
    with pytest.raises(WeightsError, match=r"other shape: Conv3d_1a_7x7\.conv3d\.weight"):
        ours.load_published(tmp_path)


def test_its_files_are_in_the_catalogue() -> None:
    (entry,) = [e for e in registry.catalogue.all() if e.name == SPEC.weights.catalogue]
    assert [file.path for file in entry.files] == ["rgb_imagenet.pt", "flow_imagenet.pt"]
    assert entry.licence == SPEC.weights.licence
