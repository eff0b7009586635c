"""Cross-modal retrieval: which audio of the batch goes with a clip, and which of its clips?"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synctool.data.windows import WindowBatch
from synctool.errors import UsageError
from synctool.training.losses.base import numbers
from synctool.training.losses.loss_inputs import aligned_embeddings
from synctool.training.losses.pairing import gathered
from synctool.training.replicas import world_size
from synctool.training.tasks.masked import nearest

_LARGEST_SCALE = 100.0


class Retrieval(nn.Module):
    """Symmetric InfoNCE (van den Oord et al. 2018) between whole clips and whole audio tracks.

    Embeddings are averaged over the frames of a clip, those of the audio over the frames that belong
    to them, and compared across the batch, as CLIP does (Radford et al. 2021). Equal embeddings for
    everything give ln N for N clips.

    It uses ``offset_frames`` to undo the stream's own shift, and for nothing else.

    Args:
        embedding: D; not needed here.
        max_offset: K; not needed here.
    """

    def __init__(self, *, embedding: int, max_offset: int) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(2.66))  # a temperature of 0.07, as CLIP

    def forward(self, model: nn.Module, batch: WindowBatch) -> tuple[Tensor, dict[str, float]]:
        """The loss of a batch, and recall at rank 1 as parts; chance is 1 in N.

        Args:
            model: The network, in training mode.
            batch: Windows.

        Raises:
            UsageError: The batch, over all processes, is a single clip.
        """
        video_features, audio_features, known = aligned_embeddings(model, batch)
        audio_features = (audio_features * known[:, None]).sum(2)
        some = known.any(1, keepdim=True)
        video, audio = gathered(
            some,
            F.normalize(video_features.sum(2), dim=1)[..., None],
            F.normalize(audio_features, dim=1)[..., None],
        )
        if len(video_features) * world_size() < 2:
            raise UsageError(
                "the task retrieval needs other clips to choose from, and the batch is one clip",
                remedy="Give a larger --batch-size.",
            )
        logits = video @ audio.T * self.log_scale.exp().clamp(max=_LARGEST_SCALE)
        (to_audio, found_audio), (to_video, found_video) = nearest(logits), nearest(logits.T)
        loss = (to_audio + to_video) / 2
        parts = {
            "retrieval": loss,
            "recall@1": (found_audio + found_video) / 2,
            "recall@1_picture": found_video,
            "recall@1_sound": found_audio,
        }
        return loss, numbers(parts)
