"""Networks made smaller: which channels go, what stays the same, and training what is left."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from fake_samples import talking_sample, write_processed
from synctool.cli.app import main
from synctool.errors import UsageError, WeightsError
from synctool.exporting import pruning
from synctool.exporting.prune import narrower, prune, write_pruned
from synctool.exporting.pruning import fine_tune, prune_weights
from synctool.models.channels import Axis, Channels, Inseparable
from synctool.networks.build import build
from synctool.networks.load import load_model
from synctool.networks.loaded import LoadedModel
from synctool.networks.names import model_spec
from synctool.prepare.pairs import pairs
from synctool.runtimes.torch import TorchRuntime
from synctool.scoring.confidence import UNCALIBRATED
from synctool.settings.pairs import PairsSettings
from synctool.settings.train import TrainSettings
from synctool.training.checkpoint import metadata, save_weights
from synctool.training.train import TrainProgress, check_training, train
from synctool.weights.files import load_weights

pytestmark = pytest.mark.integration

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
BACKBONES = ["fcn-cls", "fcn-attn", "fcn-pyramid", "fcn-reg", "fcn-mouth+fcn-mel", "graph-cls"]


def lively(name: str, *, seed: int = 0, **options: object) -> LoadedModel:
    """A small network whose normalisations are not the trivial ones."""
    torch.manual_seed(seed)
    spec, network = build(name, **{**model_spec(name).small, **options})
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, NORMS):
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(std=0.3)
                module.running_mean.normal_(std=0.3)
                module.running_var.uniform_(0.5, 2.0)
    network.eval().requires_grad_(False)
    runtime = TorchRuntime(network, torch.device("cpu"))
    return LoadedModel(spec, runtime, f"{name}.tiny", UNCALIBRATED, 0.5)


def embeddings(model: LoadedModel, frames: int = 6) -> tuple[Tensor, Tensor]:
    """Of one made-up clip."""
    chance = torch.Generator().manual_seed(3)
    side = model.spec.video.size_px
    video = torch.rand(1, 1, frames, side, side, generator=chance)
    audio = torch.randn(1, 1, 64, 4 * frames, generator=chance)
    return model.network.encode_video(video), model.network.encode_audio(audio)


def apart(a: LoadedModel, b: LoadedModel) -> float:
    """Largest difference of the embeddings of two networks."""
    pairs_ = zip(embeddings(a), embeddings(b))
    return max(float((x - y).abs().max()) for x, y in pairs_)


@pytest.mark.parametrize("name", BACKBONES)
def test_a_pruned_network_is_the_same_backbone_with_a_smaller_width(name: str) -> None:
    if name == "graph-cls":
        pytest.importorskip("synctool_plugin_graph")
    model = lively(name)
    before = {k: v.clone() for k, v in model.network.state_dict().items()}
    pruned = prune(model, 0.25)  # compares itself with the original without these channels
    widths = {k: v for k, v in pruned.spec.options.items() if k.rpartition(".")[2] == "width"}
    assert set(widths.values()) == {3}
    again = build(name, **pruned.spec.options)[1]
    again.load_state_dict(pruned.network.state_dict())
    assert pruned.spec.embedding_size == model.spec.embedding_size
    assert (pruned.zero_frames, pruned.calibration) == (0.5, UNCALIBRATED)
    assert pruned.weights == f"{name}.tiny pruned by 25%"
    assert 0 < apart(model, pruned) < 2
    assert all(torch.equal(before[k], v) for k, v in model.network.state_dict().items())


def silence(model: LoadedModel, every: int) -> None:
    """Make every n-th channel of the layers of the encoders zero, where nothing but they feed them."""
    encoder, audio = model.network.video_encoder, model.network.audio_encoder
    groups = [[encoder.norm], *([norm] for norm in audio.norms)]
    for block in encoder.stages:
        groups += [[block.norm1], [block.norm2, block.norm_skip]]
    for norms in groups:
        for norm in norms:
            norm.weight[::every] = 0
            norm.bias[::every] = 0


def test_channels_that_do_nothing_go_first_and_change_nothing() -> None:
    model = lively("fcn-cls")
    silence(model, 4)
    quarter = prune(model, 0.25)
    assert quarter.spec.options["width"] == 3
    assert apart(model, quarter) < 1e-5
    assert apart(model, prune(model, 0.5)) > 1e-2


def test_the_best_channels_say_more_than_fresh_ones() -> None:
    model = lively("fcn-cls", width=8)
    pruned = prune(model, 0.25)
    fresh = [lively("fcn-cls", seed=seed, width=6) for seed in (1, 2)]

    def agreement(other: LoadedModel) -> float:
        """Mean cosine of the embeddings of the same frames."""
        pairs_ = zip(embeddings(model), embeddings(other))
        return min(float((x * y).sum(1).mean()) for x, y in pairs_)

    assert agreement(pruned) > max(map(agreement, fresh)) + 0.3


def test_what_cannot_be_pruned_says_why() -> None:
    with pytest.raises(
        UsageError, match=r"syncnet cannot be pruned: it has no option for its width"
    ) as caught:
        narrower(model_spec("syncnet"), 0.25)
    assert "--teacher" in caught.value.remedy
    for ratio in (0.0, 1.0, -0.5, float("nan")):
        with pytest.raises(UsageError, match="above 0 and below 1"):
            narrower(model_spec("fcn-cls"), ratio)
    with pytest.raises(UsageError, match="less than one"):
        narrower(model_spec("fcn-cls"), 0.01)
    assert narrower(model_spec("fcn-cls"), 0.99) == {"width": 1}
    assert narrower(model_spec("fcn-mouth+fcn-mel"), 0.25) == {"video.width": 24, "audio.width": 24}


class Wired(nn.Module):
    """Two layers, and what is between them."""

    def __init__(self, width: int, between: str = "plain") -> None:
        super().__init__()
        self.between = between
        self.first = nn.Conv1d(2, width, 1)
        self.second = nn.Conv1d(width if between != "stack" else 2 * width, 3, 1)
        self.norm = nn.LayerNorm(width) if between == "layer norm" else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x).relu()
        if self.between == "mixed":
            x = x - x.mean(1, keepdim=True)
        elif self.between == "folded":  # channels 2c and 2c+1 are added, and each stands twice
            x = x.unflatten(1, (-1, 2)).sum(2).repeat_interleave(2, 1)
        elif self.between == "stack":
            x = torch.cat([x, -x], 1)
        elif self.between == "layer norm":
            x = self.norm(x.transpose(1, 2)).transpose(1, 2)
        return self.second(x)


def channels_of(between: str, kept: int = 4) -> Channels:
    net = Wired(8, between).eval()
    return Channels(net, Wired(kept, between), {"": lambda: net(torch.randn(1, 2, 5))})


def test_channels_are_found_by_where_their_numbers_go() -> None:
    first, second = Axis("first", "out"), Axis("second", "in")
    (plain,) = channels_of("plain", 5).sets
    assert plain.kept == 5
    assert plain.channels == tuple({first: (i,), second: (i,)} for i in range(8))
    (stack,) = channels_of("stack").sets
    assert stack.channels[3] == {first: (3,), second: (3, 11)}
    (folded,) = channels_of("folded").sets
    assert folded.kept == 2  # of four pairs
    assert folded.channels[1] == {first: (2, 3), second: (2, 3)}


@pytest.mark.parametrize(
    ("between", "kept", "words"),
    [
        ("mixed", 4, "hang together"),
        ("folded", 5, "hang together"),
        ("layer norm", 4, "hang together"),
    ],
)
def test_channels_that_hang_together_are_not_torn_apart(
    between: str, kept: int, words: str
) -> None:
    with pytest.raises(Inseparable, match=words):
        channels_of(between, kept)


def test_a_wrong_choice_of_channels_does_not_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    model = lively("fcn-cls")
    state = Channels.state

    def shuffled(self: Channels, taken: list) -> dict[str, Tensor]:
        found = state(self, taken)
        found["audio_encoder.layers.1.weight"] = found["audio_encoder.layers.1.weight"].flip(1)
        return found

    monkeypatch.setattr(Channels, "state", shuffled)
    with pytest.raises(WeightsError, match=r"audio_encoder is .* off the original"):
        prune(model, 0.25)


# --------------------------------------------------------------------------- files and training


@pytest.fixture(scope="module")
def processed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "processed"
    made = [talking_sample(f"k{i}", seed=i, frames=12, speaker=f"s{i % 3}") for i in range(6)]
    write_processed(folder, made)
    pairs(folder, settings=PairsSettings(val_fraction=0.34, test_fraction=0.0))
    return folder


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "wide.safetensors"
    state = lively("fcn-cls").network.state_dict()
    facts = {
        "backbone": "fcn-cls",
        "options": dict(model_spec("fcn-cls").small),
        "zero_frames": 0.5,
    }
    save_weights(path, state, metadata(facts))
    return path


def test_pruned_weights_load_as_all_others_do(weights: Path, tmp_path: Path) -> None:
    pruned = prune(load_model(weights=weights, device="cpu"), 0.5)
    path = write_pruned(tmp_path / "out.safetensors", pruned)
    again = load_model(weights=path, device="cpu")
    assert apart(pruned, again) == 0
    assert again.spec == pruned.spec and again.zero_frames == 0.5
    header = load_weights(path).metadata
    assert json.loads(header["options"]) == {"embedding": 16, "width": 2}
    assert header["pruned"].startswith("wide sha256:") and "calibration" not in header


def tiny(self: pruning.Pruned, steps: int) -> TrainSettings:
    """Settings as short as a test takes."""
    return replace(
        SETTINGS(self, steps), batch_size=2, window_frames=6, device="cpu", workers=0, save_every=1
    )


SETTINGS = pruning.Pruned.settings


def test_pruned_weights_are_trained_again_and_an_interrupted_run_goes_on(
    processed: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning.Pruned, "settings", tiny)
    out = tmp_path / "out"
    pruned = prune_weights("fcn-cls", 0.5, out, weights=weights)
    assert pruned.options == {"embedding": 16, "width": 2}
    assert pruned.parameters[0] > pruned.parameters[1] > 0

    def stop(progress: TrainProgress) -> None:
        if progress.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fine_tune(pruned, processed, steps=3, on_progress=stop)
    again = prune_weights("fcn-cls", 0.5, out, weights=weights)
    assert again == pruned
    steps: list[int] = []
    best = fine_tune(
        again, processed, steps=3, on_progress=lambda p: p.metrics is None and steps.append(p.step)
    )
    assert steps[-1] == 3 and 1 not in steps
    tuned = load_model(weights=best, device="cpu")
    assert tuned.spec.options["width"] == 2
    config = (best.parent / "config.toml").read_text()
    assert "distillation" not in config and str(weights) in config
    assert apart(tuned, load_model(weights=pruned.path, device="cpu")) > 0
    with pytest.raises(UsageError, match="another share"):
        prune_weights("fcn-cls", 0.25, out, weights=weights)


def test_the_command_that_trains_pruned_weights_is_a_real_one(
    processed: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pruned = prune_weights("fcn-cls", 0.5, tmp_path / "my out", weights=weights)
    words = shlex.split(pruned.command(processed, steps=300))
    assert words[:2] == ["synctool", "train"]
    assert main([*words[1:], "--device", "cpu", "--window-frames", "6", "--check"]) == 0
    told = capsys.readouterr().out
    assert "length: 300 steps" in told and "distillation x 1" in told
    assert "teacher: fcn-cls, 0.08 million parameters, wide sha256:" in told


def test_a_regressor_is_trained_again_without_a_teacher(tmp_path: Path) -> None:
    model = lively("fcn-reg")
    path = tmp_path / "reg.safetensors"
    facts = {"backbone": "fcn-reg", "options": dict(model_spec("fcn-reg").small)}
    save_weights(path, model.network.state_dict(), metadata(facts))
    pruned = prune_weights("fcn-reg", 0.5, tmp_path / "out", weights=path)
    assert not pruned.teaches and "--teacher" not in pruned.command()


@pytest.mark.parametrize(
    ("backbone", "options"),
    [
        ("fcn-cls", {"width": 2, "embedding": 8}),
        ("graph-cls", {"width": 2, "embedding": 8, "grid": 2}),
        ("fcn-mouth+fcn-mel", {"projection": 8, "video.width": 2, "video.embedding": 4}),
    ],
)
def test_a_student_of_another_make_learns_from_a_teacher(
    processed: Path, weights: Path, tmp_path: Path, backbone: str, options: dict[str, int]
) -> None:
    if backbone == "graph-cls":
        pytest.importorskip("synctool_plugin_graph")
    settings = TrainSettings(
        backbone=backbone,
        options=(options,),
        losses=("distillation",),
        pretrained="no",
        epochs=1,
        steps_per_epoch=1,
        batch_size=2,
        window_frames=6,
        device="cpu",
        workers=0,
    )
    plan = check_training(processed, tmp_path / "run", settings, teacher=weights)
    assert plan.teacher.startswith("fcn-cls, ") and plan.losses == {"distillation": 1.0}
    best = train(processed, tmp_path / "run", settings, teacher=weights)
    student = load_model(backbone, weights=best, device="cpu")
    assert student.spec.embedding_size == 8


def test_a_teacher_with_other_frames_is_refused_in_words(
    processed: Path, tmp_path: Path, weights: Path
) -> None:
    settings = TrainSettings(
        backbone="resnet3d+fcn-mel", options=({"video.stages": 1},), device="cpu", pretrained="no"
    )
    with pytest.raises(
        UsageError, match=r"crops of 72 px in 0..1 and logmel64, not .*, normalised"
    ):
        check_training(processed, tmp_path / "run", settings, teacher=weights)
