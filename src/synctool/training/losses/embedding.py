"""Losses on the embeddings themselves: between clips, and between the audio of one clip.

Each is built with keyword options, and takes ``Evidence`` to a scalar. In one clip the candidates more
than ``tolerance`` frames from the true offset are wrong; the nearer ones take no part, except the right
ones, which share the weight where the offset is fractional.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from synctool.errors import UsageError
from synctool.training.losses.base import info_nce, known_mean
from synctool.training.losses.loss_inputs import Evidence
from synctool.training.losses.pairing import belonging, gathered
from synctool.training.losses.volume import COSINES, distances, known_targets, number, one_of


class InfoNCE(nn.Module):
    """Symmetric InfoNCE (van den Oord et al. 2018) between the video and audio of a batch.

    Every ``apart``-th frame of every clip is a row; the audio of all other rows are wrong for it.

    Args:
        apart: Frames between two rows of one clip, so that they are not almost the same.
    """

    def __init__(self, *, apart: int = 6) -> None:
        super().__init__()
        if not isinstance(apart, int) or isinstance(apart, bool) or apart < 1:
            raise UsageError(f"apart is {apart!r}", remedy="Give a number of frames from 1 on.")
        self.apart = apart

    def forward(self, evidence: Evidence) -> Tensor:
        """The loss of a batch, a scalar."""
        video_features = evidence.video_features
        frames = torch.arange(0, video_features.shape[-1], self.apart, device=video_features.device)
        matching, known = belonging(
            evidence.audio_features,
            frames,
            offset_frames=evidence.offset_frames,
            audio_lead=evidence.audio_lead,
        )
        video, audio = gathered(known, video_features[:, :, frames], matching)
        return info_nce(video, audio, evidence.scale)


class _Candidates(nn.Module):
    """Right and wrong candidates of each frame."""

    def __init__(self, *, on: str, margin: float, tolerance: float) -> None:
        super().__init__()
        self.on = one_of("on", on, COSINES)
        self.margin = number("margin", margin)
        self.tolerance = number("tolerance", tolerance)

    def told_apart(self, evidence: Evidence) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Cosines (0 without audio), share of the right and mask of the wrong ones, known frames."""
        cosines = evidence.cosines(self.on)
        targets, known = known_targets(evidence, cosines)
        missing = torch.isneginf(cosines)
        k = evidence.max_offset
        rows = torch.arange(-k, k + 1, device=cosines.device)
        far = (rows[None] - evidence.offset_frames[:, None]).abs() > self.tolerance
        wrong = (far & (targets == 0))[:, :, None] & ~missing
        return cosines.masked_fill(missing, 0.0), targets[:, :, None], wrong, known


class Contrastive(_Candidates):
    """Contrastive loss (Hadsell et al. 2006) as SyncNet was trained with (Chung & Zisserman 2016).

    ``(d_right^2 + mean over the wrong of max(margin - d, 0)^2) / 2``, d the L2 distance of the unit
    embeddings, 0 to 2. All moved audio of the clip is taken, where SyncNet drew one at random.

    Args:
        on: ``plain`` or ``local``.
        margin: Distance from which a wrong audio frame is far enough.
        tolerance: Candidates nearer to the true offset are not wrong, in frames.
    """

    def __init__(self, *, on: str = "plain", margin: float = 1.0, tolerance: float = 1.0) -> None:
        super().__init__(on=on, margin=margin, tolerance=tolerance)

    def forward(self, evidence: Evidence) -> Tensor:
        """The loss of a batch, a scalar."""
        cosines, right, wrong, known = self.told_apart(evidence)
        distance = distances(cosines)
        near = (right * distance**2).sum(1)
        too_near = (self.margin - distance).clamp_min(0) ** 2 * wrong
        far = too_near.sum(1) / wrong.sum(1).clamp_min(1)
        return known_mean((near + far) / 2, known)


class Triplet(_Candidates):
    """Triplet loss with the hardest wrong audio of the clip (FaceNet: Schroff et al. 2015).

    ``max(0, margin + cos_hardest - cos_right)``; on unit embeddings a difference of cosines is half
    that of squared distances. Frames without a wrong candidate take no part.

    Args:
        on: ``plain`` or ``local``.
        margin: By how much the right cosine should be larger.
        tolerance: Candidates nearer to the true offset are not wrong, in frames.
    """

    def __init__(self, *, on: str = "plain", margin: float = 0.2, tolerance: float = 1.0) -> None:
        super().__init__(on=on, margin=margin, tolerance=tolerance)

    def forward(self, evidence: Evidence) -> Tensor:
        """The loss of a batch, a scalar."""
        cosines, right, wrong, known = self.told_apart(evidence)
        hardest = cosines.masked_fill(~wrong, -2.0).amax(1)
        lacking = self.margin + hardest - (right * cosines).sum(1)
        return known_mean(lacking.clamp_min(0), known & wrong.any(1))
