"""Schedules, averages, groups of layers, timing and logs, each by itself."""

from __future__ import annotations

import csv
import importlib.machinery
import math
import os
import sys
import time
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from synctool.errors import MissingError
from synctool.training.averaging import Average
from synctool.training.logs import EPOCHS, STEPS, CsvLog, check_loggers, loggers, open_logs
from synctool.training.schedules import Patience, Plateau, Schedule
from synctool.training.stage_timing import LOADING, StageTimer, bottleneck
from synctool.training.unfreezing import LayerGroups, Unfreezing


@pytest.mark.parametrize(
    ("shape", "warmup", "expected"),
    [
        # Ten steps, one of them warm: 0.05, then half a cosine over nine.
        ("one-cycle", None, {0: 0.05, 1: 1.0, 5: 0.5 + 0.5 * math.cos(math.pi * 4 / 9)}),
        ("cosine", None, {0: 1.0, 5: 0.5, 9: 0.5 + 0.5 * math.cos(math.pi * 0.9)}),
        ("cosine", 0.5, {0: 0.05, 1: 0.05 + 0.95 / 5, 5: 1.0}),
        ("constant", None, {0: 1.0, 9: 1.0}),
        ("constant", 0.2, {0: 0.05, 1: 0.525, 2: 1.0}),
        ("plateau", None, {0: 1.0, 9: 1.0}),
    ],
)
def test_rates_by_hand(shape: str, warmup: float | None, expected: dict[int, float]) -> None:
    plan = Schedule(2, 5, 2.0, shape=shape, warmup=warmup)
    for step, share in expected.items():
        assert plan.rate(step) == pytest.approx(2.0 * share)


def test_a_plateau_waits_and_halves_again() -> None:
    plateau = Plateau(patience=2)
    scales = []
    for score in (0.5, 0.4, 0.5, 0.6, 0.1, 0.1, 0.1, 0.1):
        plateau.see(score)
        scales.append(plateau.scale)
    assert scales == [1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125]
    again = Plateau(patience=2)
    again.load_state_dict(plateau.state_dict())
    again.see(0.61)
    assert again.scale == 0.125


def test_patience_counts_from_the_best() -> None:
    patience = Patience(2)
    ends = [patience.see(better=better) for better in (True, False, True, False, False)]
    assert ends == [False, False, False, False, True]
    never = Patience(0)
    assert not any(never.see(better=False) for _ in range(100))


def test_an_average_by_hand() -> None:
    model = nn.BatchNorm1d(1)  # with a counter, which is not averaged
    average = Average(model, decay=0.3)
    nn.init.constant_(model.weight, 2.0)
    model.num_batches_tracked += 7
    average.update(model)  # keeps min(0.3, 2/11)
    first = 2 / 11 * 1.0 + 9 / 11 * 2.0
    assert average.values["weight"].item() == pytest.approx(first)
    nn.init.constant_(model.weight, 0.0)
    average.update(model)  # min(0.3, 3/12)
    average.update(model)  # min(0.3, 4/13)
    assert average.values["weight"].item() == pytest.approx(first * 0.25 * 0.3)
    assert average.values["num_batches_tracked"].item() == 7
    other = Average(model, decay=0.3)
    other.load(average.values, steps=average.steps)
    assert torch.equal(other.values["weight"], average.values["weight"])
    with pytest.raises(KeyError):
        other.load({}, steps=0)


class Wrapped(nn.Module):
    """An encoder that is a wrapper around one network, as those from other libraries are."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.BatchNorm1d(2), nn.Linear(2, 2))


class Partly(nn.Module):
    """An encoder of which a part is pretrained."""

    def __init__(self) -> None:
        super().__init__()
        self.pretrained = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
        self.project = nn.Linear(2, 2)


class TwoStream(nn.Module):
    """Two encoders and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.video_encoder, self.audio_encoder = Wrapped(), Partly()
        self.head = nn.Linear(2, 2)


def test_groups_thaw_from_the_top_in_both_encoders() -> None:
    model = TwoStream()
    groups = LayerGroups(model, Unfreezing(epoch=3, every=2, layer_decay=0.5))
    video, audio = model.video_encoder.network, model.audio_encoder.pretrained
    layers = {"v0": video[0], "v2": video[2], "v3": video[3], "a0": audio[0], "a1": audio[1]}

    def trained(epoch: int) -> str:
        groups.at(epoch)
        assert all(p.requires_grad for p in model.head.parameters())
        assert all(p.requires_grad for p in model.audio_encoder.project.parameters())
        return " ".join(
            n for n, m in layers.items() if all(p.requires_grad for p in m.parameters())
        )

    assert [trained(e) for e in (1, 2, 3, 4)] == ["", "", "v3 a1", "v3 a1"]
    model.train()
    groups.hold()
    assert not video[2].training and video[3].training
    assert [trained(e) for e in (5, 7)] == ["v2 v3 a0 a1", "v0 v2 v3 a0 a1"]
    model.train()
    groups.hold()
    assert video[2].training
    scales = {n: {groups.scale(p) for p in m.parameters()} for n, m in layers.items()}
    assert scales == {"v3": {1}, "v2": {0.5}, "v0": {0.25}, "a1": {1}, "a0": {0.5}}
    assert groups.scale(model.head.weight) == 1


def test_what_a_network_froze_by_itself_stays_frozen() -> None:
    model = TwoStream()
    model.video_encoder.requires_grad_(False)
    assert not LayerGroups(model, Unfreezing(layer_decay=0.5)).at(1)
    assert not any(p.requires_grad for p in model.video_encoder.parameters())


def test_frozen_encoders_keep_all_but_their_top() -> None:
    model = TwoStream()
    model.audio_encoder.pretrained.offset = nn.Parameter(torch.zeros(2))
    groups = LayerGroups(model, Unfreezing(frozen=("audio_encoder",), top=1))
    assert groups.at(1)
    assert not groups.at(2)
    low, high = model.audio_encoder.pretrained
    assert not low.weight.requires_grad and high.weight.requires_grad
    assert not model.audio_encoder.pretrained.offset.requires_grad, "of no layer: with the lowest"
    assert model.audio_encoder.project.weight.requires_grad, "no part of what is pretrained"
    assert all(p.requires_grad for p in model.video_encoder.parameters())
    model.train()
    groups.hold()
    assert not low.training and high.training


class Slow(nn.Module):
    """Encoders that take a while."""

    def encode_video(self, seconds: float) -> float:
        time.sleep(seconds)
        return self.encode_audio(seconds)

    def encode_audio(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds


def test_parts_of_parts_count_once() -> None:
    timer, model = StageTimer(torch.device("cpu")), Slow()
    timer.begin(0)
    with timer.watching(model), timer.stage("other"), timer.stage("loss"):
        time.sleep(0.02)
        assert model.encode_video(0.04) == 0.04
    timer.loaded({LOADING[0]: 0.3, LOADING[1]: 0.1})
    timer.loaded({LOADING[0]: 0.3})
    table = {row.name: row for row in timer.table() if not row.beside}
    for name, seconds in (("video forward", 0.04), ("audio forward", 0.04), ("loss", 0.02)):
        assert seconds <= table[name].seconds < seconds + 0.03
    assert table["other"].seconds < 0.02
    assert sum(row.share for row in table.values()) == pytest.approx(1)
    beside = {row.name: row for row in timer.table() if row.beside}
    assert beside[LOADING[0]].seconds == pytest.approx(0.3)
    assert beside[LOADING[1]].seconds == pytest.approx(0.05)
    assert beside[LOADING[0]].share == pytest.approx(0.6 / 0.7)
    assert "encode_video" not in vars(model)
    timer.clear()
    assert not any(row.seconds for row in timer.table())


def test_only_some_steps_are_measured_where_measuring_costs() -> None:
    timer = StageTimer(torch.device("meta"), every=2)
    for step in range(4):
        timer.begin(step)
        with timer.stage("loss"):
            time.sleep(0.01)
    assert 0.01 <= next(r for r in timer.table() if r.name == "loss").seconds < 0.02


def test_the_bottleneck_is_named() -> None:
    timer = StageTimer(torch.device("cpu"))
    assert bottleneck(timer.table()) == ""
    timer.begin(0)
    with timer.stage("backward"):
        time.sleep(0.01)
    assert bottleneck(timer.table()) == "most of the time is backward (100%)"
    with timer.stage("waiting for data"):
        time.sleep(0.01)
    timer.loaded({LOADING[1]: 1.0})
    said = bottleneck(timer.table())
    assert "waiting for data" in said and LOADING[1] in said and "--workers" in said


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_tables_grow_columns_and_forget_what_was_lost(tmp_path: Path) -> None:
    log = CsvLog(tmp_path)
    log.step({"step": 1, "loss": 2.0})
    log.step({"step": 2, "loss": 1.5, "head": 1.0})
    log.step({"step": 3, "loss": 1.25})
    log.epoch({"step": 3, "loss": 1.5, "score": 0.5})
    assert rows(tmp_path / STEPS)[0] == {"step": "1", "loss": "2.0", "head": ""}
    assert rows(tmp_path / STEPS)[2]["head"] == ""
    CsvLog(tmp_path, since=2)
    assert [row["step"] for row in rows(tmp_path / STEPS)] == ["1", "2"]
    assert not (tmp_path / EPOCHS).exists()


@pytest.mark.parametrize("content", [b"\xff\xfe\x00bad", b"step\nmany\n", b"\x00"])
def test_a_spoilt_table_does_not_stop_a_run(tmp_path: Path, content: bytes) -> None:
    (tmp_path / EPOCHS).write_bytes(content)
    CsvLog(tmp_path, since=5).epoch({"step": 6, "loss": 1.0})
    assert rows(tmp_path / EPOCHS)[-1]["loss"] == "1.0"


def test_tensorboard_is_written_where_it_is(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    for log in open_logs(tmp_path, loggers(None, tensorboard="auto")):
        log.step({"step": 1, "loss": 0.5, "name": "a text"})
        log.epoch({"step": 1, "loss": 0.5, "score": 0.25})
        log.close()
    (events,) = (tmp_path / "tensorboard").iterdir()
    content = events.read_bytes()
    assert b"train/loss" in content and b"epoch/score" in content and b"a text" not in content


@pytest.mark.parametrize(
    ("asked", "tensorboard", "names"),
    [
        (None, "no", ("csv",)),
        (None, "yes", ("csv", "tensorboard")),
        (("csv",), "auto", ("csv",)),
        (("wandb",), "auto", ("csv", "wandb")),
        (("wandb", "tensorboard"), "auto", ("csv", "wandb", "tensorboard")),
        (("wandb", "tensorboard"), "no", ("csv", "wandb")),
    ],
)
def test_loggers_by_flag_and_switch(
    asked: tuple[str, ...] | None, tensorboard: str, names: tuple[str, ...]
) -> None:
    assert loggers(asked, tensorboard=tensorboard) == names


@pytest.mark.parametrize(("name", "module"), [("tensorboard", "tensorboardX"), ("wandb", "wandb")])
def test_a_logger_that_is_asked_for_and_missing(
    name: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingError, match=module) as caught:
        check_loggers(("csv", name))
    assert f"synctool[{name}]" in (caught.value.remedy or "")
    assert caught.value.exit_code == 5


class FakeWandb(types.ModuleType):
    """The calls of wandb that are used, noted; the real one is a client of a service."""

    Settings = dict

    def __init__(self) -> None:
        super().__init__("wandb")
        self.__spec__ = importlib.machinery.ModuleSpec("wandb", None)
        self.begun: dict[str, Any] = {}
        self.metrics: list[tuple[str, str]] = []
        self.rows: list[dict[str, float]] = []
        self.finished = 0

    def init(self, **given: Any) -> FakeWandb:
        self.begun = given
        return self

    def define_metric(self, name: str, step_metric: str = "") -> None:
        self.metrics.append((name, step_metric))

    def log(self, row: dict[str, float]) -> None:
        self.rows.append(row)

    def finish(self) -> None:
        self.finished += 1


def test_wandb_is_written_offline_at_training_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", fake := FakeWandb())
    for name in ("WANDB_MODE", "WANDB_PROJECT", "WANDB_ERROR_REPORTING"):
        monkeypatch.setenv(name, "")  # so that what is set here is taken back
        monkeypatch.delenv(name)
    run = tmp_path / "first"
    run.mkdir()
    (run / "config.toml").write_text("[train]\nepochs = 3\n")
    for log in open_logs(run, ("csv", "wandb")):
        log.step({"step": 7, "loss": 0.5, "name": "a text"})
        log.epoch({"step": 8, "score": 0.25})
        log.close()
    assert fake.begun["mode"] == "offline" and os.environ["WANDB_ERROR_REPORTING"] == "false"
    assert fake.begun["dir"] == str(run) and fake.begun["project"] == "synctool"
    assert fake.begun["config"] == {"train": {"epochs": 3}}
    assert fake.rows == [{"step": 7, "train/loss": 0.5}, {"step": 8, "epoch/score": 0.25}]
    assert ("train/*", "step") in fake.metrics and fake.finished == 1
    first = fake.begun["id"]
    monkeypatch.setenv("WANDB_MODE", "online")
    open_logs(run, ("wandb",), since=8)
    assert fake.begun["id"] == first and fake.begun["resume"] == "allow", "it goes on"
    assert fake.begun["mode"] == "online", "asked for"
