"""Regression of the offset: the mean of a volume's distribution against the truth, in frames.

Args and calling are as in ``synctool.training.losses.volume``. Far from the truth their gradient pulls
towards the middle of the range: they are for the last step, beside a loss that chooses.
"""

from __future__ import annotations

from torch import Tensor

from synctool.training.losses.base import known_mean, log_probabilities
from synctool.training.losses.loss_inputs import Evidence
from synctool.training.losses.volume import Pool, VolumeLoss, expected_offsets, known_targets


class _Regression(VolumeLoss):
    def errors(self, evidence: Evidence) -> tuple[Tensor, Tensor]:
        """Expected minus true offset ``[B, T]`` in frames, and which of them count."""
        logits = self.logits(evidence)
        _, known = known_targets(evidence, logits)
        expected = expected_offsets(log_probabilities(logits).exp())
        return expected - evidence.offset_frames[:, None], known


class L1(_Regression):
    """``|E[n] - offset|`` in frames; ``E[n] = sum_r p_r n_r`` is the soft-argmax (Kendall et al. 2017).

    Args:
        on: ``head``, ``plain`` or ``local``.
        pool: Frames averaged before.
    """

    def __init__(self, *, on: str = "head", pool: Pool = 1) -> None:
        super().__init__(on=on, pool=pool)

    def forward(self, evidence: Evidence) -> Tensor:
        """The loss of a batch, a scalar."""
        errors, known = self.errors(evidence)
        return known_mean(errors.abs(), known)


class Mse(_Regression):
    """``(E[n] - offset)^2`` in square frames; ``E[n]`` as in ``L1``.

    Args:
        on: ``head``, ``plain`` or ``local``.
        pool: Frames averaged before.
    """

    def __init__(self, *, on: str = "head", pool: Pool = 1) -> None:
        super().__init__(on=on, pool=pool)

    def forward(self, evidence: Evidence) -> Tensor:
        """The loss of a batch, a scalar."""
        errors, known = self.errors(evidence)
        return known_mean(errors**2, known)
