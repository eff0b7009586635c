"""Training of a network that gives a number in place of a choice: what it is trained towards, and the
line that is put behind it afterwards."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synctool.data.windows import WindowBatch
from synctool.errors import UsageError
from synctool.features.video_input import prepared
from synctool.models.offset_regressor import OffsetRegressor
from synctool.training.losses.base import known_mean, numbers

_LOSSES = {"l1": F.l1_loss, "mse": F.mse_loss}
"""By the names that ``--loss`` knows; over volumes these are losses of their mean offset."""


class RegressionObjective(nn.Module):
    """Error of every frame's answer, in units of the largest offset, so that it is of other losses' size.

    The least error of ``mse``, the squared one, lies at the mean of the offsets that the evidence
    leaves open, that of ``l1`` at their median.

    Args:
        max_offset: K.
        loss: ``l1`` or ``mse``.

    Raises:
        UsageError: There is no such loss.
    """

    def __init__(self, *, max_offset: int, loss: str = "l1") -> None:
        super().__init__()
        if loss not in _LOSSES:
            raise UsageError(
                f"there is no loss {loss!r} for a regression",
                remedy=f"Choose one of {', '.join(_LOSSES)}.",
            )
        self.max_offset = max_offset
        self.loss = loss

    def forward(
        self, model: OffsetRegressor, batch: WindowBatch
    ) -> tuple[Tensor, dict[str, float]]:
        """The loss of a batch over all frames, and the same by name.

        Args:
            model: The network, in training mode.
            batch: Windows.
        """
        answers = predicted(model, batch)
        true = batch.offset_frames[:, None].expand_as(answers)
        errors = _LOSSES[self.loss](
            answers / self.max_offset, true / self.max_offset, reduction="none"
        )
        # The mean over all processes' rows, which need not be as many in each.
        loss = known_mean(errors, torch.ones_like(errors, dtype=torch.bool))
        return loss, numbers({self.loss: loss})


@torch.no_grad()
def fit_line(model: OffsetRegressor, batches: Iterable[WindowBatch]) -> None:
    """Calibrate a trained regressor: its line, if it is one that is fitted, and its spread.

    The line is that of whole windows, whose answer is the mean over their frames, as it is in use; the
    spread is that of single frames.

    Args:
        model: The network; it is left in the mode in which it comes.
        batches: Windows of people that it was trained on, on its device. Others are to judge it.

    Raises:
        ValueError: There are no batches.
    """
    was_training = model.training
    model.eval()
    pairs = [(predicted(model, batch), batch.offset_frames) for batch in batches]
    model.train(was_training)
    if not pairs:
        raise ValueError("there are no windows to fit a line to")
    # Windows of two batches need not be of one length.
    answers = torch.cat([answer.flatten() for answer, _ in pairs])
    true = torch.cat([offset[:, None].expand_as(answer).flatten() for answer, offset in pairs])
    if model.calibration == "fitted":
        whole = torch.cat([answer.mean(1) for answer, _ in pairs])
        slope, intercept = model.calibrate(whole, torch.cat([offset for _, offset in pairs]))
        answers = slope * answers + intercept
    model.fit_spread(answers, true)


def predicted(model: OffsetRegressor, batch: WindowBatch) -> Tensor:
    """A regressor's answers to a batch, in frames: ``[B, T]``."""
    video = prepared(batch.video, batch.video_input)
    return model(batch.audio, video, audio_lead=batch.audio_lead)
