"""A second task for both encoders: which speech unit is heard, and seen, in a frame?"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synctool.errors import UsageError
from synctool.training.losses.base import known_mean
from synctool.training.losses.loss_inputs import Evidence
from synctool.training.losses.pairing import belonging
from synctool.training.losses.volume import one_of

_SIDES = ("both", "video", "audio")
_SPREAD = 8.0
"""Unit vectors of some hundred numbers are small; so the layers begin with logits near one."""


class SpeechUnits(nn.Module):
    """Cross-entropy of the unit of every frame, told by linear layers from the embeddings.

    Units are the clusters of HuBERT's targets (Hsu et al. 2021), one of each 25 Hz frame, which AV-HuBERT
    (Shi et al. 2022) learns from lips as well. Here nothing is masked: it is a second task beside the offset,
    in the way of Caruana (1997). The layers are trained along and are no part of the weights. Equal
    embeddings for everything give the entropy of the units, at most ln K.

    Args:
        side: Whose embeddings: ``video``, ``audio``, or ``both``, half of the weight each.
        units: K.
        embedding: D.
    """

    def __init__(self, *, side: str = "both", units: int = 100, embedding: int = 256) -> None:
        super().__init__()
        side = one_of("side", side, _SIDES)
        for option, value in (("units", units), ("embedding", embedding)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise UsageError(f"{option} is {value!r}", remedy="Give a number from 1 on.")
        sides = ("video", "audio") if side == "both" else (side,)
        self.units = units
        self.layers = nn.ModuleDict({name: nn.Conv1d(embedding, units, 1) for name in sides})

    def forward(self, evidence: Evidence) -> Tensor:
        """The loss of a batch, a scalar; frames without a unit take no part.

        Raises:
            UsageError: There are no units, or they or the embeddings do not fit the options.
        """
        if evidence.units is None:
            raise UsageError(
                "the loss speech-units needs units",
                remedy="Make them with synctool units, and give them: --units FILE.",
            )
        video = evidence.video_features
        every = torch.arange(video.shape[-1], device=video.device)
        audio, heard = belonging(
            evidence.audio_features,
            every,
            offset_frames=evidence.offset_frames,
            audio_lead=evidence.audio_lead,
        )
        known = evidence.units >= 0
        given = {"video": (video, known), "audio": (audio, known & heard)}
        losses = []
        for name, layer in self.layers.items():
            embeddings, counted = given[name]
            if embeddings.shape[1] != layer.in_channels or int(evidence.units.max()) >= self.units:
                raise UsageError(
                    f"the loss speech-units is for embeddings of {layer.in_channels} numbers and "
                    f"{self.units} units, and here are {embeddings.shape[1]} and more",
                    remedy="Leave its options units and embedding out: they come from --units.",
                )
            logits = layer(embeddings * _SPREAD).float()
            each = F.cross_entropy(logits, evidence.units.clamp_min(0), reduction="none")
            losses.append(known_mean(each, counted))
        return torch.stack(losses).mean()
