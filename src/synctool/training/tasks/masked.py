"""Masked prediction: the audio of hidden frames, and the video of hidden audio"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synctool.data.windows import WindowBatch
from synctool.training.losses.base import numbers
from synctool.training.losses.loss_inputs import aligned_embeddings
from synctool.training.losses.pairing import gathered

_SPAN = 6
"""Frames hidden in a row; the embeddings beside them still see some of the same frames."""
_SHARE = 0.4
_LARGEST_SCALE = 100.0


class MaskedPrediction(nn.Module):
    """Predicts the other modality's embeddings where the input is hidden.

    Spans of embeddings of the video are replaced by a learned one, and a small network predicts the
    embeddings of the audio there from what is left; and the other way round. A prediction counts by
    how well it is told from the true embeddings of all other hidden places of the batch, as in
    wav2vec 2.0 (Baevski et al. 2020), with the modalities crossed as in CMC (Tian et al. 2020): equal
    embeddings for everything give ln N for N hidden places.

    It uses ``offset_frames`` to undo the stream's own shift, and for nothing else.

    Args:
        embedding: D.
        max_offset: K; not needed here.
    """

    def __init__(self, *, embedding: int, max_offset: int) -> None:
        super().__init__()
        self.hidden_picture = nn.Parameter(torch.randn(embedding) / math.sqrt(embedding))
        self.hidden_sound = nn.Parameter(torch.randn(embedding) / math.sqrt(embedding))
        self.to_sound = Predictor(embedding=embedding)
        self.to_picture = Predictor(embedding=embedding)
        self.log_scale = nn.Parameter(torch.tensor(2.3))

    def forward(self, model: nn.Module, batch: WindowBatch) -> tuple[Tensor, dict[str, float]]:
        """The loss of a batch, and accuracies as parts: how often the right place is the nearest.

        Args:
            model: The network, in training mode.
            batch: Windows.
        """
        video_features, audio_features, known = aligned_embeddings(model, batch)
        hidden = spans(len(video_features), video_features.shape[-1]).to(video_features.device)
        video = torch.where(hidden[:, None], self.hidden_picture[:, None], video_features)
        audio = torch.where(hidden[:, None], self.hidden_sound[:, None], audio_features)
        wanted = hidden & known
        loss_audio, hits_audio = self._told(self.to_sound(video), audio_features, wanted)
        loss_video, hits_video = self._told(self.to_picture(audio), video_features, wanted)
        loss = (loss_audio + loss_video) / 2
        parts = {
            "masked": loss,
            "accuracy": (hits_audio + hits_video) / 2,
            "accuracy_picture": hits_video,
            "accuracy_sound": hits_audio,
        }
        return loss, numbers(parts)

    def _told(self, predicted: Tensor, true: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        predicted, true = gathered(wanted, F.normalize(predicted.float(), dim=1), true)
        logits = predicted @ true.T * self.log_scale.exp().clamp(max=_LARGEST_SCALE)
        return nearest(logits)


class Predictor(nn.Module):
    """Three convolutions along time that look seven frames to either side; residual.

    Args:
        embedding: D.
    """

    def __init__(self, *, embedding: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv1d(embedding, embedding, 3, padding=d, dilation=d) for d in (1, 2, 4)
        )
        self.out = nn.Conv1d(embedding, embedding, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, D, T] -> [B, D, T]``, not normalised."""
        for layer in self.layers:
            x = x + F.gelu(layer(x))
        return self.out(x)


def spans(clips: int, frames: int) -> Tensor:
    """Boolean ``[B, T]``: spans of hidden frames at random, at least one in each clip.

    Spans may overlap and end with the clip; without overlaps four tenths of the frames are hidden.
    """
    length = min(_SPAN, max(1, frames // 2))
    count = max(1, round(_SHARE * frames / length))
    starts = torch.randint(0, frames - length + 1, (clips, count))
    at = torch.arange(frames)
    inside = (at >= starts[..., None]) & (at < starts[..., None] + length)
    return inside.any(1)


def nearest(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Loss and accuracy of the choice of column i in every row i of ``[N, N]``; 0 for N = 0."""
    labels = torch.arange(len(logits), device=logits.device)
    losses = F.cross_entropy(logits, labels, reduction="none") if len(logits) else logits.sum(1)
    hits = (logits.argmax(1) == labels).float() if len(logits) else losses.detach()
    return losses.sum() / max(1, len(logits)), hits.sum() / max(1, len(logits))
