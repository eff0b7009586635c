"""Networks that solve ``talking_sample`` by construction, for every kind of frames and audio."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fake_samples import talking_sample
from synctool.data.samples import Sample
from synctool.models.attention import AttentiveHead
from synctool.models.correlation import candidates
from synctool.models.offset_classifier import OffsetClassifier
from synctool.plugins.specs import AudioInput, BackboneSpec, VideoInput


class Dark(nn.Module):
    """How dark a frame is, as a code of five frames."""

    def __init__(self, spec: BackboneSpec) -> None:
        super().__init__()
        self.wanted = spec.video
        self.slope = nn.Parameter(torch.ones(5))

    def forward(self, video: Tensor) -> Tensor:
        """``[B, C, T, S, S] -> [B, 5, T]``."""
        size = self.wanted.size_px
        assert video.shape[1] == self.wanted.channels and video.shape[3:] == (size, size)
        return _five(-video.mean((1, 3, 4))) * self.slope[:, None]


class Loud(nn.Module):
    """How loud the audio is, as the same code."""

    def __init__(self, spec: BackboneSpec) -> None:
        super().__init__()
        self.kind = spec.audio.kind
        self.slope = nn.Parameter(torch.ones(5))

    def forward(self, audio: Tensor) -> Tensor:
        """Audio features of T frames ``-> [B, 5, T]``."""
        return _five(loudness(audio, self.kind)) * self.slope[:, None]


class ByDistance(nn.Module):
    """As SyncNet: two encoders whose embeddings have any length, and a score of its own."""

    max_offset = 15

    def __init__(self, spec: BackboneSpec) -> None:
        super().__init__()
        self.seeing, self.hearing = Dark(spec), Loud(spec)

    def encode_video(self, video: Tensor) -> Tensor:
        """``[B, C, T, S, S] -> [B, 5, T]``."""
        return self.seeing(video)

    def encode_audio(self, audio: Tensor) -> Tensor:
        """Audio features ``-> [B, 5, T]``."""
        return self.hearing(audio)

    def score(
        self,
        audio_features: Tensor,
        video_features: Tensor,
        *,
        max_offset: int,
        audio_lead: int = 0,
    ) -> Tensor:
        """Negative distances ``[B, 2K+1, T]``."""
        frames = video_features.shape[-1]
        audio, inside = candidates(
            audio_features, frames, max_offset=max_offset, audio_lead=audio_lead
        )
        distances = torch.linalg.vector_norm(video_features[:, :, None] - audio + 1e-6, dim=1)
        return (-distances).masked_fill(~inside, float("-inf"))


class OwnHead(OffsetClassifier):
    """A classifier that scores in a way of its own, with the usual head unused."""

    def score(self, audio_features: Tensor, video_features: Tensor, **more: int) -> Tensor:
        """Negative distances ``[B, 2K+1, T]``."""
        return ByDistance.score(self, audio_features, video_features, **more)


def spec_of(
    kind: str = "logmel64",
    *,
    crop: str = "mouth",
    size_px: int = 72,
    colour: str = "gray",
    **image: object,
) -> BackboneSpec:
    """A spec of one of the networks here."""
    return BackboneSpec(
        name="made",
        tag="up",
        role="joint",
        factory="any_network:ByDistance",
        summary="solves made-up samples",
        video=VideoInput(crop=crop, size_px=size_px, colour=colour, **image),
        audio=AudioInput(kind=kind),
        embedding_size=5,
        receptive_field_frames=5,
        audio_receptive_field_frames=5,
    )


def attentive(spec: BackboneSpec) -> OffsetClassifier:
    """One whose head looks at further volumes, and lets them count."""
    torch.manual_seed(0)
    head = AttentiveHead(embedding=5, heads=1, channels=4)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return OffsetClassifier(video_encoder=Dark(spec), audio_encoder=Loud(spec), head=head).eval()


def classifier(spec: BackboneSpec, kind: type[OffsetClassifier] = OffsetClassifier) -> nn.Module:
    """One that compares by cosines, with a head that changes nothing yet."""
    return kind(video_encoder=Dark(spec), audio_encoder=Loud(spec)).eval()


def stored_sample(
    key: str, seed: int, *, crop: str = "mouth", size_px: int = 96, colour: str = "gray", **more
) -> Sample:
    """``talking_sample`` with other crops; in colour the mouth shows in green most."""
    sample = talking_sample(key, seed=seed, **more)
    crops = sample.crops[:, ::2, ::2] if size_px == 48 else sample.crops
    assert crops.shape[1] == size_px
    if colour == "rgb":
        crops = np.stack([crops // 4, crops, crops // 2], -1)
    info = replace(sample.info, crop=crop, size_px=size_px, colour=colour)
    return replace(sample, info=info, crops=np.ascontiguousarray(crops))


def loudness(audio: Tensor, kind: str) -> Tensor:
    """Level of every frame ``[B, T]`` in audio features of any kind."""
    if kind == "waveform16k":
        return (audio.unflatten(-1, (-1, 640)).square().mean(-1) + 1e-6).log()
    rows = audio[:, 0, 0] if kind == "mfcc13" else audio[:, 0].mean(1)  # the first is the energy
    return rows.unflatten(-1, (-1, 4)).mean(-1)


def _five(values: Tensor) -> Tensor:
    """``[B, T] -> [B, 5, T]``: a frame and its two neighbours on either side, without their mean."""
    rows = F.pad(values[:, None], (2, 2), mode="replicate")[:, 0].unfold(-1, 5, 1)
    rows = rows - rows.mean(-1, keepdim=True)
    return (rows / (rows.std(-1, keepdim=True) + 1e-3)).transpose(1, 2)
