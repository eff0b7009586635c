"""What the tasks with two augmented views of one window share: frames to compare, and projections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synctool.data.windows import WindowBatch
from synctool.errors import UsageError
from synctool.training.losses.base import numbers

PROJECTED = 128
"""Numbers of a projection, as published."""
_APART = 6
"""Frames between two rows of a clip: nearer ones see some of the same input, and would be no others."""


class Projection(nn.Module):
    """The two layers behind an encoder that are thrown away (Chen et al. 2020).

    Args:
        embedding: D.
        projected: Numbers of a projection.
    """

    def __init__(self, *, embedding: int, projected: int = PROJECTED) -> None:
        super().__init__()
        self._spread = embedding**0.5  # entries of unit vectors are small
        self.layers = nn.Sequential(
            nn.Linear(embedding, embedding), nn.ReLU(), nn.Linear(embedding, projected)
        )

    def forward(self, rows: Tensor) -> Tensor:
        """``[N, D] -> [N, P]``, unit length."""
        return F.normalize(self.layers(rows * self._spread).float(), dim=1)


def second_view(batch: WindowBatch) -> WindowBatch:
    """The same windows augmented anew.

    Raises:
        UsageError: The batch has one view.
    """
    if batch.second_video is None or batch.second_audio is None:
        raise UsageError(
            "the batch has one view of every window, and the task needs two",
            remedy="Draw windows with views=2.",
        )
    return replace(
        batch,
        video=batch.second_video,
        audio=batch.second_audio,
        second_video=None,
        second_audio=None,
    )


def of_both_sides(
    task: str, losses: Sequence[Tensor], hits: Sequence[Tensor]
) -> tuple[Tensor, dict[str, float]]:
    """The loss of a task, of which video and audio are half each, and its parts.

    Args:
        task: Its name.
        losses: Of video and of audio.
        hits: The same for accuracies, 0..1.
    """
    loss = (losses[0] + losses[1]) / 2
    parts = {
        task: loss,
        "accuracy": (hits[0] + hits[1]) / 2,
        "accuracy_picture": hits[0],
        "accuracy_sound": hits[1],
    }
    return loss, numbers(parts)


def rows_of(*views: Tensor) -> tuple[Tensor, ...]:
    """Every sixth frame of the clips, from a place by chance on, the same of each view.

    Args:
        views: ``[B, D, T]`` each.

    Returns:
        ``[N, D]`` each; row i of each is the same frame.
    """
    frames = views[0].shape[-1]
    first = int(torch.randint(min(_APART, frames), ()))
    return tuple(view[..., first::_APART].transpose(1, 2).flatten(0, 1) for view in views)
