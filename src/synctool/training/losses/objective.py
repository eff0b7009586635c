"""What a network is trained towards: a weighted mixture of losses, or a task without labels."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from torch import Tensor, nn

from synctool.data.windows import WindowBatch
from synctool.errors import SyncToolError, UsageError, described
from synctool.training.builtin import synctool_losses
from synctool.training.losses.base import numbers
from synctool.training.losses.loss_inputs import Evidence, observe
from synctool.training.tasks.task_table import TASKS

Loss = Callable[[Evidence], Tensor]
_BUILT_IN = {spec.name: spec.factory for spec in synctool_losses()}


@dataclass(frozen=True)
class LossTerm:
    """One loss of a mixture. ``synctool.training.loss_mixture`` makes them from what users write.

    Attributes:
        name: Name of the loss.
        weight: Its factor in the sum.
        options: Keyword options of the loss.
        factory: ``package.module:callable`` of its spec; empty for the built-in loss of that name.
        where_available: Leave it out where the network has not the volume that it is computed on,
            instead of refusing.
    """

    name: str
    weight: float = 1.0
    options: Mapping[str, Any] = field(default_factory=dict)
    factory: str = ""
    where_available: bool = False

    @property
    def part(self) -> str:
        """Its name in the log: ``plain/5`` for a cross-entropy, ``focal/plain/5`` for another loss."""
        words = [] if self.name == "cross-entropy" else [self.name]
        if "on" in self.options or not words:
            words.append(str(self.options.get("on", "head")))
        if self.options.get("pool", 1) != 1:
            words.append(str(self.options["pool"]))
        return "/".join(words)


DEFAULT_TERMS: tuple[LossTerm, ...] = (
    LossTerm("cross-entropy", 0.5, {"on": "plain"}),
    LossTerm("cross-entropy", 0.3, {"on": "plain", "pool": 5}),
    LossTerm("cross-entropy", 0.2, {"on": "plain", "pool": "clip"}),
    LossTerm("cross-entropy", 1.0, {"on": "head"}),
    LossTerm("info-nce", 0.1),
    LossTerm("cross-entropy", 0.5, {"on": "local"}, where_available=True),
    LossTerm("cross-entropy", 0.5, {"on": "local", "pool": 5}, where_available=True),
)
"""The mixture that networks are trained with unless another is given."""


class SyncObjective(nn.Module):
    """A weighted sum of losses over what the network makes of a batch.

    Losses with parameters of their own are modules of the objective; the teacher is not, so it is
    neither trained nor stored with it.

    Args:
        terms: The mixture.
        max_offset: K.
        teacher: A trained network with the same inputs, for ``distillation``.

    Raises:
        UsageError: There is no term, no such loss, or a loss refuses its options.
    """

    def __init__(
        self, *, terms: Sequence[LossTerm], max_offset: int, teacher: nn.Module | None = None
    ) -> None:
        super().__init__()
        if not terms:
            raise UsageError("there is no loss to train with", remedy="Name at least one.")
        self.max_offset = max_offset
        self._terms = list(zip(_parts(terms), terms, [_made(term) for term in terms]))
        self.losses = nn.ModuleList(x for *_, x in self._terms if isinstance(x, nn.Module))
        # In a tuple the teacher is no submodule.
        self._teacher = () if teacher is None else (teacher.eval().requires_grad_(False),)

    def forward(self, model: nn.Module, batch: WindowBatch) -> tuple[Tensor, dict[str, float]]:
        """The loss of a batch, and its parts by name, before their weights.

        Args:
            model: The network, in training mode.
            batch: Windows.

        Raises:
            UsageError: The network lacks what a loss is computed on.
        """
        teacher = self._teacher[0].to(batch.video.device) if self._teacher else None
        evidence = observe(model, batch, max_offset=self.max_offset, teacher=teacher)
        total: Tensor | float = 0.0
        parts: dict[str, Tensor] = {}
        for part, term, loss in self._terms:
            if term.where_available and term.options.get("on", "head") not in evidence.volumes:
                continue
            value = loss(evidence).float()
            parts[part] = value.detach()
            total = total + term.weight * value
        assert isinstance(total, Tensor)  # a mixture has a term that is always there
        return total, numbers(parts)


def build_objective(
    task: str,
    *,
    terms: Sequence[LossTerm],
    max_offset: int,
    teacher: nn.Module | None = None,
    embedding: int,
    model: nn.Module | None = None,
) -> nn.Module:
    """What to call as ``objective(model, batch) -> (loss, parts)`` for a task.

    Args:
        task: ``sync``, or a task without labels: a name in ``synctool.training.tasks.task_table.TASKS``.
        terms: Mixture of losses for ``sync``; the other tasks have their own loss.
        max_offset: K.
        teacher: A trained network, for ``distillation`` in ``sync``.
        embedding: D of the network.
        model: The network, for tasks that copy it.

    Raises:
        UsageError: There is no such task, or it takes no losses or teacher.
    """
    if task == "sync":
        return SyncObjective(terms=terms, max_offset=max_offset, teacher=teacher)
    if task not in TASKS:
        known = ["sync", *TASKS]
        near = get_close_matches(task.lower(), known, n=3)
        raise UsageError(
            f"there is no task {task!r}",
            remedy=f"Did you mean {' or '.join(near)}?"
            if near
            else f"There are {', '.join(known)}.",
        )
    if tuple(terms) not in ((), DEFAULT_TERMS) or teacher is not None:
        raise UsageError(
            f"the task {task} has its own loss, and takes no other losses and no teacher",
            remedy="Leave them out, or train the task sync.",
        )
    own = TASKS[task]
    more = {"model": model} if own.copies else {}
    return own.make(embedding=embedding, max_offset=max_offset, **more)


def _made(term: LossTerm) -> Loss:
    if not term.factory and term.name not in _BUILT_IN:
        raise UsageError(
            f"there is no built-in loss {term.name!r}", remedy=f"There are {', '.join(_BUILT_IN)}."
        )
    module, _, attribute = (term.factory or _BUILT_IN[term.name]).partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)(**term.options)
    except UsageError as error:
        raise UsageError(f"{term.name}: {error.cause}", remedy=error.remedy) from error
    except SyncToolError:
        raise
    except Exception as error:  # a plugin's loss may refuse its options with any error
        raise UsageError(
            f"the loss {term.name} cannot be made: {described(error)}",
            remedy="Check its options.",
        ) from error


def _parts(terms: Sequence[LossTerm]) -> list[str]:
    """Names of the terms in the log, each of them once."""
    taken: dict[str, int] = {}
    for term in terms:
        taken[term.part] = taken.get(term.part, 0) + 1
    seen: dict[str, int] = {}
    names = []
    for term in terms:
        seen[term.part] = seen.get(term.part, 0) + 1
        more = taken[term.part] > 1 and seen[term.part] > 1
        names.append(f"{term.part}#{seen[term.part]}" if more else term.part)
    return names
