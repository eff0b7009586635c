"""Losses over a score volume: which of the candidate audio frames belongs to a frame.

Each is built with keyword options, and takes ``Evidence`` to a scalar. Two options are common to all:
``on`` names the volume, and ``pool`` how many neighbouring frames are averaged before the choice
(``"clip"``: all of the window).
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from synctool.errors import UsageError
from synctool.training.losses.base import (
    known_frames,
    known_mean,
    log_probabilities,
    offset_cross_entropy,
    pooled,
    soft_targets,
)
from synctool.training.losses.loss_inputs import Evidence

Pool = int | Literal["clip"]
VOLUMES = ("head", "plain", "local")
COSINES = ("plain", "local")
"""The volumes that are cosines times a scale."""
_NEAREST = 0.05
"""Smallest distance of two embeddings that the inverse distance tells from none."""


class VolumeLoss(nn.Module):
    """What the losses over a volume have in common.

    Args:
        on: Name of the volume.
        pool: Number of neighbouring frames whose logits are averaged, or ``"clip"``.
        volumes: The names that ``on`` may have.

    Raises:
        UsageError: There is no such volume, or ``pool`` is no length.
    """

    def __init__(self, *, on: str, pool: Pool, volumes: tuple[str, ...] = VOLUMES) -> None:
        super().__init__()
        one_of("on", on, volumes)
        if pool != "clip" and (not isinstance(pool, int) or isinstance(pool, bool) or pool < 1):
            raise UsageError(
                f"pool is {pool!r}", remedy="Give a number of frames from 1 on, or clip."
            )
        self.on = on
        self.pool = pool

    def pooled(self, volume: Tensor) -> Tensor:
        """``[B, R, T] -> [B, R, T - pool + 1]``; a window shorter than ``pool`` is averaged whole."""
        frames = volume.shape[-1]
        if isinstance(self.pool, int):
            frames = min(self.pool, frames)
        return volume if frames == 1 else pooled(volume, frames)

    def logits(self, evidence: Evidence) -> Tensor:
        """The volume, pooled."""
        return self.pooled(evidence.volume(self.on))


class CrossEntropy(VolumeLoss):
    """Cross-entropy over the offsets: ``-sum_r y_r log p_r``, p the softmax over the candidates.

    A fractional offset's target y is shared linearly by its two neighbouring rows.

    Args:
        on: ``head``, ``plain`` or ``local``.
        pool: Frames averaged before the choice.
        label_smoothing: Share of the target that is spread over all candidates (Szegedy et al. 2016).
    """

    def __init__(self, *, on: str = "head", pool: Pool = 1, label_smoothing: float = 0.0) -> None:
        super().__init__(on=on, pool=pool)
        self.label_smoothing = number("label_smoothing", label_smoothing, below=1.0)

    def forward(self, evidence: Evidence) -> Tensor:
        """The loss of a batch, a scalar."""
        return offset_cross_entropy(
            self.logits(evidence), _targets(evidence), label_smoothing=self.label_smoothing
        )


class Focal(VolumeLoss):
    """Focal loss (Lin et al. 2017): ``-sum_r y_r (1 - p_r)^gamma log p_r``; what is easy counts less.

    Args:
        on: ``head``, ``plain`` or ``local``.
        pool: Frames averaged before the choice.
        gamma: Focusing power; 0 gives the cross-entropy.
    """

    def __init__(self, *, on: str = "head", pool: Pool = 1, gamma: float = 2.0) -> None:
        super().__init__(on=on, pool=pool)
        self.gamma = number("gamma", gamma)

    def forward(self, evidence: Evidence) -> Tensor:
        """The loss of a batch, a scalar."""
        return offset_cross_entropy(self.logits(evidence), _targets(evidence), gamma=self.gamma)


class MultiWay(VolumeLoss):
    """Multi-way matching as published (Chung, Chung & Kang 2019, "Perfect Match").

    The softmax is over the inverse distances ``1 / |v - a_r|`` of the embeddings, without any scale;
    ``cross-entropy`` is the same choice over scaled cosines. Distances below 0.05 count as 0.05.

    Args:
        on: ``plain`` or ``local``.
        pool: Frames averaged before the choice.
    """

    def __init__(self, *, on: str = "plain", pool: Pool = 1) -> None:
        super().__init__(on=on, pool=pool, volumes=COSINES)

    def forward(self, evidence: Evidence) -> Tensor:
        """The loss of a batch, a scalar."""
        cosines = evidence.cosines(self.on)
        missing = torch.isneginf(cosines)
        nearness = distances(cosines).clamp_min(_NEAREST).reciprocal()
        logits = self.pooled(nearness.masked_fill(missing, float("-inf")))
        return offset_cross_entropy(logits, _targets(evidence))


class AngularMargin(VolumeLoss):
    """Cross-entropy that asks the right candidates to win by a margin.

    With ``kind="angle"`` the right cosine becomes ``cos(theta + m)`` (ArcFace: Deng et al. 2019), with
    ``kind="cosine"`` it becomes ``cos(theta) - m`` (CosFace: Wang et al. 2018; AM-Softmax). Where two
    rows share the target, each has the margin in proportion to its share.

    Args:
        on: ``plain`` or ``local``.
        pool: Frames averaged before the choice, after the margin is taken off.
        margin: m, in radians or as a cosine.
        kind: ``angle`` or ``cosine``.
        scale: Factor of the cosines; 0 takes the network's own, which is learned.
    """

    def __init__(
        self,
        *,
        on: str = "plain",
        pool: Pool = 1,
        margin: float = 0.2,
        kind: str = "angle",
        scale: float = 0.0,
    ) -> None:
        super().__init__(on=on, pool=pool, volumes=COSINES)
        self.margin = number("margin", margin, below=math.pi / 2)
        self.kind = one_of("kind", kind, ("angle", "cosine"))
        self.scale = number("scale", scale)

    def forward(self, evidence: Evidence) -> Tensor:
        """The loss of a batch, a scalar."""
        cosines, targets = evidence.cosines(self.on), _targets(evidence)
        missing = torch.isneginf(cosines)
        own = evidence.scale_of(self.on)
        cosines = cosines.masked_fill(missing, 0.0)
        harder = self._harder(cosines, self.margin * targets[:, :, None])
        logits = (harder * (self.scale or own)).masked_fill(missing, float("-inf"))
        return offset_cross_entropy(self.pooled(logits), targets)

    def _harder(self, cosines: Tensor, margin: Tensor) -> Tensor:
        if self.kind == "cosine":
            return cosines - margin
        sines = (1 - cosines**2).clamp_min(1e-6).sqrt()
        turned = cosines * margin.cos() - sines * margin.sin()
        # Beyond pi the cosine would rise again: from there on it goes down in a straight line.
        straight = cosines - margin * margin.sin()
        turned = torch.where(cosines > -margin.cos(), turned, straight)
        return torch.where(margin > 0, turned, cosines)


class TemporalConsistency(VolumeLoss):
    """Neighbouring frames of a clip should agree, since its offset hardly changes.

    With ``of="distribution"`` it is the Jensen-Shannon divergence (Lin 1991) of their probabilities,
    0 to ln 2; with ``of="offset"`` the difference of their expected offsets, in frames. It does not
    look at the true offset, and any constant answer makes it 0: it belongs in a mixture.

    Args:
        on: ``head``, ``plain`` or ``local``.
        pool: Frames averaged before the comparison.
        of: ``distribution`` or ``offset``.
    """

    def __init__(self, *, on: str = "head", pool: Pool = 1, of: str = "distribution") -> None:
        super().__init__(on=on, pool=pool)
        if pool == "clip":
            raise UsageError(
                "temporal-consistency compares neighbouring frames, and pool=clip leaves one",
                remedy="Give a number of frames.",
            )
        self.of = one_of("of", of, ("distribution", "offset"))

    def forward(self, evidence: Evidence) -> Tensor:
        """The loss of a batch, a scalar; 0 for a single frame."""
        logits = self.logits(evidence)
        has_audio = (~torch.isneginf(logits)).any(1)
        known = has_audio[:, 1:] & has_audio[:, :-1]
        log_probs = log_probabilities(logits)
        if self.of == "offset":
            offsets = expected_offsets(log_probs.exp())
            return known_mean((offsets[:, 1:] - offsets[:, :-1]).abs(), known)
        a, b = log_probs[..., 1:], log_probs[..., :-1]
        middle = torch.logaddexp(a, b) - math.log(2)
        divergence = (a.exp() * (a - middle) + b.exp() * (b - middle)).sum(1) / 2
        return known_mean(divergence, known)


class ForeignAudio(VolumeLoss):
    """Another clip's audio fits no better at one offset than at any other.

    The divergence ``KL(even || p)`` of the probabilities that the head gives the candidates of the audio of
    the clip before, as for outliers that a classifier is shown (Hendrycks et al. 2019).

    Args:
        on: ``head``, the only volume that is made of another's audio.
        pool: Frames averaged before the comparison.
    """

    def __init__(self, *, on: str = "head", pool: Pool = 1) -> None:
        super().__init__(on=on, pool=pool, volumes=("head",))

    def forward(self, evidence: Evidence) -> Tensor:
        """The loss of a batch, a scalar."""
        logits = self.pooled(evidence.volume("foreign"))
        has_audio = ~torch.isneginf(logits)
        count = has_audio.sum(1)
        even = has_audio / count.clamp_min(1)[:, None]
        divergence = -(even * log_probabilities(logits)).sum(1) - count.clamp_min(1).log()
        return known_mean(divergence, count > 1)


class Distillation(VolumeLoss):
    """The teacher's distribution is the target (Hinton, Vinyals & Dean 2015).

    ``tau^2 KL(softmax(teacher / tau) || softmax(student / tau))``, over the candidates that both have
    audio for. It does not look at the true offset.

    Args:
        on: Volume of the student: ``head``, ``plain`` or ``local``.
        pool: Frames averaged before the comparison, of both.
        temperature: tau.
    """

    def __init__(self, *, on: str = "head", pool: Pool = 1, temperature: float = 2.0) -> None:
        super().__init__(on=on, pool=pool)
        self.temperature = number("temperature", temperature, above=0.0)

    def forward(self, evidence: Evidence) -> Tensor:
        """The loss of a batch, a scalar.

        Raises:
            UsageError: There is no teacher.
        """
        if evidence.teacher is None:
            raise UsageError(
                "the loss distillation needs a teacher",
                remedy="Give the weights of a trained network as the teacher.",
            )
        student, teacher = self.logits(evidence), self.pooled(evidence.teacher)
        missing = torch.isneginf(student) | torch.isneginf(teacher)
        student, teacher = (
            log_probabilities(x.float().masked_fill(missing, float("-inf")) / self.temperature)
            for x in (student, teacher)
        )
        divergence = (teacher.exp() * (teacher - student)).sum(1)
        return known_mean(divergence, (~missing).any(1)) * self.temperature**2


def distances(cosines: Tensor) -> Tensor:
    """L2 distances of unit vectors from their cosines: ``sqrt(2 - 2 cos)``; 2 for ``-inf``."""
    # The root's gradient at 0 is infinite.
    return (2 - 2 * cosines.clamp_min(-1)).clamp_min(1e-6).sqrt()


def expected_offsets(probabilities: Tensor) -> Tensor:
    """Mean offsets in frames ``[B, T]`` of probabilities ``[B, R, T]`` (soft-argmax)."""
    rows = torch.arange(probabilities.shape[1], device=probabilities.device)
    return (probabilities * (rows - probabilities.shape[1] // 2)[None, :, None]).sum(1)


def known_targets(evidence: Evidence, logits: Tensor) -> tuple[Tensor, Tensor]:
    """Targets ``[B, R]`` of the true offsets, and which frames ``[B, T]`` have their audio."""
    targets = _targets(evidence)
    return targets, known_frames(logits, targets)


def one_of(option: str, value: object, allowed: tuple[str, ...]) -> str:
    """The value of an option that has a few.

    Raises:
        UsageError: It is another.
    """
    if value not in allowed:
        raise UsageError(f"{option} is {value!r}", remedy=f"Give {' or '.join(allowed)}.")
    return str(value)


def number(
    option: str, value: object, *, above: float | None = None, below: float = math.inf
) -> float:
    """The value of an option that is a number from 0 on, or above ``above``, and below ``below``.

    Raises:
        UsageError: It is something else.
    """
    known = value if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
    if not (known >= 0 if above is None else known > above) or not known < below:
        bounds = "from 0 on" if above is None else f"above {above:g}"
        limit = "" if below == math.inf else f" and below {below:.4g}"
        raise UsageError(f"{option} is {value!r}", remedy=f"Give a number {bounds}{limit}.")
    return float(known)


def _targets(evidence: Evidence) -> Tensor:
    return soft_targets(evidence.offset_frames, evidence.max_offset)
