"""SimCLR: which frame is the same in two augmented views?"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synctool.data.windows import WindowBatch
from synctool.training.losses.loss_inputs import embeddings
from synctool.training.replicas import gather
from synctool.training.tasks.two_views import Projection, of_both_sides, rows_of, second_view


class SimClr(nn.Module):
    """NT-Xent between two views of every window (Chen et al. 2020), for video and audio by themselves.

    A view is a window with augmentation of its own. A frame of one view is told from the frames of all
    clips in both, those of its own clip among them that are six or more frames away: without these, the
    face and the voice alone would tell. Video and audio are two tasks of equal weight that share nothing.
    Equal embeddings for everything give ln(2N - 1) for N frames.

    It does not use ``offset_frames``.

    Args:
        embedding: D.
        max_offset: K; not needed here.
        temperature: Of the softmax.
    """

    def __init__(self, *, embedding: int, max_offset: int, temperature: float = 0.1) -> None:
        super().__init__()
        self.of_pictures = Projection(embedding=embedding)
        self.of_sounds = Projection(embedding=embedding)
        self.temperature = temperature

    def forward(self, model: nn.Module, batch: WindowBatch) -> tuple[Tensor, dict[str, float]]:
        """The loss of a batch, and accuracies as parts: how often the same frame is the nearest.

        Args:
            model: The network, in training mode.
            batch: Windows in two views.

        Raises:
            UsageError: They have one view.
        """
        views = embeddings(model, batch), embeddings(model, second_view(batch))
        losses, hits = [], []
        for side, projection in enumerate((self.of_pictures, self.of_sounds)):
            first, second = rows_of(views[0][side], views[1][side])
            first, second = gather(projection(first)), gather(projection(second))
            loss, hit = nt_xent(first, second, self.temperature)
            losses.append(loss)
            hits.append(hit)
        return of_both_sides("simclr", losses, hits)


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """The normalised, temperature-scaled cross-entropy of Chen et al. (2020), and its accuracy.

    Args:
        first: ``[N, P]``, unit length.
        second: ``[N, P]``, unit length; row i is the other view of row i.
        temperature: Of the softmax.
    """
    rows = torch.cat([first, second])
    itself = torch.eye(len(rows), dtype=torch.bool, device=rows.device)
    logits = (rows @ rows.T / temperature).masked_fill(itself, float("-inf"))
    labels = torch.arange(len(rows), device=rows.device).roll(len(first))
    hits = (logits.argmax(1) == labels).float().mean()
    return F.cross_entropy(logits, labels), hits
