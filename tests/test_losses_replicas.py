"""Two processes with half of a batch each give the gradient of the whole batch."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

import replica_run
from fake_evidence import talking_batch, tiny_model
from synctool.data.windows import WindowBatch
from synctool.plugins import registry
from synctool.training.loss_mixture import loss_terms
from synctool.training.losses.objective import LossTerm, build_objective

pytestmark = pytest.mark.integration

NAMES = [spec.name for spec in registry.losses.all()]


def whole_batch() -> WindowBatch:
    """Four clips whose known frames differ: the audio does not reach the end of the last two."""
    batch = talking_batch(4, clips=4, frames=12)
    offsets = torch.tensor([1.0, 0.5, -3.0, -2.5])
    audio, second = (x[..., : 4 * (12 + 2)] for x in (batch.audio, batch.second_audio))
    targets = torch.linspace(-1, 1, 4 * 2 * 12).view(4, 2, 12)
    targets[1:, :, 5:] = torch.nan
    units = torch.arange(4 * 12).view(4, 12).remainder(6) - 1
    cut = replace(batch, units=units, audio=audio, second_audio=second, audio_lead=1)
    return replace(cut, offset_frames=offsets, targets=targets)


def gradients(terms: tuple[LossTerm, ...], task: str, batch: WindowBatch) -> tuple[float, Tensor]:
    model, teacher = tiny_model(seed=1), tiny_model(seed=2)
    nn.init.normal_(model.head.layers[-1].weight, std=0.1)
    given = {"terms": terms, "teacher": teacher} if task == "sync" else {"terms": ()}
    torch.manual_seed(3)  # losses may have parameters
    objective = build_objective(task, max_offset=3, embedding=8, model=model, **given)
    loss, _ = objective(model, batch)
    loss.backward()
    flat = [torch.zeros_like(p) if p.grad is None else p.grad for p in model.parameters()]
    return loss.item(), torch.cat([g.flatten() for g in flat])


def every_case() -> list[tuple[str, tuple[LossTerm, ...], str]]:
    options = {
        "auxiliary": "=1,on=plain,embedding=8,values=2",
        "speech-units": "=1,embedding=8,units=5",
    }
    terms = [(n, loss_terms([n + options.get(n, "")]), "sync") for n in NAMES]
    return [*terms, *((task, (), task) for task in ("retrieval", "simclr", "moco"))]


def of_half(rank: int) -> dict[str, tuple[float, Tensor]]:
    """What one of two processes finds with its half of the batch; ``replica_run`` calls it."""
    batch, rows = whole_batch(), slice(2 * rank, 2 * rank + 2)
    share = replace(
        batch,
        video=batch.video[rows],
        audio=batch.audio[rows],
        offset_frames=batch.offset_frames[rows],
        units=batch.units[rows],
        second_video=batch.second_video[rows],
        second_audio=batch.second_audio[rows],
        targets=batch.targets[rows],
    )
    return {name: gradients(terms, task, share) for name, terms, task in every_case()}


def test_losses_are_those_of_the_whole_batch(shared: replica_run.Shared) -> None:
    folder = replica_run.two(shared)
    first, second = (torch.load(folder / f"losses{rank}.pt") for rank in (0, 1))
    batch = whole_batch()
    for name, terms, task in every_case():
        loss, gradient = gradients(terms, task, batch)
        assert first[name][0] == pytest.approx(loss, rel=1e-4), name
        assert second[name][0] == pytest.approx(loss, rel=1e-4), name
        averaged = (first[name][1] + second[name][1]) / 2
        assert torch.allclose(averaged, gradient, rtol=1e-3, atol=1e-5), name
