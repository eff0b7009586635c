"""MoCo: which frame is the same in another view, among those of many batches?"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synctool.data.windows import WindowBatch
from synctool.training.averaging import average_into
from synctool.training.losses.base import known_mean
from synctool.training.losses.loss_inputs import embeddings
from synctool.training.replicas import gather
from synctool.training.tasks.two_views import (
    PROJECTED,
    Projection,
    of_both_sides,
    rows_of,
    second_view,
)


class MomentumContrast(nn.Module):
    """Momentum contrast (He et al. 2020) of two views, for video and audio by themselves.

    Frames of the first view are told from the keys of the batches before, which lie in a queue; a key is
    what a slowly moving average of the network makes of the second view. Projections and temperature are
    those of MoCo v2 (Chen et al. 2020). The average normalises by averaged statistics (EMAN: Cai et al.
    2021), so that a batch cannot tell by its own; it begins to move fast, as a run may be short. Equal
    embeddings for everything give ln(Q + 1), Q being the length of the queue once it is full of them.

    It does not use ``offset_frames``.

    Args:
        embedding: D.
        max_offset: K; not needed here.
        model: The network that is trained, of which the average begins as a copy.
        queue: Q, keys of earlier batches.
        momentum: Share of the average kept per step.
        temperature: Of the softmax.
    """

    queue_video: Tensor
    queue_audio: Tensor
    steps: Tensor

    def __init__(
        self,
        *,
        embedding: int,
        max_offset: int,
        model: nn.Module,
        queue: int = 4096,
        momentum: float = 0.999,
        temperature: float = 0.2,
    ) -> None:
        super().__init__()
        self.of_pictures = Projection(embedding=embedding)
        self.of_sounds = Projection(embedding=embedding)
        heads = nn.ModuleList([self.of_pictures, self.of_sounds])
        self.average = Frozen(nn.ModuleDict({"model": model, "heads": heads}))
        self.momentum, self.temperature = momentum, temperature
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        for name in ("queue_video", "queue_audio"):
            self.register_buffer(name, F.normalize(torch.randn(queue, PROJECTED), dim=1))

    def forward(self, model: nn.Module, batch: WindowBatch) -> tuple[Tensor, dict[str, float]]:
        """The loss of a batch, and accuracies as parts: how often the same frame is the nearest.

        Args:
            model: The network, in training mode.
            batch: Windows in two views.

        Raises:
            UsageError: They have one view.
        """
        heads = nn.ModuleList([self.of_pictures, self.of_sounds])
        self._move(nn.ModuleDict({"model": model, "heads": heads}))
        kept = self.average.network
        views = embeddings(model, batch), self._keys(second_view(batch))
        losses, hits = [], []
        for side, name in enumerate(("queue_video", "queue_audio")):
            queries, keys = rows_of(views[0][side], views[1][side])
            queries = heads[side](queries)
            with torch.no_grad():
                keys = kept["heads"][side](keys)  # type: ignore[index]
            queue = getattr(self, name)
            right = (queries * keys).sum(1, keepdim=True)
            logits = torch.cat([right, queries @ queue.clone().T], 1) / self.temperature
            every = torch.ones(len(logits), dtype=torch.bool, device=logits.device)
            losses.append(known_mean(-logits.log_softmax(1)[:, 0], every))
            hits.append(known_mean((logits.argmax(1) == 0).float(), every))
            self._enqueue(queue, gather(keys))
        return of_both_sides("moco", losses, hits)

    @torch.no_grad()
    def _keys(self, batch: WindowBatch) -> tuple[Tensor, Tensor]:
        return embeddings(self.average.network["model"], batch)

    def _move(self, network: nn.Module) -> None:
        self.steps += 1
        steps = int(self.steps)
        decay = min(self.momentum, (1 + steps) / (10 + steps))
        average_into(self.average.network.state_dict(), network, decay=decay)

    @torch.no_grad()
    def _enqueue(self, queue: Tensor, keys: Tensor) -> None:
        """The newest keys stand first, and the oldest fall out."""
        queue.copy_(torch.cat([keys, queue])[: len(queue)])


class Frozen(nn.Module):
    """A copy of a network that is never trained and always in evaluation mode.

    Args:
        network: What is copied.
    """

    def __init__(self, network: nn.ModuleDict) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Frozen:
        """Stay in evaluation mode."""
        return super().train(False)
