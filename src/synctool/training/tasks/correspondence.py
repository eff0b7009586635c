"""Audio-visual correspondence: do this video and this audio belong together?"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synctool.data.windows import WindowBatch
from synctool.training.losses.base import known_mean, numbers, pooled
from synctool.training.losses.loss_inputs import embeddings
from synctool.training.losses.pairing import belonging

_WINDOW = 5
"""Frames that are judged together."""
_APART = 6
"""Least shift, in frames, of audio from elsewhere in the clip."""


class Correspondence(nn.Module):
    """Tells windows with their own audio from windows with another (Arandjelovic & Zisserman 2017).

    Half of the weight is on the right audio, and a quarter each on the audio of another clip of the
    batch and of the same clip elsewhere. The judgement is a logistic function of the mean cosine, as
    in their AVE-Net (2018), so that what is learned lies in the embeddings. Equal embeddings for
    everything give ln 2.

    It uses ``offset_frames`` to undo the stream's own shift, and for nothing else.

    Args:
        embedding: D; not needed here.
        max_offset: K, the largest shift of audio from elsewhere in the clip.
    """

    def __init__(self, *, embedding: int, max_offset: int) -> None:
        super().__init__()
        self.least = max(1, min(_APART, max_offset))
        self.largest = max(self.least, max_offset)
        self.log_slope = nn.Parameter(torch.tensor(1.6))
        self.bias = nn.Parameter(torch.tensor(0.0))

    def forward(self, model: nn.Module, batch: WindowBatch) -> tuple[Tensor, dict[str, float]]:
        """The loss of a batch, and the accuracies as parts; chance is 0.5 each.

        Args:
            model: The network, in training mode.
            batch: Windows.
        """
        video_features, audio_features = embeddings(model, batch)
        clips, frames = (
            len(video_features),
            torch.arange(video_features.shape[-1], device=video_features.device),
        )
        shifts = {"offset_frames": batch.offset_frames, "audio_lead": batch.audio_lead}
        own, known = belonging(audio_features, frames, **shifts)
        right, right_hits = self._judged(video_features, own, known, belongs=True)
        moved = torch.randint(self.least, self.largest + 1, (clips,))
        moved = (moved * (2 * torch.randint(2, (clips,)) - 1)).to(video_features.device)
        elsewhere = belonging(audio_features, frames, **shifts, moved=moved)
        wrong = {"elsewhere": self._judged(video_features, *elsewhere, belongs=False)}
        if clips > 1:
            turn = int(torch.randint(1, clips, ()))
            other = own.roll(turn, 0), known.roll(turn, 0)
            wrong["other_clip"] = self._judged(video_features, *other, belongs=False)
        false = torch.stack([loss for loss, _ in wrong.values()]).mean()
        false_hits = torch.stack([hits for _, hits in wrong.values()]).mean()
        loss = (right + false) / 2
        parts = {
            "avc": loss,
            "accuracy": (right_hits + false_hits) / 2,
            "accuracy_own": right_hits,
            **{f"accuracy_{name}": hits for name, (_, hits) in wrong.items()},
        }
        return loss, numbers(parts)

    def _judged(
        self, video_features: Tensor, audio: Tensor, known: Tensor, *, belongs: bool
    ) -> tuple[Tensor, Tensor]:
        """Mean loss and share of right judgements over the windows whose audio is all there."""
        cosines = (video_features * audio).sum(1).masked_fill(~known, float("-inf"))
        cosines = pooled(cosines[:, None], min(_WINDOW, cosines.shape[-1]))[:, 0]
        whole = ~torch.isneginf(cosines)
        logits = cosines.masked_fill(~whole, 0.0) * self.log_slope.exp() + self.bias
        losses = F.softplus(-logits if belongs else logits)
        hits = (logits > 0) == belongs
        return known_mean(losses, whole), known_mean(hits.float(), whole)
