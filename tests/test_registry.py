"""Names to specs, and the words for names that lead nowhere."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from fake_catalogue import entry_of, file_of
from fake_plugins import FakePlugin, backbone_spec, detector_spec, with_backbones
from synctool.errors import EXIT_UNEXPECTED, EXIT_USAGE, PluginError, UsageError
from synctool.networks.names import model_spec, statuses
from synctool.plugins import loader as plugins
from synctool.plugins import registry
from synctool.plugins.loader import Plugins
from synctool.plugins.specs import BackboneSpec, ModelSpec, PairSpec

FCN = backbone_spec("fcn-cls", tag="mouth")
FCN_RGB = backbone_spec("fcn-cls", tag="rgb112", default=False)
RESNET = backbone_spec("resnet3d", "video", tag="r3d_18")
RESNET_MC3 = backbone_spec("resnet3d", "video", tag="mc3_18", default=False)
I3D = backbone_spec("i3d", "video")
VGGISH = backbone_spec("vggish", "audio")
HUBERT = backbone_spec("hubert", "audio")


@pytest.fixture
def fakes() -> Iterator[Plugins]:
    fake = with_backbones(VGGISH, FCN_RGB, FCN, RESNET_MC3, RESNET, I3D, HUBERT)
    fake.register(
        FakePlugin(synctool_face_detectors=[detector_spec("whole"), detector_spec("haar")]),
        name="d",
    )
    with plugins.use(fake):
        yield fake


def refusal(name: str, *, ask=model_spec) -> UsageError:
    with pytest.raises(UsageError) as caught:
        ask(name)
    assert caught.value.exit_code == EXIT_USAGE
    return caught.value


# ------------------------------------------------------------------------------- the built-in ones


def test_built_in_backbones() -> None:
    names = {s.full_name for s in registry.backbones.all()}
    assert {"fcn-cls", "fcn-cls.rgb112", "fcn-cls.rgb224", "syncnet"} <= names
    assert model_spec("fcn-cls").tag == "mouth"
    assert model_spec("syncnet").tag == "2016"
    assert model_spec("fcn-cls.rgb224").video.size_px == 224


def test_built_in_face_detectors() -> None:
    assert {"centerface", "haar", "whole"} <= {s.name for s in registry.face_detectors.all()}
    assert registry.face_detectors.get("centerface").landmarks


# ----------------------------------------------------------------------------------- the grammar


def test_listing_is_sorted_with_default_tags_first(fakes: Plugins) -> None:
    assert [s.full_name for s in registry.backbones.all()] == [
        "fcn-cls",
        "fcn-cls.rgb112",
        "hubert",
        "i3d",
        "resnet3d",
        "resnet3d.mc3_18",
        "vggish",
    ]


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("fcn-cls", FCN),
        ("fcn-cls.mouth", FCN),
        ("fcn-cls.rgb112", FCN_RGB),
        (" fcn-cls ", FCN),
    ],
)
def test_names_that_are_complete_models(fakes: Plugins, name: str, spec: BackboneSpec) -> None:
    assert model_spec(name) == ModelSpec.of(spec)


@pytest.mark.parametrize(
    ("name", "video", "audio"),
    [
        ("resnet3d+vggish", RESNET, VGGISH),
        ("resnet3d.mc3_18 + hubert.base", RESNET_MC3, HUBERT),
    ],
)
def test_names_of_pairs(
    fakes: Plugins, name: str, video: BackboneSpec, audio: BackboneSpec
) -> None:
    pair = model_spec(name)
    assert isinstance(pair, PairSpec)
    assert (pair.video_encoder, pair.audio_encoder) == (video, audio)
    assert (pair.video, pair.audio) == (video.video, audio.audio)


def test_a_pair_knows_its_name_and_is_fixed(fakes: Plugins) -> None:
    pair = model_spec("resnet3d.mc3_18+vggish.base")
    assert pair.full_name == "resnet3d.mc3_18+vggish"
    assert pair.role == "joint"
    with pytest.raises(AttributeError):
        pair.video = I3D


def test_single_takes_any_role(fakes: Plugins) -> None:
    assert registry.backbones.get("vggish") == VGGISH
    assert registry.backbones.get("resnet3d") == RESNET
    assert registry.backbones.get("fcn-cls") == FCN


def test_one_tag_needs_no_default() -> None:
    only = backbone_spec("x", default=False)
    with plugins.use(with_backbones(only)):
        assert registry.backbones.get("x") == only


def test_several_tags_without_default_must_be_named() -> None:
    a, b = (backbone_spec("x", tag=tag, default=False) for tag in "ab")
    with plugins.use(with_backbones(a, b)):
        assert "x.a, x.b" in refusal("x").remedy
        assert registry.backbones.get("x.b") == b


# -------------------------------------------------------------------------------------- refusals


def test_reversed_pair_suggests_the_swap(fakes: Plugins) -> None:
    error = refusal("vggish+resnet3d.mc3_18")
    assert "resnet3d.mc3_18+vggish" in error.remedy
    assert isinstance(model_spec("resnet3d.mc3_18+vggish"), PairSpec)


def test_lone_encoders_list_their_partners(fakes: Plugins) -> None:
    error = refusal("resnet3d.mc3_18")
    assert "video encoder" in error.cause
    assert "resnet3d.mc3_18+hubert, resnet3d.mc3_18+vggish" in error.remedy
    assert "fcn-cls" not in error.remedy
    error = refusal("vggish")
    assert "audio encoder" in error.cause
    assert "i3d+vggish, resnet3d+vggish" in error.remedy


def test_lone_encoder_without_any_partner() -> None:
    with plugins.use(with_backbones(I3D, FCN)):
        assert "No audio encoder is installed" in refusal("i3d").remedy


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("fcn-cl", "fcn-cls"),
        ("FCN-CLS", "fcn-cls"),
        ("resnet", "resnet3d"),
        ("resnet3d+vgish", "vggish"),
        ("resnt3d+vggish", "resnet3d"),
        ("hubbert", "hubert"),
    ],
)
def test_unknown_names_get_the_nearest(fakes: Plugins, name: str, nearest: str) -> None:
    assert re.search(rf"Did you mean .*\b{nearest}\b", refusal(name).remedy)


def test_names_far_from_all_get_the_list(fakes: Plugins) -> None:
    error = refusal("zzzzzz")
    assert "Did you mean" not in error.remedy
    assert "synctool backbones" in error.remedy


def test_unknown_tags_get_the_tags(fakes: Plugins) -> None:
    for name in ("fcn-cls.rgb999", "fcn-cls."):
        assert "mouth, rgb112" in refusal(name).remedy


def test_pairs_of_one_role(fakes: Plugins) -> None:
    assert "hubert, vggish" in refusal("resnet3d+i3d").remedy
    assert "i3d, resnet3d" in refusal("vggish+hubert").remedy


def test_a_complete_model_takes_no_partner(fakes: Plugins) -> None:
    for name in ("fcn-cls+vggish", "resnet3d+fcn-cls"):
        assert "complete model" in refusal(name).cause


@pytest.mark.parametrize("name", ["+", "resnet3d+", "+vggish", "resnet3d+vggish+hubert", "a++b"])
def test_malformed_pairs(fakes: Plugins, name: str) -> None:
    assert "VIDEO+AUDIO" in refusal(name).remedy


@pytest.mark.parametrize("name", ["", ".", "../fcn-cls", "weights/fcn-cls.safetensors"])
def test_malformed_names(fakes: Plugins, name: str) -> None:
    assert "there is no backbone" in refusal(name).cause


def test_broken_plugins_are_mentioned(fakes: Plugins) -> None:
    assert "Broken" not in refusal("zzzzzz").remedy
    fakes.register(FakePlugin(), name="sorry")
    assert "Broken plugins: sorry" in refusal("zzzzzz").remedy


def test_face_detectors(fakes: Plugins) -> None:
    assert [s.name for s in registry.face_detectors.all()] == ["haar", "whole"]
    assert registry.face_detectors.get("haar").name == "haar"
    assert "whole" in refusal("hole", ask=registry.face_detectors.get).remedy
    assert "haar, whole" in refusal("zzz", ask=registry.face_detectors.get).remedy


def test_the_catalogue(fakes: Plugins) -> None:
    thing, other = (
        entry_of(file_of("a", b"", "https://x.org/a"), name=n) for n in ("thing", "one")
    )
    fakes.register(FakePlugin(synctool_catalogue=[thing, other]), name="c", distribution="c-dist")
    assert [entry.name for entry in registry.catalogue.all()] == ["one", "thing"]
    assert registry.catalogue.get(" thing ") == thing
    assert "Did you mean thing?" in refusal("thin", ask=registry.catalogue.get).remedy
    assert "synctool download list" in refusal("zzzz", ask=registry.catalogue.get).remedy
    fakes.register(FakePlugin(synctool_catalogue=[thing]), name="d2", distribution="other-dist")
    for ask in (registry.catalogue.all, lambda: registry.catalogue.get("thing")):
        with pytest.raises(PluginError, match="other-dist"):
            ask()
    assert registry.catalogue.get("one") == other, "other names stay usable"


# ------------------------------------------------------------------------------------ duplicates


@pytest.mark.parametrize("tag", ["mouth", "other"])
def test_two_distributions_with_one_name(fakes: Plugins, tag: str) -> None:
    second = FakePlugin(synctool_backbones=[backbone_spec("fcn-cls", tag=tag, default=False)])
    fakes.register(second, name="second", distribution="other-dist")
    for ask in (registry.backbones.all, lambda: model_spec("fcn-cls")):
        with pytest.raises(PluginError) as caught:
            ask()
        assert caught.value.exit_code == EXIT_UNEXPECTED
        assert "fake-dist" in caught.value.cause
        assert "other-dist" in caught.value.cause
    assert model_spec("resnet3d+vggish"), "other names stay usable"


def test_two_detectors_with_one_name(fakes: Plugins) -> None:
    second = FakePlugin(synctool_face_detectors=[detector_spec("haar")])
    fakes.register(second, name="second", distribution="other-dist")
    with pytest.raises(PluginError, match="other-dist"):
        registry.face_detectors.get("haar")
    assert registry.face_detectors.get("whole")


def test_two_plugins_of_one_distribution(fakes: Plugins) -> None:
    more = FakePlugin(synctool_backbones=[backbone_spec("fcn-cls", tag="new", default=False)])
    fakes.register(more, name="more", distribution="fake-dist")
    assert model_spec("fcn-cls.new").tag == "new", "one distribution may share a name out"
    same = FakePlugin(synctool_backbones=[FCN_RGB])
    fakes.register(same, name="same", distribution="fake-dist")
    with pytest.raises(PluginError, match=r"'fake'.*'same'"):
        model_spec("fcn-cls")


def test_two_default_tags() -> None:
    a, b = (backbone_spec("x", tag=tag, default=True) for tag in "ab")
    with plugins.use(with_backbones(a, b)), pytest.raises(PluginError, match="default tag"):
        model_spec("x.a")


# ---------------------------------------------------------------------------------- what is kept


def test_hooks_are_called_once_until_a_plugin_comes_or_goes(fakes: Plugins) -> None:
    calls = []

    def counted() -> list[object]:
        calls.append("asked")
        return [detector_spec("counted")]

    record = fakes.register(FakePlugin(synctool_face_detectors=counted), name="c")
    for name in ("counted", "haar", "counted"):
        assert registry.face_detectors.get(name).name == name
    assert len(calls) == 1
    fakes.register(FakePlugin(synctool_face_detectors=[detector_spec("new")]), name="n")
    assert registry.face_detectors.get("new").name == "new"
    assert len(calls) == 2
    with plugins.use(with_backbones(FCN)):
        refusal("counted", ask=registry.face_detectors.get)
    fakes.unregister(record)
    refusal("counted", ask=registry.face_detectors.get)


def test_the_plugin_behind_a_name(fakes: Plugins) -> None:
    assert registry.face_detectors.source("haar").name == "d"
    assert registry.backbones.source("fcn-cls.rgb112").owner == "fake-dist"


def test_an_encoder_is_no_complete_model() -> None:
    with pytest.raises(TypeError, match="vggish"):
        ModelSpec.of(VGGISH)


def test_the_list_takes_encoders_and_pairs(fakes: Plugins) -> None:
    listed = statuses(["resnet3d+vggish", "hubert"])
    assert [(s.spec.full_name, s.weights) for s in listed] == [
        ("resnet3d+vggish", "none"),
        ("hubert", "none"),
    ]
