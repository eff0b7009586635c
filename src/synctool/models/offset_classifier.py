"""The joint model behind ``fcn-cls``: two dense encoders, correlation over all candidate offsets, and a
head that is equivariant along the offsets."""

from __future__ import annotations

from typing import Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synctool.models.heads import VolumeHead, WindowHead
from synctool.models.protocol import SyncOutput, expected_offset
from synctool.types import DEFAULT_MAX_OFFSET


class TwoStage(Protocol):
    """An encoder with a local stage, see ``OffsetClassifier``."""

    def local(self, x: Tensor) -> Tensor:
        """Inputs ``-> [B, D', T]``: row t sees the frames t-2 .. t+2."""
        ...

    def context(self, local: Tensor) -> Tensor:
        """``[B, D', T] -> [B, D, T]``."""
        ...


class OffsetClassifier(nn.Module):
    """Classifies the offset of every frame.

    An encoder may have a local stage: methods ``local``, inputs to ``[B, D', T]`` where row t sees
    exactly five frames (0.2 s) centred on t, and ``context``, from there to ``[B, D, T]``; its
    ``forward`` is both in turn. The local embeddings of both encoders can then be compared too, which
    is what the literature calls a context of five frames.

    Args:
        video_encoder: ``[B, C, T, H, W] -> [B, D, T]``.
        audio_encoder: Audio features ``-> [B, D, T]``.
        max_offset: K of ``forward``; the weights serve any K.
        head_channels: Width of the head.
        head: Another head than a ``VolumeHead`` of that width; called as ``score`` is.
    """

    def __init__(
        self,
        *,
        video_encoder: nn.Module,
        audio_encoder: nn.Module,
        max_offset: int = DEFAULT_MAX_OFFSET,
        head_channels: int = 16,
        head: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.video_encoder = video_encoder
        self.audio_encoder = audio_encoder
        self.head = VolumeHead(channels=head_channels) if head is None else head
        self.max_offset = max_offset
        if hasattr(video_encoder, "local") and hasattr(audio_encoder, "local"):
            self.local_scale = nn.Parameter(torch.tensor(2.3))
        else:
            self.local_scale = None

    def encode_video(self, video: Tensor) -> Tensor:
        """``[B, C, T, H, W] -> [B, D, T]``, unit length."""
        return F.normalize(self.video_encoder(video).float(), dim=1)

    def encode_audio(self, audio: Tensor) -> Tensor:
        """``[B, 1, bands, 4T] -> [B, D, T]``, unit length."""
        return F.normalize(self.audio_encoder(audio).float(), dim=1)

    def encode_video_both(self, video: Tensor) -> tuple[Tensor | None, Tensor]:
        """Local embeddings (None without a local stage) and those of ``encode_video``."""
        return self._both(self.video_encoder, video)

    def encode_audio_both(self, audio: Tensor) -> tuple[Tensor | None, Tensor]:
        """Local embeddings (None without a local stage) and those of ``encode_audio``."""
        return self._both(self.audio_encoder, audio)

    def _both(self, encoder: nn.Module, x: Tensor) -> tuple[Tensor | None, Tensor]:
        if self.local_scale is None:
            return None, F.normalize(encoder(x).float(), dim=1)
        stages = cast("TwoStage", encoder)
        local = stages.local(x)
        context = stages.context(local)
        return F.normalize(local.float(), dim=1), F.normalize(context.float(), dim=1)

    @property
    def margin(self) -> int:
        """Offsets beyond the asked range that the head looks at."""
        return getattr(self.head, "margin", 0)

    def score_window(
        self,
        audio: Tensor,
        inside: Tensor,
        video_features: Tensor,
        *,
        outside: float = float("-inf"),
    ) -> Tensor:
        """See ``synctool.models.heads.WindowHead.score_window``."""
        head = cast("WindowHead", self.head)
        return head.score_window(audio, inside, video_features, outside=outside)

    def score(
        self,
        audio_features: Tensor,
        video_features: Tensor,
        *,
        max_offset: int,
        audio_lead: int = 0,
    ) -> Tensor:
        """Logits ``[B, 2K+1, T]``; see ``SyncModel.score``."""
        return self.head(
            audio_features, video_features, max_offset=max_offset, audio_lead=audio_lead
        )

    def forward(
        self, audio: Tensor, video: Tensor, *, max_offset: int | None = None, audio_lead: int = 0
    ) -> SyncOutput:
        """Probabilities of all offsets for every frame.

        Args:
            audio: ``[B, 1, bands, 4 T_audio]``.
            video: ``[B, C, T, H, W]`` with values in 0..1.
            max_offset: K; None takes the model's own.
            audio_lead: Frame of the audio that belongs to video frame 0.

        Returns:
            ``sync_probs [B, 2K+1, T]``, ``audio_features``, ``video_features`` and ``logits``.
            Where no candidate lies inside the audio, the probabilities are uniform.
        """
        audio_features, video_features = self.encode_audio(audio), self.encode_video(video)
        k = self.max_offset if max_offset is None else max_offset
        logits = self.score(audio_features, video_features, max_offset=k, audio_lead=audio_lead)
        nothing = torch.isinf(logits).all(1, keepdim=True)
        probs = logits.masked_fill(nothing, 0.0).softmax(1)
        return SyncOutput(probs, audio_features, video_features, logits)

    @staticmethod
    def compute_offset(sync_probs: Tensor) -> tuple[Tensor, Tensor]:
        """Offsets in frames ``[B, T]`` and confidences ``[B, T]``; see ``expected_offset``."""
        return expected_offset(sync_probs)
