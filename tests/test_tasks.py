"""Tasks without labels: what they cost a collapsed network, and that they teach a small one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

from fake_evidence import Constant, talking_batch, tiny_model
from synctool.errors import UsageError
from synctool.training.losses.objective import build_objective
from synctool.training.tasks.masked import nearest, spans
from synctool.training.tasks.moco import MomentumContrast
from synctool.training.tasks.simclr import nt_xent
from synctool.training.tasks.task_table import TASKS
from synctool.training.tasks.temporal_order import _pieces

pytestmark = pytest.mark.integration

EMBEDDING = 8
CHANCE = {
    "avc": lambda clips: math.log(2),
    "order": lambda clips: math.log(6),
    "retrieval": lambda clips: math.log(clips),
}


def made(task: str, *, seed: int = 0, model: nn.Module | None = None) -> nn.Module:
    torch.manual_seed(seed)
    model = tiny_model(EMBEDDING) if model is None else model
    return build_objective(task, terms=(), max_offset=3, embedding=EMBEDDING, model=model)


def taught(
    task: str,
    steps: int,
    *,
    model: nn.Module,
    batches: Callable,
    objective: nn.Module | None = None,
) -> list[dict[str, float]]:
    objective = objective or made(task, model=model)
    parameters = [*model.parameters(), *objective.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=0.01)
    history = []
    for step in range(steps):
        loss, parts = objective(model, batches(step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(parts)
    return history


def mean(history: list[dict[str, float]], name: str) -> float:
    return sum(parts[name] for parts in history) / len(history)


@pytest.mark.parametrize("task", TASKS)
def test_parts_gradients_and_names(task: str) -> None:
    objective, model = made(task), tiny_model(EMBEDDING)
    loss, parts = objective(model, talking_batch(0))
    assert next(iter(parts)) == task and parts[task] == pytest.approx(loss.item())
    hits = [v for k, v in parts.items() if k.startswith(("accuracy", "recall"))]
    assert len(hits) >= 3 and all(0 <= v <= 1 for v in hits)
    loss.backward()
    for encoder in (model.video_encoder, model.audio_encoder):
        assert all(p.grad.abs().sum() > 0 for p in encoder.parameters())
    assert all(torch.isfinite(p.grad).all() for p in objective.parameters() if p.requires_grad)


@pytest.mark.parametrize("task", TASKS)
def test_a_step_is_drawn_from_the_generator_alone(task: str) -> None:
    model, batch = tiny_model(EMBEDDING), talking_batch(0)
    objectives = [made(task) for _ in range(2)]  # one that has a queue is another after a step
    state = torch.get_rng_state()
    first = objectives[0](model, batch)[1]
    torch.set_rng_state(state)
    assert objectives[1](model, batch)[1] == first


@pytest.mark.parametrize("task", CHANCE)
def test_a_collapsed_network_costs_chance(task: str) -> None:
    objective, model, batch = made(task), tiny_model(EMBEDDING), talking_batch(0)
    model.video_encoder = Constant(model.video_encoder)
    model.audio_encoder = Constant(model.audio_encoder)
    optimizer = torch.optim.Adam(objective.parameters(), lr=0.05)
    best = math.inf
    for _ in range(60):
        loss, _ = objective(model, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        best = min(best, loss.item())
    chance = CHANCE[task](len(batch.video))
    if task == "order":  # six clips are too few for the guessed shares to be even
        assert best > 0.7 * chance
    else:
        assert best == pytest.approx(chance, abs=2e-3)


def test_a_collapsed_network_cannot_predict_what_is_masked() -> None:
    """Targets that are all alike are as far from every prediction: the choice is among N."""
    objective, model, batch = made("masked"), tiny_model(EMBEDDING), talking_batch(0)
    model.video_encoder = Constant(model.video_encoder)
    model.audio_encoder = Constant(model.audio_encoder)
    torch.manual_seed(3)
    places = int(spans(len(batch.video), batch.video.shape[2]).sum())
    torch.manual_seed(3)
    loss, parts = objective(model, batch)
    assert loss.item() == pytest.approx(math.log(places), abs=1e-4)
    assert parts["accuracy"] <= 2 / places


@pytest.mark.parametrize(
    ("task", "steps", "drift", "name", "least"),
    [
        ("avc", 120, False, "accuracy", 0.8),
        ("order", 120, True, "accuracy", 0.5),
        ("retrieval", 60, False, "recall@1", 0.8),
        ("simclr", 40, False, "accuracy", 0.9),
    ],
)
def test_a_small_network_learns(
    task: str, steps: int, drift: bool, name: str, least: float
) -> None:
    model = tiny_model(EMBEDDING)
    history = taught(task, steps, model=model, batches=lambda i: talking_batch(i, drift=drift))
    assert mean(history[-20:], name) > least
    assert mean(history[-20:], task) < 0.75 * mean(history[:3], task)


def test_a_small_network_predicts_what_is_masked() -> None:
    """Neighbours tell of a course that drifts; with independent frames nothing could be told."""
    history = taught(
        "masked",
        120,
        model=tiny_model(EMBEDDING),
        batches=lambda i: talking_batch(i, drift=True),
    )
    assert mean(history[-20:], "masked") < 0.8 * mean(history[:3], "masked")
    assert mean(history[-20:], "accuracy") > 3 / 60, "chance is one in about 60 places"


def test_a_small_network_learns_against_a_queue() -> None:
    """The queue begins with directions by chance, which are easy; it is full of keys after two steps."""
    model = tiny_model(EMBEDDING)
    torch.manual_seed(0)
    objective = MomentumContrast(embedding=EMBEDDING, max_offset=3, model=model, queue=48)
    history = taught("moco", 80, model=model, batches=talking_batch, objective=objective)
    assert mean(history[-20:], "accuracy") > 0.9
    assert mean(history[-20:], "moco") < 0.75 * mean(history[3:6], "moco")


@pytest.mark.parametrize("task", ["avc", "retrieval"])
def test_what_is_learnt_without_labels_tells_offsets(task: str) -> None:
    model = tiny_model(EMBEDDING)
    taught(task, 120, model=model, batches=talking_batch)
    batch = talking_batch(1000)
    with torch.no_grad():
        video = batch.video.float() / 255
        volume = model(batch.audio, video, max_offset=3, audio_lead=batch.audio_lead).logits
    found = volume.mean(2).argmax(1) - 3
    assert (found == batch.offset_frames).float().mean() >= 0.8


def test_the_order_is_found_without_the_offset() -> None:
    objective, model, batch = made("order"), tiny_model(EMBEDDING), talking_batch(0)
    state = torch.get_rng_state()
    first = objective(model, batch)[1]
    torch.set_rng_state(state)
    unknown = replace(batch, offset_frames=torch.full_like(batch.offset_frames, float("nan")))
    assert objective(model, unknown)[1] == first


def test_pieces_have_gaps_between_them() -> None:
    video = torch.arange(13.0).view(1, 1, 13, 1, 1)
    assert _pieces(video, 1, 13)[:, 0, :, 0, 0].tolist() == [[0, 1, 2], [5, 6, 7], [10, 11, 12]]
    audio = torch.arange(4 * 7.0).view(1, 1, 1, 28)
    assert _pieces(audio, 4, 7)[:, 0, 0].tolist() == [
        [0, 1, 2, 3],
        [12, 13, 14, 15],
        [24, 25, 26, 27],
    ]
    assert _pieces(video[:, :, :3], 1, 3).flatten().tolist() == [0, 1, 2]
    with pytest.raises(UsageError, match="windows of 2 frames"):
        _pieces(video[:, :, :2], 1, 2)


def test_spans_hide_about_four_tenths_in_rows() -> None:
    torch.manual_seed(0)
    hidden = spans(200, 60)
    assert hidden.any(1).all()
    assert 0.25 < hidden.float().mean() < 0.45
    for row in hidden[:20]:
        runs = "".join("x" if h else " " for h in row).split()
        assert all(len(run) >= 6 for run in runs)
    assert spans(3, 1).tolist() == [[True]] * 3


def test_the_choice_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(3.0)], [0.0, math.log(3.0)]])
    loss, hits = nearest(logits)
    assert loss.item() == pytest.approx((math.log(4) + math.log(4 / 3)) / 2)
    assert hits.item() == 0.5
    empty = torch.zeros(0, 0, requires_grad=True)
    loss, hits = nearest(empty)
    loss.backward()
    assert (loss.item(), hits.item()) == (0.0, 0.0)


@pytest.mark.parametrize("task", TASKS)
def test_short_windows_and_audio_that_is_missing(task: str) -> None:
    objective, model = made(task), tiny_model(EMBEDDING)
    batch = talking_batch(0, clips=2, frames=5)
    begin = 4 * batch.audio_lead
    cut = replace(batch, audio=batch.audio[..., begin:], audio_lead=0)
    cut = replace(cut, second_audio=batch.second_audio[..., begin:])
    gone = replace(batch, offset_frames=torch.full((2,), 1000.0))  # the audio does not reach there
    for given in (cut, gone):
        loss, parts = objective(model, given)
        loss.backward()
        assert torch.isfinite(loss) and all(math.isfinite(v) for v in parts.values())


def test_a_single_clip() -> None:
    model, batch = tiny_model(EMBEDDING), talking_batch(0, clips=1)
    with pytest.raises(UsageError, match="the batch is one clip") as caught:
        made("retrieval")(model, batch)
    assert "--batch-size" in caught.value.remedy
    parts = made("avc")(model, batch)[1]
    assert "accuracy_elsewhere" in parts and "accuracy_other_clip" not in parts


def test_nt_xent_by_hand() -> None:
    first = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    second = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    loss, hits = nt_xent(first, second, 0.5)
    cosines = [[None, 0, 1, 0.6], [0, None, 0, 0.8], [1, 0, None, 0.6], [0.6, 0.8, 0.6, None]]
    right = [2, 3, 0, 1]
    by_hand = [
        math.log(sum(math.exp(2 * c) for c in row if c is not None)) - 2 * row[i]
        for row, i in zip(cosines, right)
    ]
    assert loss.item() == pytest.approx(sum(by_hand) / 4)
    assert hits.item() == 1.0


def test_a_collapsed_network_cannot_tell_views() -> None:
    """Rows that are all alike cost ln(2N - 1) against the batch, and ln(Q + 1) against a full queue."""
    batch, model = talking_batch(0), tiny_model(EMBEDDING)
    model.video_encoder = Constant(model.video_encoder)
    model.audio_encoder = Constant(model.audio_encoder)
    torch.manual_seed(0)
    loss = made("simclr", model=model)(model, batch)[0]
    clips, frames, sounds = len(batch.video), batch.video.shape[2], batch.audio.shape[-1] // 4
    assert frames % 6 == 0 and sounds % 6 == 0, "so that the place they begin at does not matter"
    chance = [math.log(2 * clips * n // 6 - 1) for n in (frames, sounds)]
    assert loss.item() == pytest.approx(sum(chance) / 2, abs=1e-4)
    objective = MomentumContrast(embedding=EMBEDDING, max_offset=3, model=model, queue=20)
    for _ in range(3):
        loss = objective(model, batch)[0]
    assert loss.item() == pytest.approx(math.log(21), abs=0.05)


def test_the_queue_keeps_the_newest_keys_and_the_average_follows_slowly() -> None:
    model, batch = tiny_model(EMBEDDING), talking_batch(0)
    objective = MomentumContrast(
        embedding=EMBEDDING, max_offset=3, model=model, queue=30, momentum=0.5
    )
    before = objective.queue_video.clone()
    objective(model, batch)
    keys = len(batch.video) * batch.video.shape[2] // 6
    assert keys < 30 and torch.equal(objective.queue_video[keys:], before[: 30 - keys])
    assert torch.allclose(objective.queue_video.norm(dim=1), torch.ones(30), atol=1e-5)
    kept = objective.average.network["model"].video_encoder.layer.weight
    own = model.video_encoder.layer.weight
    assert torch.equal(kept, own), "it begins as a copy"
    with torch.no_grad():
        own += 1.0
    objective(model, batch)
    decay = min(0.5, 3 / 12)
    assert torch.allclose(own - kept, torch.full_like(own, decay), atol=1e-5)
    objective.train()
    assert not kept.requires_grad and not objective.average.network.training
    assert not any(name.startswith("model.") for name in objective.state_dict())


@pytest.mark.parametrize("task", ["simclr", "moco"])
def test_a_batch_of_one_view_is_refused(task: str) -> None:
    batch = replace(talking_batch(0), second_video=None)
    with pytest.raises(UsageError, match="one view"):
        made(task)(tiny_model(EMBEDDING), batch)


@pytest.mark.parametrize("task", ["simclr", "moco"])
def test_views_are_compared_without_the_offset(task: str) -> None:
    model, batch = tiny_model(EMBEDDING), talking_batch(0)
    first = made(task)(model, batch)[1]
    unknown = replace(batch, offset_frames=torch.full_like(batch.offset_frames, float("nan")))
    assert made(task)(model, unknown)[1] == first
