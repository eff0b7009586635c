"""Pairs of encoders: built, given published weights, frozen, trained, stored, and used again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from fake_samples import talking_sample, write_processed
from synctool import testing as contract
from synctool.cli.app import main
from synctool.data.samples import Sample
from synctool.errors import EXIT_MISSING, EXIT_USAGE, MissingError, UsageError, WeightsError
from synctool.models.attention import AttentiveHead
from synctool.models.heads import PlainHead, VolumeHead
from synctool.models.two_stream import Projected, two_stream
from synctool.networks.build import build, construct, load_pretrained, put_published
from synctool.networks.load import load_model
from synctool.networks.load_torch import training_facts
from synctool.networks.names import model_spec
from synctool.plugins import registry
from synctool.plugins.specs import BackboneSpec
from synctool.prepare.pairs import pairs
from synctool.settings.pairs import PairsSettings
from synctool.settings.train import TrainSettings
from synctool.training.checkpoint import WEIGHTS, metadata, save_weights
from synctool.training.train import TrainProgress, check_training, train

pytestmark = pytest.mark.integration

HALVES = {"video.width": 4, "video.embedding": 8, "audio.width": 4, "audio.embedding": 8}
TINY = TrainSettings(
    backbone="fcn-mouth+fcn-mel", epochs=1, steps_per_epoch=1, batch_size=2, window_frames=6,
    device="cpu", workers=0,
)  # fmt: skip


def small(name: str) -> dict[str, object]:
    return dict(model_spec(name).small)


def options(name: str) -> tuple[str, ...]:
    return tuple(f"{key}={value}" for key, value in small(name).items())


@pytest.fixture(scope="module")
def mouths(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mouths") / "processed"
    made = [talking_sample(f"k{i}", seed=i, frames=12, speaker=f"s{i % 3}") for i in range(6)]
    return written(folder, made)


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as colour face crops of 64 px."""
    folder = tmp_path_factory.mktemp("faces") / "processed"
    made = [talking_sample(f"k{i}", seed=i, frames=12, speaker=f"s{i % 3}") for i in range(6)]
    return written(folder, [as_face(sample) for sample in made])


def as_face(sample: Sample) -> Sample:
    crops = np.repeat(sample.crops[:, :64, :64, None], 3, 3)
    info = replace(sample.info, crop="face", size_px=64, colour="rgb")
    return replace(sample, info=info, crops=crops)


def written(folder: Path, samples: list[Sample]) -> Path:
    write_processed(folder, samples)
    pairs(folder, settings=PairsSettings(val_fraction=0.34, test_fraction=0.0))
    return folder


# ------------------------------------------------------------------------------------- the network


def test_projections_bring_both_sides_together() -> None:
    seeing, hearing = torch.nn.Identity(), torch.nn.Identity()
    how = {"max_offset": 3, "head": PlainHead()}
    both = two_stream(seeing, hearing, sizes=(6, 4), projection=5, **how)
    assert isinstance(both.video_encoder, Projected)
    assert both.video_encoder.pretrained is seeing
    assert both.encode_video(torch.randn(2, 6, 7)).shape == (2, 5, 7)
    assert both.encode_audio(torch.randn(2, 4, 9)).shape == (2, 5, 9)
    half = two_stream(seeing, hearing, sizes=(6, 4), projection=4, **how)
    assert isinstance(half.video_encoder, Projected)
    assert half.audio_encoder is hearing, "it has the size already"
    assert two_stream(seeing, hearing, sizes=(4, 4), projection=0, **how).video_encoder is seeing
    with pytest.raises(ValueError, match="6 and 4"):
        two_stream(seeing, hearing, sizes=(6, 4), projection=0, **how)


def test_heads_are_chosen_by_name_with_options_of_their_own() -> None:
    def head(**options: object) -> torch.nn.Module:
        return build("fcn-mouth+fcn-mel", projection=8, **HALVES, **options)[1].head

    assert type(head()) is VolumeHead
    assert head(**{"head.channels": 3}).layers[0].out_channels == 3
    assert isinstance(head(head="plain"), PlainHead)
    attentive = head(head="attentive", **{"head.heads": 2, "head.reach": 1})
    assert isinstance(attentive, AttentiveHead)
    assert (attentive.heads, attentive.reach) == (2, 1)
    for options, words in (
        ({"head": "plian"}, "Did you mean plain"),
        ({"head": "plain", "head.channels": 3}, "the head plain has no option 'channels'"),
        ({"head": "attentive", "head.heads": 3}, "3 heads do not divide 8"),
    ):
        with pytest.raises(UsageError, match=words):
            head(**options)


@pytest.mark.parametrize("head", [spec.name for spec in registry.heads.all()])
@pytest.mark.parametrize(
    "check",
    [contract.check_volume_shape, contract.check_volume_shift, contract.check_volume_range,
     contract.check_sign, contract.check_saving],
    ids=lambda check: check.__name__.removeprefix("check_"),
)  # fmt: skip
def test_any_head_keeps_the_contract(head: str, check: Callable[[BackboneSpec], None]) -> None:
    check(replace(model_spec("fcn-mouth+fcn-mel"), small={"projection": 8, "head": head, **HALVES}))


@pytest.mark.parametrize("head", [spec.name for spec in registry.heads.all()])
def test_any_head_trains(head: str, mouths: Path, tmp_path: Path) -> None:
    chosen = {**HALVES, "projection": 8, "head": head}
    settings = replace(TINY, options=(chosen,), pretrained="no")
    best = train(mouths, tmp_path / "run", settings)
    loaded = load_model("fcn-mouth+fcn-mel", weights=best, device="cpu")
    assert loaded.spec.options["head"] == head


# ---------------------------------------------------------------------------------- published weights


def test_halves_of_the_default_network_come_with_its_weights() -> None:
    spec, pair = build("fcn-mouth+fcn-mel")
    assert load_pretrained(spec, pair) == {"video": "fcn-cls.v7", "audio": "fcn-cls.v7"}
    whole = load_model("fcn-cls", device="cpu", runtime="torch").network
    mine, wanted = pair.state_dict(), whole.state_dict()
    encoders = [key for key in wanted if "_encoder." in key]
    assert len(encoders) > 50
    assert all(torch.equal(mine[key], wanted[key]) for key in encoders)


def test_weights_that_are_not_here_are_passed_over_or_asked_for() -> None:
    spec, pair = build("resnet3d+fcn-mel", **{"video.stages": 1})
    before = pair.video_encoder.state_dict()
    assert load_pretrained(spec, pair) == {"audio": "fcn-cls.v7"}
    after = pair.video_encoder.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    with pytest.raises(MissingError, match="synctool download r3d-18"):
        load_pretrained(spec, pair, required=True)


def test_weights_of_other_options_do_not_fit() -> None:
    spec, network = construct(model_spec("fcn-mouth+fcn-mel"), {"audio.width": 8})
    with pytest.raises(WeightsError, match="other shape"):
        load_pretrained(spec, network)


def test_an_encoder_without_published_weights_says_so() -> None:
    spec = replace(model_spec("fcn-mouth+fcn-mel"), weights=None, name="odd")
    with pytest.raises(MissingError, match="nobody published weights for odd"):
        put_published(spec, torch.nn.Identity())


# ------------------------------------------------------------------------------------------ training


@pytest.mark.parametrize("noted", [True, False], ids=["noted", "of an older version"])
@pytest.mark.parametrize("first", [{}, {"audio": "some.v1"}], ids=["none", "some"])
def test_a_continued_run_says_what_it_began_with(
    first: dict[str, str],
    noted: bool,
    mouths: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Weights that were downloaded in between are not in it, and those that have gone still are."""
    loads = iter([first, {"video": "later.v9"}])
    monkeypatch.setattr("synctool.training.run.load_pretrained", lambda *_, **__: dict(next(loads)))
    settings = replace(TINY, options=options(TINY.backbone), epochs=2, pretrained="auto")
    out = tmp_path / "run"

    def stops(progress: TrainProgress) -> None:
        if progress.metrics is not None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(mouths, out, settings, on_progress=stops)
    if not noted:
        config = (out / "config.toml").read_text().partition("[run.pretrained]")[0]
        (out / "config.toml").write_text(config)
    assert check_training(mouths, out, settings).pretrained == first
    best = train(mouths, out, settings)
    with safe_open(str(best), "pt") as file:
        assert json.loads(file.metadata().get("pretrained", "{}")) == first
    assert next(loads) == {"video": "later.v9"}, "they were not even looked for"


@pytest.mark.parametrize(
    "name", ["fcn-mouth+fcn-mel", "resnet3d+vggish", "fcn-mouth+wav2vec2", "i3d+fcn-mel"]
)
def test_a_pair_trains_on_mouths_and_is_used_again(name: str, mouths: Path, tmp_path: Path) -> None:
    settings = replace(TINY, backbone=name, options=options(name), pretrained="no")
    seen: list[TrainProgress] = []
    best = train(mouths, tmp_path / "run", settings, on_progress=seen.append)
    assert np.isfinite(seen[0].loss)
    with safe_open(str(best), "pt") as file:
        header = file.metadata()
    assert header["backbone"] == name
    assert json.loads(header["options"]).items() >= small(name).items()
    loaded = load_model(name, weights=best, device="cpu")
    assert loaded.spec.full_name == name
    assert loaded.spec.video.crop == "mouth"
    assert loaded.spec.video.size_px == 72
    channels = loaded.spec.video.channels
    assert channels == model_spec(name).video.channels, (
        "grey in three channels for a colour network"
    )
    video = torch.rand(1, channels, 5, 72, 72)
    assert loaded.network.encode_video(video).shape == (1, loaded.spec.embedding_size, 5)


def test_a_pair_trains_on_faces_in_colour(faces: Path, tmp_path: Path) -> None:
    name = "resnet3d+fcn-mel"
    settings = replace(TINY, backbone=name, options=(*options(name), "max_offset=15"),
                       pretrained="no")  # fmt: skip
    plan = check_training(faces, tmp_path / "run", settings)
    assert (plan.video_input.crop, plan.video_input.size_px, plan.video_input.colour) == (
        "face",
        64,
        "rgb",
    )
    loaded = load_model(name, weights=train(faces, tmp_path / "run", settings), device="cpu")
    assert loaded.spec.video.size_px == 64
    assert loaded.spec.video.mean == model_spec(name).video.mean


def test_a_frozen_encoder_stays_as_it_was(mouths: Path, tmp_path: Path) -> None:
    name = "resnet3d+fcn-mel"
    chosen = tuple(f"{k}={v}" for k, v in small(name).items() if k.startswith("video."))
    settings = replace(TINY, backbone=name, options=chosen, freeze="audio", steps_per_epoch=2)
    plan = check_training(mouths, tmp_path / "run", settings)
    assert plan.pretrained == {"audio": "fcn-cls.v7"}
    assert plan.trained < plan.parameters
    train(mouths, tmp_path / "run", settings)
    state = load_file(tmp_path / "run" / WEIGHTS)
    whole = load_model("fcn-cls", device="cpu", runtime="torch").network.state_dict()
    hearing = [key for key in state if key.startswith("audio_encoder.")]
    assert hearing
    assert all(torch.equal(state[key], whole[key]) for key in hearing)
    partly = replace(settings, train_top=1)
    assert check_training(mouths, tmp_path / "other", partly).trained > plan.trained


def test_a_pair_learns(mouths: Path, tmp_path: Path) -> None:
    """The loss of clips seen again and again falls far below that of chance."""
    losses: list[float] = []
    chosen = tuple(f"{k}={v}" for k, v in {**HALVES, "projection": 8}.items())
    settings = replace(
        TINY, options=chosen, pretrained="no", epochs=1, steps_per_epoch=60, batch_size=6,
        window_frames=12, augment=0.0, losses=("cross-entropy=1,on=plain,pool=clip",),
        learning_rate=0.01,
    )  # fmt: skip
    train(mouths, tmp_path / "run", settings, on_progress=lambda p: losses.append(p.loss))
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:5])


# ------------------------------------------------------------------------------------- refused, why


@pytest.mark.parametrize(("loss", "calibration"), [(None, "fitted"), ("mse", "linear")])
def test_a_regressor_trains_and_is_calibrated(
    loss: str | None, calibration: str, mouths: Path, tmp_path: Path
) -> None:
    chosen = (*options("fcn-reg"), f"calibration={calibration}")
    settings = replace(
        TINY, backbone="fcn-reg", options=chosen, losses=None if loss is None else (loss,)
    )
    seen: list[TrainProgress] = []
    best = train(mouths, tmp_path / "run", settings, on_progress=seen.append)
    assert list(seen[0].parts) == [loss or "l1"]
    network = load_model("fcn-reg", weights=best, device="cpu").network
    fitted = network.line.tolist() != [1.0, 0.0]
    assert fitted == (calibration == "fitted")
    with torch.no_grad():
        volume = network.score(
            network.encode_audio(torch.randn(1, 1, 64, 4 * 40)),
            network.encode_video(torch.rand(1, 1, 10, 72, 72)),
            max_offset=15,
            audio_lead=15,
        )
    assert volume.shape == (1, 31, 10)
    assert volume.isfinite().all()


@pytest.mark.parametrize("losses", [("focal",), ("l1", "mse"), ("l1=1,on=plain",)])
def test_a_regressor_takes_one_loss_of_its_own(
    losses: tuple[str, ...], mouths: Path, tmp_path: Path
) -> None:
    settings = replace(TINY, backbone="fcn-reg", options=options("fcn-reg"), losses=losses)
    with pytest.raises(UsageError, match="l1"):
        check_training(mouths, tmp_path / "run", settings)


def test_encoders_that_are_not_there_cannot_be_frozen(faces: Path, tmp_path: Path) -> None:
    settings = replace(TINY, backbone="syncnet", freeze="video")
    with pytest.raises(UsageError, match="no encoders that could be frozen"):
        check_training(faces, tmp_path / "run", settings)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("width",), "'width' is no option"),
        (("video.width=4", "video.width=8"), "video.width twice"),
        (("video.widht=4",), "Did you mean video.width"),
        (({"video.width": "wide"},), "refuses its options"),
    ],
)
def test_options_that_are_written_wrong(
    given: tuple, words: str, mouths: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        check_training(mouths, tmp_path / "run", replace(TINY, options=given))
    assert words in str(caught.value)


def test_a_run_with_other_options_is_another_run(mouths: Path, tmp_path: Path) -> None:
    chosen = tuple(f"{k}={v}" for k, v in {**HALVES, "projection": 8}.items())
    settings = replace(TINY, options=chosen, pretrained="no")
    train(mouths, tmp_path / "run", settings)
    assert check_training(mouths, tmp_path / "run", settings).continues
    with pytest.raises(UsageError, match="another options"):
        check_training(mouths, tmp_path / "run", replace(settings, options=chosen[1:]))
    with pytest.raises(UsageError, match="another freeze"):
        check_training(mouths, tmp_path / "run", replace(settings, freeze="audio"))


def test_weights_of_another_backbone_name_it(tmp_path: Path) -> None:
    spec, network = build("fcn-mouth+fcn-mel", projection=8, **HALVES)
    path = tmp_path / "pair.safetensors"
    facts = training_facts(spec, model_spec(spec.full_name))
    save_weights(path, network.state_dict(), metadata(facts))
    assert load_model("fcn-mouth+fcn-mel", weights=path, device="cpu").spec.embedding_size == 8
    with pytest.raises(WeightsError, match=r"weights of fcn-mouth\+fcn-mel, not of fcn-cls") as e:
        load_model("fcn-cls", weights=path)
    assert "--backbone fcn-mouth+fcn-mel" in e.value.remedy


def test_default_tags_are_the_same_backbone(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, build("fcn-cls")[1].state_dict(), {"backbone": "fcn-cls.mouth"})
    assert load_model("fcn-cls", weights=path, device="cpu").spec.full_name == "fcn-cls"


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"options": "{"}, "header of w.safetensors is damaged"),
        ({"options": "[1]"}, "header of w.safetensors is damaged"),
        ({"options": '{"no_such": 1}'}, "no_such"),
        ({"pictures": '{"crop": 1}'}, "header of w.safetensors is damaged"),
        ({"backbone": "of-a-plugin-that-is-gone"}, "weights of of-a-plugin-that-is-gone"),
    ],
)
def test_headers_that_lead_nowhere(header: dict[str, str], words: str, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file(build("fcn-cls")[1].state_dict(), path, header)
    with pytest.raises(WeightsError) as caught:
        load_model("fcn-cls", weights=path, device="cpu")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("fcn-mouth+fcn-mel", EXIT_MISSING, "synctool train --backbone fcn-mouth+fcn-mel"),
        ("fcn-mel+fcn-mouth", EXIT_USAGE, "fcn-mouth+fcn-mel"),
        ("fcn-mouth", EXIT_USAGE, "fcn-mouth+fcn-mel"),
        ("fcn-mouth+fcn-mle", EXIT_USAGE, "Did you mean fcn-mel"),
        ("fcn-mouth+fcn-cls", EXIT_USAGE, "takes no partner"),
    ],
)
def test_detect_says_what_to_do_about_a_pair(
    name: str, code: int, words: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    video_file = tmp_path / "film.mp4"
    video_file.write_bytes(b"never opened")
    assert main(["detect", str(video_file), "--backbone", name]) == code
    assert words in capsys.readouterr().err


def test_a_spec_of_a_pair_says_what_it_takes() -> None:
    spec = model_spec("resnet3d.mc3_18+wav2vec2")
    assert isinstance(spec, BackboneSpec)
    assert spec.full_name == "resnet3d.mc3_18+wav2vec2"
    assert spec.video.crop == "face"
    assert spec.audio.kind == "waveform16k"
    assert not spec.bounded
