"""The contract of every registered joint network, on small random weights.

Whatever a plugin registers is tested here too. A network with the options ``embedding`` and
``width`` is made small by them.
"""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from synctool import registry
from synctool.backbones.fcn_rgb import BandEncoder
from synctool.engine.build import build
from synctool.models.offset_classifier import OffsetClassifier
from synctool.types import BackboneSpec

SPECS = {spec.full_name: spec for spec in registry.backbones() if spec.role == "joint"}
CLASSIFIERS = [name for name, spec in SPECS.items() if spec.name == "fcn-cls"]
SMALL = {"embedding": 16, "width": 4}
BANDS = {"mfcc13": 13, "logmel64": 64}
HEAD_REACH = 8
"""Rows and frames around a place of the volume that a head may look at, at least."""

every_network = pytest.mark.parametrize("name", SPECS)
every_classifier = pytest.mark.parametrize("name", CLASSIFIERS)
both_streams = pytest.mark.parametrize("stream", ["video", "audio"])


@pytest.fixture(autouse=True)
def same_noise() -> None:
    torch.manual_seed(7)


def made(name: str, seed: int = 0, **options: int) -> nn.Module:
    """A network that is as small as its options allow, in evaluation mode."""
    small = {key: value for key, value in SMALL.items() if key in SPECS[name].options}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        _, network = build(name, **{**small, **options})
    return network.eval()


@cache
def lively(name: str) -> nn.Module:
    """The same, with nothing left at zero and with normalisations that have seen data."""
    network = made(name)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = 1.0
    with torch.no_grad(), torch.random.fork_rng():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(std=0.1)
        network.train()
        network.encode_video(pictures(SPECS[name], 4))
        network.encode_audio(sound(SPECS[name], 4))
    return network.eval()


def pictures(spec: BackboneSpec, frames: int, batch: int = 1) -> Tensor:
    """Noise in the shape and range that a network wants."""
    low, high = spec.video.value_range
    size = spec.video.size_px
    return torch.rand(batch, spec.video.channels, frames, size, size) * (high - low) + low


def sound(spec: BackboneSpec, frames: int, batch: int = 1) -> Tensor:
    """Noise in the shape that a network wants."""
    if spec.audio.kind == "waveform16k":
        return torch.randn(batch, 640 * frames)
    return torch.randn(batch, 1, BANDS[spec.audio.kind], 4 * frames)


def stream_of(name: str, stream: str) -> tuple:
    """Input maker, encoder, index of the input's time axis, its steps per frame, frames of reach."""
    spec, network = SPECS[name], lively(name)
    if stream == "video":
        return pictures, network.encode_video, 2, 1, spec.receptive_field_frames // 2
    steps = 640 if spec.audio.kind == "waveform16k" else 4
    return sound, network.encode_audio, -1, steps, spec.audio_receptive_field_frames // 2


def unit(*shape: int) -> Tensor:
    """Random features of length 1."""
    return F.normalize(torch.randn(shape), dim=1)


def close(got: Tensor, wanted: Tensor) -> None:
    """Equal up to the rounding of another order of summation."""
    finite = wanted[wanted.isfinite()]
    assert finite.std() > 1e-3 * finite.abs().mean(), "a comparison of constants proves nothing"
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=2e-5 * float(finite.abs().max()))


# -------------------------------------------------------------------------------------- the shapes


def test_the_built_in_networks_are_here() -> None:
    assert {"fcn-cls", "fcn-cls.rgb112", "fcn-cls.rgb224", "syncnet"} <= SPECS.keys()


@every_network
@pytest.mark.parametrize("frames", [5, 6, 25, 60])
def test_full_size_gives_one_embedding_per_frame(name: str, frames: int) -> None:
    spec = SPECS[name]
    with torch.device("meta"):  # shapes alone, nothing is computed
        _, network = build(name)
        network.eval()
        seen = network.encode_video(pictures(spec, frames))
        heard = network.encode_audio(sound(spec, frames))
        assert seen.shape == heard.shape == (1, spec.embedding_size, frames)
        for k in (15, 125):
            assert network.score(heard, seen, max_offset=k).shape == (1, 2 * k + 1, frames)


@every_network
def test_options_are_those_of_the_factory(name: str) -> None:
    assert made(name, max_offset=7).max_offset == 7
    assert made(name).max_offset == SPECS[name].options["max_offset"]


@every_network
@pytest.mark.parametrize("frames", [5, 60])
def test_any_number_of_frames(name: str, frames: int) -> None:
    spec, network = SPECS[name], lively(name)
    frames = frames if spec.video.size_px < 224 else min(frames, 6)
    with torch.no_grad():
        seen = network.encode_video(pictures(spec, frames))
        heard = network.encode_audio(sound(spec, frames))
        volume = network.score(heard, seen, max_offset=15)
    assert seen.shape == heard.shape == (1, seen.shape[1], frames)
    assert seen.dtype == heard.dtype == volume.dtype == torch.float32
    assert seen.isfinite().all()
    assert heard.isfinite().all()
    assert volume.shape == (1, 31, frames)
    assert volume[:, 15].isfinite().all()


# ---------------------------------------------------------------------------------------- the time


@every_network
@both_streams
def test_a_shifted_input_shifts_the_embeddings(name: str, stream: str) -> None:
    make, encode, axis, steps, reach = stream_of(name, stream)
    shift, frames = 2, 2 * reach + 5
    whole = make(SPECS[name], frames)
    later = whole.narrow(axis, shift * steps, (frames - shift) * steps)
    with torch.no_grad():
        before, after = encode(whole), encode(later)
    inside = slice(reach, frames - shift - reach)
    close(after[..., inside], before[..., shift:][..., inside])


@every_network
@both_streams
def test_rows_look_as_far_back_as_ahead(name: str, stream: str) -> None:
    make, encode, axis, steps, reach = stream_of(name, stream)
    row = reach + 2
    given = make(SPECS[name], 2 * row + 1).requires_grad_()
    features = encode(given)[0, :, row]
    features.backward(torch.randn_like(features))
    influence = given.grad.movedim(axis, 0).flatten(1).abs().sum(1)
    seen = influence.nonzero().flatten() / steps  # in frames
    first, last = float(seen[0]), float(seen[-1]) + 1 / steps
    assert (first + last) / 2 == pytest.approx(row + 0.5), "the middle of frame number row"
    assert reach - 1 < row - first <= reach, "what the spec says, and no more than it says"


# ------------------------------------------------------------------------------------- the offsets


@every_network
def test_the_volume_moves_with_the_sound(name: str) -> None:
    network, size, n, k = lively(name), 32, 3, 6
    beyond = k + n + HEAD_REACH
    seen, heard = unit(1, size, 9), unit(1, size, 9 + 2 * beyond)
    with torch.no_grad():
        still = network.score(heard, seen, max_offset=k, audio_lead=beyond)
        moved = network.score(heard.roll(n, 2), seen, max_offset=k, audio_lead=beyond)
        told = network.score(heard, seen, max_offset=k, audio_lead=beyond - n)
    close(moved[:, :-n], still[:, n:])
    close(told, moved)


@every_network
def test_any_range_is_a_part_of_a_larger_one(name: str) -> None:
    seen, heard = unit(2, 32, 9), unit(2, 32, 40)
    with torch.no_grad():
        narrow, wide = (
            lively(name).score(heard, seen, max_offset=k, audio_lead=11) for k in (15, 125)
        )
    close(narrow, wide[:, 110:141])


@every_network
def test_outside_the_sound_there_is_no_score(name: str) -> None:
    k, lead, length = 4, 1, 6
    with torch.no_grad():
        volume = lively(name).score(
            unit(1, 32, length), unit(1, 32, 9), max_offset=k, audio_lead=lead
        )
    at = torch.arange(9) - torch.arange(-k, k + 1)[:, None] + lead
    inside = (at >= 0) & (at < length)
    assert torch.equal(volume[0].isfinite(), inside)
    assert torch.all(volume[0][~inside] == float("-inf"))


@every_network
@pytest.mark.parametrize("ahead", [-4, 0, 3])
def test_sound_ahead_of_the_picture_is_a_positive_offset(name: str, ahead: int) -> None:
    heard = unit(1, 64, 40)
    seen = heard[..., 10 - ahead : 30 - ahead]  # the sound of picture t comes at t - ahead
    with torch.no_grad():
        volume = made(name).score(heard, seen, max_offset=5, audio_lead=10)
    assert torch.all(volume.argmax(1) == 5 + ahead)


# --------------------------------------------------------------------------------- the same again


@every_network
def test_neither_the_batch_nor_the_hour_matters(name: str) -> None:
    spec, network = SPECS[name], lively(name)
    for encode, given in (
        (network.encode_video, pictures(spec, 5, batch=2)),
        (network.encode_audio, sound(spec, 5, batch=2)),
    ):
        with torch.no_grad():
            together = encode(given)
            close(torch.cat([encode(one) for one in given.split(1)]), together)
            assert torch.equal(encode(given), together)


@every_network
def test_saved_weights_give_the_same_network(name: str, tmp_path: Path) -> None:
    spec, network = SPECS[name], lively(name)
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    other = made(name, seed=1)
    video, audio = pictures(spec, 5), sound(spec, 5)

    def measured(model: nn.Module) -> list[Tensor]:
        with torch.no_grad():
            seen, heard = model.encode_video(video), model.encode_audio(audio)
            return [seen, heard, model.score(heard, seen, max_offset=3)]

    wanted = measured(network)
    assert not torch.equal(measured(other)[0], wanted[0])
    other.load_state_dict(load_file(tmp_path / "w.safetensors"), strict=True)
    assert all(torch.equal(a, b) for a, b in zip(measured(other), wanted))


# ---------------------------------------------------------------------------- the offset classifier


@every_classifier
@pytest.mark.parametrize("k", [None, 15, 125])
def test_classifiers_give_probabilities_and_offsets(name: str, k: int | None) -> None:
    spec, network = SPECS[name], lively(name)
    assert isinstance(network, OffsetClassifier)
    frames, rows = 6, 2 * (k or network.max_offset) + 1
    with torch.no_grad():
        out = network(sound(spec, frames), pictures(spec, frames), max_offset=k)
    size = SMALL["embedding"]
    assert out.sync_probs.shape == out.logits.shape == (1, rows, frames)
    assert out.audio_features.shape == out.video_features.shape == (1, size, frames)
    torch.testing.assert_close(out.sync_probs.sum(1), torch.ones(1, frames))
    torch.testing.assert_close(out.video_features.norm(dim=1), torch.ones(1, frames))
    torch.testing.assert_close(out.audio_features.norm(dim=1), torch.ones(1, frames))
    assert out.sync_probs.min() >= 0
    offsets, confidences = network.compute_offset(out.sync_probs)
    assert offsets.shape == confidences.shape == (1, frames)
    assert offsets.abs().max() <= rows // 2
    assert 0 <= confidences.min() <= confidences.max() <= 1


@every_classifier
def test_every_weight_of_a_classifier_learns(name: str) -> None:
    spec, network = SPECS[name], deepcopy(lively(name)).train()
    out = network(sound(spec, 6, batch=2), pictures(spec, 6, batch=2), max_offset=3)
    # The logits themselves: to their softmax, the last bias of the head makes no difference.
    logits = out.logits[out.logits.isfinite()]
    logits.backward(torch.randn_like(logits))
    for label, weight in network.named_parameters():
        if label == "local_scale":
            continue  # of use to the losses alone: test_objective.py
        assert weight.grad.isfinite().all(), label
        assert weight.grad.any(), label


@pytest.mark.parametrize("bands", [13, 40, 64, 80, 128])
def test_any_number_of_bands(bands: int) -> None:
    encoder = BandEncoder(bands=bands, embedding=16, width=4).eval()
    assert encoder(torch.randn(2, 1, bands, 4 * 7)).shape == (2, 16, 7)
    network = made("fcn-cls.rgb112", audio_bands=bands)
    assert network.encode_audio(torch.randn(1, 1, bands, 20)).shape == (1, 16, 5)
