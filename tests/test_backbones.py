"""The contract of every built-in backbone, on small random weights, and what breaks it.

Plugins check their own backbones, with the same ``synctool.testing.CHECKS``.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from fake_plugins import FakePlugin
from synctool import testing as contract
from synctool.backbones.fcn_rgb import BandEncoder
from synctool.errors import MissingError, PluginError, UsageError
from synctool.models.offset_classifier import OffsetClassifier
from synctool.models.two_stream import Projected
from synctool.networks.build import build, construct
from synctool.networks.names import model_spec
from synctool.plugins import loader as plugins
from synctool.plugins import registry
from synctool.plugins.loader import Plugins
from synctool.plugins.specs import AudioInput, BackboneSpec, VideoInput
from synctool.testing import CHECKS

SPECS = {
    spec.full_name: spec
    for spec in registry.backbones.all()
    if spec.factory.startswith("synctool.")
}
CLASSIFIERS = [
    name
    for name, spec in SPECS.items()
    if spec.role == "joint" and isinstance(construct(spec, spec.small)[1], OffsetClassifier)
]
ALIKE = {"wav2vec2.large": "wav2vec2"}
"""Networks that are another one with their small options, on which that one has all checks."""
OF_DEFAULTS = (contract.check_options, contract.check_full_size)
"""Checks that look at a network with its own defaults."""
PAIRS = ["fcn-mouth+fcn-mel", "resnet3d+vggish", "i3d+wav2vec2"]

every_classifier = pytest.mark.parametrize("name", CLASSIFIERS)


@pytest.mark.parametrize(
    ("name", "check"),  # in this order all checks of a network share its build
    [
        pytest.param(name, check, id=f"{name}-{check.__name__.removeprefix('check_')}")
        for name in (*SPECS, *PAIRS)
        for check in CHECKS
        if name not in ALIKE or check in OF_DEFAULTS
    ],
)
def test_contract(name: str, check: Callable[[BackboneSpec], None]) -> None:
    spec = SPECS.get(name) or model_spec(name)
    if "+" in name and check is contract.check_options:
        pytest.skip("a pair has the options of its encoders")
    check(spec)


@pytest.mark.parametrize("name", ALIKE)
def test_a_network_that_needs_no_checks_of_its_own_is_another_one(name: str) -> None:
    pair = [SPECS[n] for n in (name, ALIKE[name])]
    (one, network), (other, same) = (construct(spec, spec.small) for spec in pair)
    assert (one.video, one.audio, one.embedding_size) == (
        other.video,
        other.audio,
        other.embedding_size,
    )
    same.load_state_dict(network.state_dict(), strict=True)
    noise = torch.randn(1, 640 * 9)
    with torch.no_grad():
        assert torch.equal(network.eval()(noise), same.eval()(noise))


def test_the_built_in_networks_are_here() -> None:
    joint = {"syncnet", "fcn-cls", "fcn-cls.rgb112", "fcn-cls.rgb224", "fcn-reg", "fcn-attn"}
    video = {"resnet3d", "resnet3d.mc3_18", "resnet3d.r2plus1d_18", "i3d"}
    video |= {"resnet3d.r3d_34", "resnet3d.r3d_50"}
    audio = {"vggish", "wav2vec2", "wav2vec2.large", "hubert", "hubert.large"}
    assert joint | video | audio <= SPECS.keys()


# --------------------------------------------------------------------------- what breaks the contract


class Lopsided(nn.Module):
    """Looks at the frame before, and not at the one after."""

    def __init__(self, *, late: int = 0, dead: bool = False, batch: bool = False) -> None:
        super().__init__()
        self.mix = nn.Linear(64, 8)
        self.late, self.batch = late, batch
        if dead:
            self.unused = nn.Linear(2, 2)

    def forward(self, audio: Tensor) -> Tensor:
        x = self.mix(audio[:, 0].unflatten(-1, (-1, 4)).mean(-1).transpose(1, 2)).transpose(1, 2)
        x = torch.cat([x[..., :1].expand(-1, -1, self.late), x], -1)[..., : x.shape[-1]]
        return x - x.mean(0) if self.batch else x


def lopsided(**more: object) -> BackboneSpec:
    options = {"late": 0, "dead": False, "batch": False}
    return BackboneSpec(
        name="lopsided", tag="one", role="audio", factory=f"{__name__}:Lopsided", summary="made up",
        audio=AudioInput(kind="logmel64"), embedding_size=8, audio_receptive_field_frames=1,
        options=options, small=more, default=True,
    )  # fmt: skip


def test_a_good_encoder_passes() -> None:
    for check in CHECKS:
        check(lopsided())


@pytest.mark.parametrize(
    ("check", "spec", "sentence"),
    [
        (contract.check_centre, lopsided(late=1), "looks from"),
        (contract.check_centre, replace(lopsided(late=3), bounded=False), "centre of what row"),
        (contract.check_centre, replace(lopsided(), audio_receptive_field_frames=5), "frames back"),
        (contract.check_gradients, lopsided(dead=True), "unused.weight has no gradient"),
        (contract.check_batches, lopsided(batch=True), "alone and in a batch"),
        (contract.check_full_size, replace(lopsided(), embedding_size=9), r"8, 1\) in place"),
        (contract.check_options, replace(lopsided(), options={"late": 1}), "the factory takes"),
    ],
)
def test_a_bad_encoder_is_told_why(
    check: Callable[[BackboneSpec], None], spec: BackboneSpec, sentence: str
) -> None:
    with pytest.raises((AssertionError, UsageError), match=sentence):
        check(spec)


# ------------------------------------------------------------------------------- building by name


def test_pairs_are_built_with_options_of_both_sides() -> None:
    spec, network = build("fcn-mouth+vggish", **{
        "video.width": 4, "video.embedding": 24, "audio.width": SPECS["vggish"].small["width"],
        "projection": 24, "max_offset": 7,
    })  # fmt: skip
    assert isinstance(network, OffsetClassifier)
    assert network.max_offset == 7
    assert spec.full_name == "fcn-mouth+vggish"
    assert spec.embedding_size == 24
    assert spec.video == SPECS["fcn-mouth"].video
    assert spec.audio == SPECS["vggish"].audio
    assert spec.options["video.width"] == 4
    assert not isinstance(network.video_encoder, Projected), "it has the size already"
    assert isinstance(network.audio_encoder, Projected)


def test_halves_of_one_model_make_that_model() -> None:
    small = {"video.width": 4, "video.embedding": 8, "audio.width": 4, "audio.embedding": 8}
    _, pair = build("fcn-mouth+fcn-mel", projection=8, **small)
    _, whole = build("fcn-cls", width=4, embedding=8)
    assert pair.state_dict().keys() == whole.state_dict().keys()


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("fcn-cls", {"widht": 4}, "Did you mean width"),
        ("fcn-cls", {"stages": 4}, "Its options and their defaults: embedding (256)"),
        ("fcn-mouth+fcn-mel", {"width": 4}, "Did you mean"),
        ("fcn-mouth+fcn-mel", {"projection": 0, "video.embedding": 8}, "cannot be compared"),
        ("fcn-mouth+fcn-mel", {"video.embedding": "x"}, "refuses its options"),
    ],
)
def test_options_that_do_not_fit(name: str, options: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        build(name, **options)
    assert words in str(caught.value)


def not_a_module() -> int:
    return 1


def half_a_model() -> nn.Module:
    return nn.Linear(1, 1)


def needs_more() -> nn.Module:
    import no_such_package_anywhere  # noqa: F401


def fails() -> nn.Module:
    raise RuntimeError("out of ideas")


@pytest.mark.parametrize(
    ("factory", "error", "words"),
    [
        ("not_a_module", PluginError, "int in place of a torch.nn.Module"),
        ("half_a_model", PluginError, "without encode_video, encode_audio, score"),
        ("needs_more", MissingError, "no_such_package_anywhere"),
        ("fails", PluginError, "RuntimeError: out of ideas"),
        ("nowhere_at_all", PluginError, "nowhere_at_all"),
    ],
)
def test_a_factory_that_gives_no_network(factory: str, error: type, words: str) -> None:
    spec = BackboneSpec(
        name="odd", tag="one", role="joint", factory=f"{__name__}:{factory}", summary="made up",
        video=VideoInput(crop="mouth", size_px=72, colour="gray"), embedding_size=8,
        audio=AudioInput(kind="logmel64"), default=True,
    )  # fmt: skip
    odd = Plugins()
    odd.register(FakePlugin(synctool_backbones=[spec]), name="odd")
    with plugins.use(odd), pytest.raises(error) as caught:
        build("odd")
    assert words in str(caught.value)
    assert "odd" in str(caught.value)


# ---------------------------------------------------------------------------- the offset classifier


@every_classifier
@pytest.mark.parametrize("k", [None, 15, 125])
def test_classifiers_give_probabilities_and_offsets(name: str, k: int | None) -> None:
    spec, network = contract._lively(SPECS[name])
    seeing, hearing = contract._small_streams(SPECS[name])
    frames, rows = 6, 2 * (k or network.max_offset) + 1
    with torch.no_grad():
        out = network(hearing.make(frames), seeing.make(frames), max_offset=k)
    size = spec.embedding_size
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
    network = deepcopy(contract._lively(SPECS[name])[1]).train()
    seeing, hearing = contract._small_streams(SPECS[name])
    out = network(hearing.make(6, batch=2), seeing.make(6, batch=2), max_offset=3)
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
    network = build("fcn-cls.rgb112", width=4, embedding=16, audio_bands=bands)[1].eval()
    assert network.encode_audio(torch.randn(1, 1, bands, 20)).shape == (1, 16, 5)
