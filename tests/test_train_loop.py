"""The training loop on a tiny network: exact resume, signals, full disks, early ends."""

from __future__ import annotations

import csv
import json
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

import fake_training
from fake_training import EPOCHS, STEPS, TinyNet, TinyStream, tiny_trainer
from synctool.errors import OutputError, TrainingError, UsageError, WeightsError
from synctool.training.checkpoint import BEST, STATE, WEIGHTS, load_state
from synctool.training.devices import arrange_images, choose_precision
from synctool.training.loop import LoopSettings, Schedule, TrainProgress
from synctool.training.unfreezing import Unfreezing
from synctool.weights.files import load_weights

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """What other tests left behind must not make sums differ from those of another process."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def finished(out: Path, **more: object) -> None:
    out.mkdir(exist_ok=True)
    trainer = tiny_trainer(out, **more)
    trainer.resume()
    trainer.fit(TinyStream(), workers=0)


def same_runs(one: Path, two: Path) -> None:
    a, b = load_state(one / STATE), load_state(two / STATE)
    assert a["step"] == b["step"] == EPOCHS * STEPS
    for part in ("model", "average"):
        for name, value in a[part].items():
            assert torch.equal(value, b[part][name]), name
    for first, second in zip(
        a["optimizer"]["state"].values(), b["optimizer"]["state"].values(), strict=True
    ):
        assert all(torch.equal(first[k], second[k]) for k in first)
    assert torch.equal(a["random"][0]["torch"], b["random"][0]["torch"])
    assert a["random"][0]["python"] == b["random"][0]["python"]
    for name in (WEIGHTS, BEST):
        first, second = load_weights(one / name), load_weights(two / name)
        assert all(torch.equal(v, second.state[k]) for k, v in first.state.items())
        assert first.metadata == second.metadata


def test_a_run_killed_inside_an_epoch_goes_on_bit_for_bit(tmp_path: Path) -> None:
    finished(tmp_path / "whole")
    killed = tmp_path / "killed"
    killed.mkdir()
    # Saved after the steps 3, 4, 6 and 8: what was done in step 7 is lost.
    done = subprocess.run([sys.executable, fake_training.__file__, str(killed), "7"], check=False)
    assert done.returncode == -signal.SIGKILL
    assert load_state(killed / STATE)["step"] == 6
    seen: list[int] = []
    finished(killed, on_progress=lambda p: seen.append(p.step))
    assert seen[0] == 7
    same_runs(tmp_path / "whole", killed)
    tables = [list(csv.DictReader((f / "log.csv").open())) for f in (tmp_path / "whole", killed)]
    assert [row["epoch"] for row in tables[1]] == ["1", "2", "3"]
    # The means of the torn epoch are over all of its steps.
    assert [row["loss"] for row in tables[0]] == [row["loss"] for row in tables[1]]
    assert tables[1][1]["batch"] == str((4 + 5 + 6 + 7) / 4)


@pytest.mark.parametrize(
    ("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_a_run_that_is_asked_to_end_is_saved(
    tmp_path: Path, number: int, raised: type[BaseException]
) -> None:
    finished(tmp_path / "whole")
    before = signal.getsignal(number)

    def ask(progress: TrainProgress) -> None:
        if progress.step == 5:
            signal.raise_signal(number)

    with pytest.raises(raised) as caught:
        finished(tmp_path / "asked", on_progress=ask)
    if raised is SystemExit:
        assert caught.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(number) == before
    assert load_state(tmp_path / "asked" / STATE)["step"] == 6
    finished(tmp_path / "asked")
    same_runs(tmp_path / "whole", tmp_path / "asked")


def test_a_full_disk_leaves_the_last_good_checkpoint(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(progress: TrainProgress) -> None:
        if progress.step == 5:
            resource.setrlimit(resource.RLIMIT_FSIZE, (512, limits[1]))

    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with pytest.raises(OutputError, match=r"last\.state\.pt"):
            finished(tmp_path / "run", on_progress=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert load_state(tmp_path / "run" / STATE)["step"] == 4
    assert not list((tmp_path / "run").glob(".synctool*"))
    finished(tmp_path / "whole")
    finished(tmp_path / "run")
    same_runs(tmp_path / "whole", tmp_path / "run")


def test_a_damaged_state_says_what_to_do(tmp_path: Path) -> None:
    finished(tmp_path)
    whole = (tmp_path / STATE).read_bytes()
    state = load_state(tmp_path / STATE)
    del state["random"]
    torch.save(state, tmp_path / "lacking")
    for content in (b"", whole[:-100], (tmp_path / "lacking").read_bytes()):
        (tmp_path / STATE).write_bytes(content)
        with pytest.raises(WeightsError, match="not a training state") as caught:
            tiny_trainer(tmp_path).resume()
        assert "--init" in (caught.value.remedy or "")


def test_the_state_of_another_network_is_not_taken_up(tmp_path: Path) -> None:
    finished(tmp_path)
    with pytest.raises(WeightsError, match="not a training state"):
        tiny_trainer(tmp_path, model=nn.Linear(3, 1)).resume()


def test_a_run_ends_early_where_the_score_no_longer_rises(tmp_path: Path) -> None:
    seen: list[TrainProgress] = []
    settings = LoopSettings(early_stopping=2)
    finished(
        tmp_path,
        schedule=Schedule(9, 2, 0.01),
        settings=settings,
        scores=[0.1, 0.5, 0.5, 0.4, 0.9],
        on_progress=seen.append,
    )
    assert [p.epoch for p in seen if p.metrics] == [1, 2, 3, 4]
    assert load_weights(tmp_path / BEST).metadata["step"] == "4"
    # It stays ended when it is run again.
    again = tiny_trainer(tmp_path, schedule=Schedule(9, 2, 0.01), settings=settings, scores=[1.0])
    assert again.resume() and again.over
    again.fit(TinyStream(), workers=0)
    assert again.step == 8


def test_the_plateau_halves_the_rate_and_is_remembered(tmp_path: Path) -> None:
    plan = Schedule(4, 1, 0.01, shape="plateau")
    settings, scores = LoopSettings(plateau_epochs=1), [0.5, 0.4, 0.6, 0.5]
    rates: list[float] = []

    def see(progress: TrainProgress) -> None:
        if progress.metrics is None:
            rates.append(progress.rate)
            if progress.step == 3 and len(rates) == 3:
                raise InterruptedError

    with pytest.raises(InterruptedError):
        finished(tmp_path, schedule=plan, settings=settings, scores=list(scores), on_progress=see)
    finished(tmp_path, schedule=plan, settings=settings, scores=scores[2:], on_progress=see)
    assert rates == pytest.approx([0.01, 0.01, 0.005, 0.005, 0.005])


def test_accumulated_batches_are_one_step_by_hand(tmp_path: Path) -> None:
    def plain(model: nn.Module, batch) -> tuple[torch.Tensor, dict[str, float]]:
        loss = ((model(batch.audio[:, 0, 0])[:, 0] - batch.offset_frames) ** 2).mean()
        return loss, {"batch": float(batch.audio_lead)}

    torch.manual_seed(1)
    model, twin = nn.Linear(3, 1), nn.Linear(3, 1)
    twin.load_state_dict(model.state_dict())
    plan = Schedule(1, 2, 0.01, shape="constant", clip_norm=0.5, weight_decay=0.1)
    seen: list[TrainProgress] = []
    tiny_trainer(
        tmp_path,
        model=model,
        objective=plain,
        schedule=plan,
        settings=LoopSettings(accumulate=2, ema=0.0),
        on_progress=seen.append,
    ).fit(TinyStream(), workers=0)
    optimizer = torch.optim.AdamW(
        [{"params": [twin.weight], "weight_decay": 0.1}, {"params": [twin.bias]}],
        lr=0.01,
        weight_decay=0.0,
    )
    stream, losses = TinyStream(), []
    for step in range(2):
        optimizer.zero_grad()
        loss = sum(plain(twin, stream.batch(2 * step + i))[0] for i in range(2)) / 2
        loss.backward()
        nn.utils.clip_grad_norm_(twin.parameters(), 0.5)
        optimizer.step()
        losses.append(loss.item())
    assert [p.loss for p in seen[:2]] == pytest.approx(losses)
    assert [p.parts["batch"] for p in seen[:2]] == [0.5, 2.5]
    assert torch.allclose(model.weight, twin.weight, atol=1e-7)
    kept = load_weights(tmp_path / WEIGHTS).state
    assert torch.equal(kept["weight"], model.weight.detach())  # without an average


def test_a_loss_with_parameters_of_its_own_is_trained_and_kept(tmp_path: Path) -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.factor = nn.Parameter(torch.tensor(1.0))

        def forward(self, model, batch):
            out = self.factor * model(batch.audio[:, 0, 0])[:, 0]
            return ((out - batch.offset_frames) ** 2).mean(), {}

    loss = Scaled()
    finished(tmp_path, objective=loss)
    assert loss.factor.item() != 1.0
    assert "factor" not in " ".join(load_weights(tmp_path / WEIGHTS).state)
    again = Scaled()
    assert tiny_trainer(tmp_path, objective=again).resume()
    assert again.factor.item() == loss.factor.item()
    with pytest.raises(WeightsError):
        tiny_trainer(tmp_path).resume()  # without it the optimizer has other tensors


def test_a_batch_without_a_loss_is_kept_as_tensors(tmp_path: Path) -> None:
    def broken(model: nn.Module, batch) -> tuple[torch.Tensor, dict[str, float]]:
        loss, parts = fake_training.chancy(model, batch)
        return loss / (batch.audio_lead != 2), parts

    with pytest.raises(TrainingError, match="at step 2") as caught:
        finished(tmp_path, objective=broken)
    assert "--learning-rate" in (caught.value.remedy or "")
    kept = load_weights(tmp_path / "nan-batch.safetensors")
    batch = TinyStream().batch(2)
    assert torch.equal(kept.state["audio"], batch.audio)
    assert torch.equal(kept.state["video"], batch.video)
    assert (kept.metadata["step"], kept.metadata["audio_lead"]) == ("2", "2")


@pytest.mark.parametrize("bad", [6, 7, 8])
def test_of_several_batches_of_a_step_the_bad_one_is_kept(tmp_path: Path, bad: int) -> None:
    def broken(model: nn.Module, batch) -> tuple[torch.Tensor, dict[str, float]]:
        loss, parts = fake_training.chancy(model, batch)
        return loss / (batch.audio_lead != bad), {**parts, "lead": float(batch.audio_lead)}

    with pytest.raises(TrainingError, match="at step 2"):
        finished(tmp_path, objective=broken, settings=LoopSettings(accumulate=3))
    kept = load_weights(tmp_path / "nan-batch.safetensors")
    assert torch.equal(kept.state["audio"], TinyStream().batch(bad).audio)
    assert (kept.metadata["step"], kept.metadata["batch"]) == ("2", str(bad))
    assert json.loads(kept.metadata["parts"])["lead"] == f"{bad}.0"


def test_saves_inside_an_epoch_do_not_change_the_run(tmp_path: Path) -> None:
    for name, every, minutes in (("none", 0, 0.0), ("often", 1, 1e-9)):
        finished(tmp_path / name, settings=LoopSettings(save_every=every, save_minutes=minutes))
    same_runs(tmp_path / "none", tmp_path / "often")


def test_layers_thaw_epoch_by_epoch(tmp_path: Path) -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.video_encoder = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 4))
            self.top = nn.Linear(4, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.top(self.video_encoder(x))

    model = Both()
    started = {k: v.clone() for k, v in model.state_dict().items()}
    moved: list[set[str]] = []

    def see(progress: TrainProgress) -> None:
        if progress.metrics is not None:
            now = model.state_dict()
            moved.append({k for k in started if not torch.equal(now[k], started[k])})

    settings = LoopSettings(unfreezing=Unfreezing(epoch=2, every=1))
    finished(tmp_path, model=model, settings=settings, on_progress=see)
    top = {"top.weight", "top.bias"}
    last = {"video_encoder.2.weight", "video_encoder.2.bias"}
    norm = {f"video_encoder.1.{n}" for n in
            ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")}  # fmt: skip
    assert moved == [top, top | last, top | last | norm]


def test_the_loop_runs_in_bfloat16_and_keeps_exact_labels(tmp_path: Path) -> None:
    seen: list[torch.Tensor] = []

    def looking(model: nn.Module, batch) -> tuple[torch.Tensor, dict[str, float]]:
        out = model(batch.audio[:, 0, 0])
        seen.append(batch.offset_frames.clone())
        assert out.dtype == torch.bfloat16
        return out.float().square().mean(), {}

    finished(tmp_path, objective=looking, precision="bfloat16")
    assert torch.equal(seen[0], TinyStream().batch(0).offset_frames)


def test_a_precision_that_the_device_lacks_is_refused() -> None:
    with pytest.raises(UsageError, match="float16 is for NVIDIA"):
        choose_precision("float16", torch.device("cpu"))
    assert choose_precision("auto", torch.device("mps")) == "float32"
    assert choose_precision("bfloat16", torch.device("cpu")) == "bfloat16"


@pytest.mark.parametrize(("channels", "last"), [(4, False), (8, True)])
def test_convolutions_whose_gradients_go_wrong_keep_their_layout(channels: int, last: bool) -> None:
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, channels, 3), torch.nn.Conv2d(channels, 16, 1, stride=2)
    )
    arrange_images(model, torch.device("cpu"))
    assert model[0].weight.is_contiguous(memory_format=torch.channels_last) == last


def test_the_network_is_left_as_it_was_after_being_timed(tmp_path: Path) -> None:
    model = TinyNet()
    finished(tmp_path, model=model)
    assert set(vars(model)) == set(vars(TinyNet()))
