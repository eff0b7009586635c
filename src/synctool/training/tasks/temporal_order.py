"""Temporal order: in which order do these pieces of video, and of audio, come?"""

from __future__ import annotations

from itertools import combinations, permutations
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synctool.data.windows import WindowBatch
from synctool.errors import UsageError
from synctool.features.frontends import FRONT_ENDS
from synctool.features.video_input import prepared
from synctool.models.protocol import SyncModel
from synctool.training.losses.base import known_mean, numbers

PIECES = 3
_GAP = 2
"""Frames left out between two pieces: neighbouring steps of audio share samples, which would tell."""


class TemporalOrder(nn.Module):
    """Finds the order of shuffled pieces (Misra et al. 2016; as a choice: Lee et al. 2017).

    Every clip is cut into three pieces, which the encoders see one by one, so that no seam shows. The
    pieces are put into one of the six orders, the right and the reversed one among them, and a small
    network tells which. Video and audio are two tasks of equal weight that share nothing. Equal
    embeddings for everything give ln 6.

    It does not use ``offset_frames``.

    Args:
        embedding: D.
        max_offset: K; not needed here.
        hidden: Width of the small networks.
    """

    def __init__(self, *, embedding: int, max_offset: int, hidden: int = 128) -> None:
        super().__init__()
        self.of_pictures = OrderNetwork(embedding=embedding, hidden=hidden)
        self.of_sounds = OrderNetwork(embedding=embedding, hidden=hidden)

    def forward(self, model: nn.Module, batch: WindowBatch) -> tuple[Tensor, dict[str, float]]:
        """The loss of a batch, and the accuracies as parts; chance is 1/6.

        Args:
            model: The network, in training mode.
            batch: Windows.

        Raises:
            UsageError: The windows have less than three frames.
        """
        clips, frames = batch.video.shape[0], batch.video.shape[2]
        video = _pieces(batch.video, 1, frames)
        steps = FRONT_ENDS["waveform16k" if batch.audio.ndim == 2 else "logmel64"].steps
        length = batch.audio.shape[-1] // steps
        start = max(0, min(batch.audio_lead, length - frames)) * steps
        audio = _pieces(batch.audio[..., start:], steps, min(frames, length))
        sync = cast(SyncModel, model)
        video_features = sync.encode_video(prepared(video, batch.video_input)).unflatten(
            0, (clips, PIECES)
        )
        # In bfloat16, oneDNN's convolutions of so few steps give NaN on some processors (AMX, two threads).
        with torch.autocast(audio.device.type, enabled=False):
            audio_features = sync.encode_audio(audio).unflatten(0, (clips, PIECES))
        video_loss, video_hits = self.of_pictures(video_features)
        audio_loss, audio_hits = self.of_sounds(audio_features)
        loss = (video_loss + audio_loss) / 2
        parts = {
            "order": loss,
            "accuracy": (video_hits + audio_hits) / 2,
            "accuracy_picture": video_hits,
            "accuracy_sound": audio_hits,
        }
        return loss, numbers(parts)


class OrderNetwork(nn.Module):
    """Compares pieces two by two and tells their order, as the network of Lee et al. (2017) does.

    Args:
        embedding: D.
        hidden: Width.
    """

    orders = tuple(permutations(range(PIECES)))

    def __init__(self, *, embedding: int, hidden: int) -> None:
        super().__init__()
        self.pairs = tuple(combinations(range(PIECES), 2))
        self.compare = nn.Linear(4 * embedding, hidden)
        self.choose = nn.Linear(hidden * len(self.pairs), len(self.orders))

    def forward(self, pieces: Tensor) -> tuple[Tensor, Tensor]:
        """Shuffle ``[B, 3, D, L]`` in their right order; loss and accuracy of finding the order."""
        drawn = torch.randint(len(self.orders), (len(pieces),))
        order = torch.tensor(self.orders)[drawn].to(pieces.device)
        # What goes on from one piece to the next shows at their ends.
        ends = torch.cat([pieces[..., 0], pieces[..., -1]], 2)
        ends = ends.gather(1, order[:, :, None].expand_as(ends))
        compared = [
            F.relu(self.compare(torch.cat([ends[:, i], ends[:, j]], 1))) for i, j in self.pairs
        ]
        logits = self.choose(torch.cat(compared, 1)).float()
        labels = drawn.to(pieces.device)
        every = torch.ones_like(labels, dtype=torch.bool)
        losses = F.cross_entropy(logits, labels, reduction="none")
        hits = (logits.argmax(1) == labels).float()
        return known_mean(losses, every), known_mean(hits, every)


def _pieces(x: Tensor, steps: int, frames: int) -> Tensor:
    """Cut ``frames`` frames into pieces: along dimension 2 of frames, along the last of audio."""
    gap = _GAP if frames >= PIECES + 2 * _GAP else 0
    length = (frames - (PIECES - 1) * gap) // PIECES
    if length < 1:
        raise UsageError(
            f"windows of {frames} frames cannot be cut into {PIECES} pieces",
            remedy="Give a larger --window-frames.",
        )
    dim = 2 if x.ndim == 5 else x.ndim - 1
    cut = [x.narrow(dim, i * (length + gap) * steps, length * steps) for i in range(PIECES)]
    return torch.stack(cut, 1).flatten(0, 1)
