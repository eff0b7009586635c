"""Networks made of the flicker network that want other frames, and one that fails."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import flicker
from synctool.networks.loaded import LoadedModel
from synctool.plugins.specs import BackboneSpec, VideoInput
from synctool.runtimes.torch import TorchRuntime
from synctool.scoring.confidence import UNCALIBRATED
from videos import Audio, Video, make_video

CPU = torch.device("cpu")


class OneColour(flicker.Flicker):
    """Looks at the first colour only, in the order that it asked for."""

    def encode_video(self, video: Tensor) -> Tensor:
        """``[B, 3, T, S, S] -> [B, 5, T]``."""
        return super().encode_video(video[:, :1])


class Failing(flicker.Flicker):
    """Fails at its ``dies_at``-th chunk of frames, or with its audio."""

    def __init__(self, *, dies_at: int | None = None, deaf: bool = False) -> None:
        super().__init__()
        self.dies_at, self.deaf, self.calls = dies_at, deaf, 0

    def encode_video(self, video: Tensor) -> Tensor:
        """As of the flicker network, for a while."""
        self.calls += 1
        if self.calls == self.dies_at:
            raise RuntimeError("out of\nideas")
        return super().encode_video(video)

    def encode_audio(self, audio: Tensor) -> Tensor:
        """As of the flicker network, unless it is deaf."""
        if self.deaf:
            raise ValueError("what was that?")
        return super().encode_audio(audio)


def loaded(network: flicker.Flicker, name: str, **of_spec: object) -> LoadedModel:
    """A network ready to measure."""
    spec: BackboneSpec = replace(flicker.SPEC, name=name, **of_spec)
    network.eval().requires_grad_(False)
    return LoadedModel(spec, TorchRuntime(network, CPU), f"{name} sha256:0", UNCALIBRATED, 0.0)


def grey(name: str = "flicker") -> LoadedModel:
    """The flicker network."""
    return loaded(flicker.Flicker(), name)


def coloured(order: str, *, size_px: int = 24) -> LoadedModel:
    """Looks at red (``rgb``) or at blue (``bgr``)."""
    return loaded(OneColour(), order, video=VideoInput(crop="face", size_px=size_px, colour=order))


def coloured_video(
    path: Path, *, seconds: float = 3.0, ahead_frames: float = 0.0, late_blue_frames: int = 0
) -> Path:
    """Red flickers with the audio, and blue too, or later."""
    at = flicker.pattern()
    images = np.full((round(seconds * 25), 64, 64, 3), 100, np.uint8)
    for i, image in enumerate(images):
        image[..., 0] = 160 if at(i / 25 + 0.02) else 90
        image[..., 2] = 160 if at((i - late_blue_frames) / 25 + 0.02) else 90
    audio = flicker.flicker_audio(lambda t: at(t + ahead_frames / 25), seconds)
    return make_video(
        path,
        seconds=seconds,
        video=Video(
            size=(64, 64), pixels="yuv444p", images=images, options={"preset": "ultrafast"}
        ),
        audio=[Audio(codec="pcm_s16le", rate=16_000, layout="mono", samples=audio)],
    )
