"""Losses by hand, a short training that learns, and a run that goes on exactly where it was killed."""

from __future__ import annotations

import csv
import json
import math
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from fake_samples import talking_sample, write_processed
from synctool.errors import MissingError, TrainingError, UsageError, WeightsError
from synctool.networks.build import build
from synctool.networks.load import load_model
from synctool.networks.names import model_spec
from synctool.prepare.pairs import pairs
from synctool.settings.pairs import PairsSettings
from synctool.settings.train import TrainSettings
from synctool.training.checkpoint import load_state, save_weights
from synctool.training.loop import Schedule, TrainProgress
from synctool.training.losses.base import info_nce, offset_cross_entropy, pooled, soft_targets
from synctool.training.train import train

pytestmark = pytest.mark.integration

SMALL = model_spec("fcn-cls").small
TINY = TrainSettings(
    backbone="fcn-cls",
    epochs=2,
    steps_per_epoch=3,
    batch_size=4,
    learning_rate=1e-3,
    max_offset=15,
    window_frames=16,
    seed=0,
    device="cpu",
    workers=0,
    options=tuple(f"{key}={value}" for key, value in SMALL.items()),
)
WITH_A_WORKER = replace(TINY, workers=1)
"""As by default; the process takes longer to start than all the rest."""


@pytest.fixture
def processed(tmp_path: Path) -> Path:
    folder = tmp_path / "processed"
    made = [talking_sample(f"k{i}", seed=i, frames=48, speaker=f"s{i % 5}") for i in range(10)]
    write_processed(folder, made)
    pairs(folder, settings=PairsSettings(val_fraction=0.2, test_fraction=0.0, other_speaker=1))
    return folder


def test_a_fractional_offset_is_shared_by_its_neighbours() -> None:
    targets = soft_targets(torch.tensor([0.0, 1.25, -2.0, 2.5]), 2)
    assert targets[0].tolist() == [0, 0, 1, 0, 0]
    assert targets[1].tolist() == [0, 0, 0, 0.75, 0.25]
    assert targets[2].tolist() == [1, 0, 0, 0, 0]
    assert targets[3].tolist() == [0, 0, 0, 0, 0]


def test_cross_entropy_by_hand() -> None:
    logits = torch.tensor([[[0.0], [math.log(3.0)], [0.0]]])
    loss = offset_cross_entropy(logits, torch.tensor([[0.0, 1.0, 0.0]]))
    assert loss.item() == pytest.approx(math.log(5 / 3), abs=1e-5)


def test_frames_without_their_audio_do_not_count() -> None:
    logits = torch.zeros(1, 3, 2)
    logits[0, 1, 1] = float("-inf")  # the right audio is missing for the second frame
    loss = offset_cross_entropy(logits, torch.tensor([[0.0, 1.0, 0.0]]))
    assert loss.item() == pytest.approx(math.log(3), abs=1e-5)
    beyond = offset_cross_entropy(logits, torch.zeros(1, 3))
    assert beyond.item() == 0.0


def test_pooling_by_hand() -> None:
    logits = torch.tensor([[[1.0, 2.0, 3.0], [0.0, float("-inf"), 4.0]]])
    out = pooled(logits, 2)
    assert out[0, 0].tolist() == [1.5, 2.5]
    assert torch.isinf(out[0, 1]).all()


def test_info_nce_by_hand() -> None:
    eye = torch.eye(2)
    assert info_nce(eye, eye, torch.tensor(1.0)).item() == pytest.approx(
        math.log(1 + math.exp(-1)), abs=1e-6
    )


def test_the_rate_rises_and_falls() -> None:
    schedule = Schedule(epochs=10, steps_per_epoch=10, learning_rate=1.0)
    rates = [schedule.rate(step) for step in range(100)]
    assert max(rates) == pytest.approx(1.0, abs=0.01)
    assert rates.index(max(rates)) == 10
    assert rates[0] < 0.1 and rates[-1] < 0.01


def test_training_learns_what_belongs_together(processed: Path, tmp_path: Path) -> None:
    seen: list[TrainProgress] = []
    settings = replace(TINY, epochs=1, steps_per_epoch=40, batch_size=8, learning_rate=1e-2)
    train(processed, tmp_path / "run", settings, on_progress=seen.append)
    clip = [p.parts["plain/clip"] for p in seen if p.metrics is None]
    # Chance is ln 31 = 3.43; the made-up mouths are easy.
    assert sum(clip[-4:]) / 4 < 2.9 < sum(clip[:3]) / 3


def test_a_killed_run_goes_on_as_if_nothing_had_happened(processed: Path, tmp_path: Path) -> None:
    whole = train(processed, tmp_path / "whole", TINY)

    class Killed(Exception):
        pass

    def kill(progress: TrainProgress) -> None:
        if progress.step == 5:  # in the middle of the second epoch
            raise Killed

    with pytest.raises(Killed):
        train(processed, tmp_path / "killed", WITH_A_WORKER, on_progress=kill)
    steps: list[int] = []
    again = train(
        processed,
        tmp_path / "killed",
        WITH_A_WORKER,
        on_progress=lambda p: steps.append(p.step),
    )
    assert steps[0] == 4
    first, second = load_model(weights=whole), load_model(weights=again)
    for (name, a), b in zip(
        first.network.state_dict().items(), second.network.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b), name
    assert first.calibration == second.calibration
    assert json.loads((tmp_path / "whole" / "calibration.json").read_text())["reliability"]
    with (tmp_path / "killed" / "log.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2"]


def test_another_run_in_the_same_folder_is_refused(processed: Path, tmp_path: Path) -> None:
    short = replace(TINY, epochs=1, steps_per_epoch=1)
    train(processed, tmp_path / "run", short)
    with pytest.raises(UsageError, match="learning_rate"):
        train(processed, tmp_path / "run", replace(short, learning_rate=1e-4))


def test_training_on_listed_pairs(
    processed: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    listed = processed / "pairs_train.json"
    train(processed, tmp_path / "run", replace(TINY, epochs=1, steps_per_epoch=1), pairs=listed)
    assert "8 of 32 pairs take no part" in caplog.text


def test_another_pairs_file_is_another_run(processed: Path, tmp_path: Path) -> None:
    short, listed = replace(TINY, epochs=1, steps_per_epoch=1), processed / "pairs_train.json"
    train(processed, tmp_path / "run", short, pairs=listed)
    train(processed, tmp_path / "run", short, pairs=listed)
    rows = json.loads(listed.read_text())
    listed.write_text(json.dumps(rows[1:]))
    for given in (listed, None):
        with pytest.raises(UsageError, match="another pairs"):
            train(processed, tmp_path / "run", short, pairs=given)


def test_the_split_beside_the_pairs_is_theirs(processed: Path, tmp_path: Path) -> None:
    (processed / "split.json").unlink()
    fixed = PairsSettings(offsets="-18,3", max_offset=18, test_fraction=0.0)
    pairs(processed, tmp_path / "lists" / "p.csv", fixed)
    short = replace(TINY, epochs=1, steps_per_epoch=1)
    listed = tmp_path / "lists" / "p_train.csv"
    with pytest.raises(UsageError, match="offset of -18 frames, beyond --max-offset 15"):
        train(processed, tmp_path / "run", short, pairs=listed)
    train(processed, tmp_path / "run", replace(short, max_offset=18), pairs=listed)


def test_pairs_of_held_out_people_are_not_trained_on(processed: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="lists 2 clips that the split keeps out of training"):
        train(processed, tmp_path / "run", TINY, pairs=processed / "pairs_val.json")
    assert not (tmp_path / "run").exists()


def test_a_loss_that_is_no_number_stops_the_run(processed: Path, tmp_path: Path) -> None:
    huge, nan = (
        {
            name: torch.full_like(value, number) if value.is_floating_point() else value
            for name, value in load_model_state().items()
        }
        for number in (1e38, float("nan"))
    )
    save_weights(tmp_path / "huge.safetensors", huge, {})
    with pytest.raises(TrainingError, match="not a number") as caught:
        train(processed, tmp_path / "run", TINY, init=tmp_path / "huge.safetensors")
    assert "learning-rate" in (caught.value.remedy or "")
    assert (tmp_path / "run" / "nan-batch.safetensors").is_file()
    save_weights(tmp_path / "nan.safetensors", nan, {})
    with pytest.raises(WeightsError, match="not finite"):
        train(processed, tmp_path / "other", TINY, init=tmp_path / "nan.safetensors")


def test_the_same_weights_are_the_same_file(tmp_path: Path) -> None:
    """The library's own order of the header's strings changes from call to call."""
    names = [tmp_path / f"{number}.safetensors" for number in range(4)]
    for name in names:
        save_weights(name, {"a": torch.arange(3.0)}, {name: name for name in "hgfedcba"})
    assert len({name.read_bytes() for name in names}) == 1
    with safe_open(names[0], "pt") as file:
        assert file.get_tensor("a").tolist() == [0.0, 1.0, 2.0]
        assert file.metadata() == {name: name for name in "hgfedcba"}


def load_model_state() -> dict[str, torch.Tensor]:
    return build("fcn-cls", **SMALL)[1].state_dict()


def test_what_cannot_be_trained_says_so(processed: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="mouth crops"):
        train(processed, tmp_path / "run", replace(TINY, backbone="fcn-cls.rgb112", options=None))
    with pytest.raises(UsageError, match="colour face crops of 224 px"):
        train(processed, tmp_path / "run", replace(TINY, backbone="syncnet", options=None))
    with pytest.raises(MissingError, match="no processed videos"):
        train(tmp_path, tmp_path / "run", TINY, split=processed / "split.json")
    with pytest.raises(MissingError, match="no such split"):
        train(processed, tmp_path / "run", TINY, split=tmp_path / "none.json")


def test_a_state_that_would_run_code_is_not_loaded(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "ran",))

    path = tmp_path / "last.state.pt"
    path.write_bytes(pickle.dumps(Evil(), protocol=2))
    with pytest.raises(WeightsError):
        load_state(path)
    assert not (tmp_path / "ran").exists()
