"""Frames as networks take them: colour, range, size, and what stored crops can give."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from synctool.data.augment import centre_crop, fit_crops, with_room
from synctool.errors import UsageError
from synctool.features.inputs import as_input, overlapping, stored_as_input
from synctool.features.stored_crops import fitted
from synctool.features.video_input import as_batch, prepared
from synctool.plugins.specs import BackboneSpec, VideoInput

KINETICS = {"mean": (0.43216, 0.394666, 0.37645), "std": (0.22803, 0.22145, 0.216989)}


@dataclass(frozen=True)
class Stored:
    crop: str
    size_px: int
    colour: str


def video(channels: int, seed: int = 0) -> torch.Tensor:
    chance = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (2, channels, 3, 4, 4), generator=chance, dtype=torch.uint8)


# ------------------------------------------------------------------------------- range and colour


def test_the_default_contract_is_division_by_255() -> None:
    wanted = VideoInput(crop="mouth", size_px=4, colour="gray")
    assert torch.equal(prepared(video(1), wanted), video(1).float() / 255.0)


def test_normalisation_by_hand() -> None:
    wanted = VideoInput(crop="face", size_px=4, colour="rgb", value_range=(-1.0, 1.0), **KINETICS)
    made = prepared(video(3), wanted)
    assert made.shape == (2, 3, 3, 4, 4) and made.dtype == torch.float32
    for channel in range(3):
        expected = video(3)[:, channel].double() / 127.5 - 1
        expected = (expected - KINETICS["mean"][channel]) / KINETICS["std"][channel]
        assert torch.allclose(made[:, channel].double(), expected, atol=1e-5)


def test_stored_red_green_blue_is_turned_round_for_bgr() -> None:
    wanted = VideoInput(crop="face", size_px=4, colour="bgr", value_range=(0.0, 255.0))
    assert torch.equal(prepared(video(3), wanted), video(3).flip(1).float())


@pytest.mark.parametrize(
    "wanted",
    [
        VideoInput(
            crop="face", size_px=4, colour="gray", mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 4.0)
        ),
        VideoInput(crop="face", size_px=4, colour="bgr", mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 4.0)),
        VideoInput(crop="face", size_px=4, colour="rgb"),
        VideoInput(crop="face", size_px=4, colour="gray", mean=(0.5,), std=(0.25,)),
    ],
)
def test_a_grey_frame_stands_in_every_channel(wanted: VideoInput) -> None:
    made = prepared(video(1), wanted)
    assert made.shape == (2, wanted.channels, 3, 4, 4)
    mean, std = (v if len(v) > 1 else v * wanted.channels for v in (wanted.mean, wanted.std))
    for channel in range(wanted.channels):
        expected = (video(1)[:, 0].float() / 255 - mean[channel]) / std[channel]
        assert torch.allclose(made[:, channel], expected, atol=1e-6)


def test_a_network_for_grey_is_given_no_colours() -> None:
    with pytest.raises(ValueError, match="colour frames"):
        prepared(video(3), VideoInput(crop="face", size_px=4, colour="gray"))


def test_training_and_measuring_make_the_same_of_a_crop() -> None:
    crops = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), np.uint8)
    rgb = VideoInput(crop="face", size_px=8, colour="rgb", **KINETICS)
    bgr = VideoInput(crop="face", size_px=8, colour="bgr", value_range=(0.0, 255.0))
    assert torch.equal(prepared(as_batch(crops), rgb), torch.from_numpy(as_input(crops, rgb)))
    shown_bgr = np.ascontiguousarray(crops[..., ::-1])  # as a video is decoded for this contract
    assert torch.equal(prepared(as_batch(crops), bgr), torch.from_numpy(as_input(shown_bgr, bgr)))
    grey = VideoInput(crop="face", size_px=8, colour="gray", **KINETICS)
    made = prepared(as_batch(crops[..., 0]), grey)
    assert made.shape == (1, 3, 5, 8, 8) and torch.equal(
        made, torch.from_numpy(as_input(crops[..., 0], grey))
    )


@pytest.mark.parametrize("colour", ["gray", "rgb", "bgr"])
@pytest.mark.parametrize("value_range", [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)])
def test_every_value_of_a_stored_crop_is_the_same_in_arrays_and_tensors(
    colour: str, value_range: tuple[float, float]
) -> None:
    """Clips are measured without PyTorch and trained on with it."""
    crops = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    if colour != "gray":
        crops = np.stack([crops, np.roll(crops, 85), np.roll(crops, 170)], -1)
    wanted = VideoInput(crop="face", size_px=16, colour=colour, value_range=value_range, **KINETICS)
    made = stored_as_input(crops, wanted)
    assert made.dtype == np.float32
    assert torch.equal(prepared(as_batch(crops), wanted), torch.from_numpy(made.copy()))


def test_measuring_a_clip_gives_a_network_for_grey_no_colours() -> None:
    with pytest.raises(ValueError, match="colour crops"):
        stored_as_input(
            np.zeros((1, 8, 8, 3), np.uint8), VideoInput(crop="face", size_px=8, colour="gray")
        )


@pytest.mark.parametrize("frames", [1, 15, 16, 17, 100])
def test_parts_of_a_clip_have_their_context_and_lose_no_frame(frames: int) -> None:
    wanted = VideoInput(crop="face", size_px=2000, colour="rgb")
    spec = BackboneSpec("net", "one", "video", "a:b", "", video=wanted, receptive_field_frames=5)
    together = []
    for given, kept in overlapping(frames, side_px=2000, spec=spec):
        part = np.arange(frames)[given]
        rows = part[kept]
        together.extend(rows)
        assert part[0] == max(rows[0] - 2, 0) and part[-1] == min(rows[-1] + 2, frames - 1)
        assert len(rows) <= 16
    assert together == list(range(frames))


# --------------------------------------------------------------------- what a folder can be used for


@pytest.mark.parametrize(
    ("stored", "wanted"),
    [
        (("mouth", 96, "gray"), ("mouth", 72, "gray")),
        (("mouth", 96, "gray"), ("mouth", 96, "gray")),
        (("mouth", 118, "rgb"), ("mouth", 88, "gray")),
        (("face", 224, "rgb"), ("face", 224, "bgr")),
        (("face", 224, "rgb"), ("face", 112, "rgb")),
        (("face", 112, "rgb"), ("face", 112, "gray")),
    ],
)
@pytest.mark.parametrize("any_crop", [False, True])
def test_crops_that_meet_the_contract(stored: tuple, wanted: tuple, any_crop: bool) -> None:
    asked = VideoInput(*wanted)
    assert fitted(Stored(*stored), asked, any_crop=any_crop) == asked


@pytest.mark.parametrize(
    ("stored", "wanted", "found"),
    [
        # the room that augmentation has is kept: 72 of 96
        (("mouth", 96, "gray"), ("face", 112, "rgb"), ("mouth", 72, "gray")),
        (("mouth", 96, "rgb"), ("face", 224, "bgr"), ("mouth", 72, "bgr")),
        (("mouth", 160, "rgb"), ("face", 112, "rgb"), ("mouth", 112, "rgb")),
        (("mouth", 96, "gray"), ("mouth", 112, "rgb"), ("mouth", 72, "gray")),
        (("mouth", 40, "rgb"), ("face", 112, "rgb"), ("mouth", 32, "rgb")),
        # a face is a face at any scale
        (("face", 96, "rgb"), ("face", 112, "rgb"), ("face", 96, "rgb")),
        (("face", 224, "gray"), ("face", 112, "bgr"), ("face", 112, "gray")),
        (("face", 224, "rgb"), ("mouth", 88, "gray"), ("face", 88, "gray")),
    ],
)
def test_a_network_for_any_crop_takes_what_there_is(
    stored: tuple, wanted: tuple, found: tuple
) -> None:
    more = KINETICS if wanted[2] != "gray" else {}
    asked = VideoInput(*wanted, **more)
    given = fitted(Stored(*stored), asked, any_crop=True)
    assert (given.crop, given.size_px, given.colour) == found
    assert given.channels == asked.channels
    assert (given.mean, given.std, given.value_range) == (asked.mean, asked.std, asked.value_range)
    with pytest.raises(UsageError):
        fitted(Stored(*stored), asked, any_crop=False)


def test_grey_for_a_network_made_for_colour_keeps_its_three_channels() -> None:
    asked = VideoInput(crop="face", size_px=112, colour="rgb", mean=(0.5,), std=(0.25,))
    given = fitted(Stored("face", 224, "gray"), asked, any_crop=True)
    assert (given.colour, given.mean, given.std) == ("gray", (0.5,) * 3, (0.25,) * 3)
    assert given.channels == 3


@pytest.mark.parametrize(
    ("stored", "wanted", "says", "command"),
    [
        (
            ("mouth", 96, "gray"),
            ("face", 224, "bgr"),
            "grey mouth crops of 96 px, and the network takes colour face crops of 224 px",
            "--crop face --size 224 --colour rgb",
        ),
        (
            ("face", 224, "rgb"),
            ("mouth", 72, "gray"),
            "colour face crops of 224 px, and the network takes grey mouth crops of 72 px",
            "--crop mouth --size 96 --colour gray",
        ),
        (
            ("mouth", 64, "gray"),
            ("mouth", 88, "gray"),
            "mouth crops of 64 px",
            "--crop mouth --size 118 --colour gray",
        ),
    ],
)
def test_crops_of_no_use_say_how_to_make_others(
    stored: tuple, wanted: tuple, says: str, command: str
) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        fitted(Stored(*stored), VideoInput(*wanted), any_crop=False)
    assert f"synctool preprocess VIDEOS FOLDER {command}" in caught.value.remedy


def test_crops_that_are_too_small_for_any_network() -> None:
    with pytest.raises(UsageError, match="24 px"):
        fitted(Stored("face", 24, "rgb"), VideoInput("face", 112, "rgb"), any_crop=True)


# --------------------------------------------------------------------------------- cut and resized


def test_of_mouth_crops_the_middle_is_taken() -> None:
    crops = np.random.default_rng(0).integers(0, 256, (3, 96, 96), np.uint8)
    wanted = VideoInput(crop="mouth", size_px=72, colour="gray")
    assert np.array_equal(fit_crops(crops, "mouth", wanted), centre_crop(crops, 72))
    assert with_room(crops, "mouth", wanted) is crops
    with pytest.raises(UsageError, match="mouth crops of 96 px are too small"):
        fit_crops(crops, "mouth", VideoInput(crop="mouth", size_px=100, colour="gray"))


@pytest.mark.parametrize("size_px", [16, 32, 48])
def test_face_crops_are_resized_and_keep_all_of_the_face(size_px: int) -> None:
    crops = np.zeros((2, 32, 32, 3), np.uint8)
    crops[:, :, 16:, 1] = 200  # the right half is green
    wanted = VideoInput(crop="face", size_px=size_px, colour="bgr")
    made = fit_crops(crops, "face", wanted)
    assert made.shape == (2, size_px, size_px, 3) and made.dtype == np.uint8
    assert (made[:, :, size_px // 2 + 1 :, 1] == 200).all()
    assert not made[:, :, : size_px // 2 - 1].any() and not made[..., [0, 2]].any()


def test_colours_become_luma_where_a_network_takes_grey() -> None:
    crops = np.zeros((1, 8, 8, 3), np.uint8)
    crops[..., 0] = 100  # red, not blue: stored crops are RGB
    made = fit_crops(crops, "mouth", VideoInput(crop="mouth", size_px=8, colour="gray"))
    assert made.shape == (1, 8, 8) and (made == 30).all()
    grey = np.full((1, 8, 8), 9, np.uint8)
    kept = fit_crops(grey, "mouth", VideoInput(crop="mouth", size_px=8, colour="rgb"))
    assert kept.shape == (1, 8, 8)
