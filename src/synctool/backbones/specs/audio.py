"""Encoders of sound."""

from __future__ import annotations

from dataclasses import replace

from synctool.backbones.specs.joint import FCN_WEIGHTS
from synctool.types import AudioInput, BackboneSpec


def specs() -> list[BackboneSpec]:
    """The sound half of ``fcn-cls``."""
    return [
        BackboneSpec(
            name="fcn-mel",
            tag="64",
            default=True,
            role="audio",
            factory="synctool.backbones.fcn_cls:mel_encoder",
            summary="the sound half of fcn-cls: log-mel bands",
            audio=AudioInput(kind="logmel64"),
            embedding_size=256,
            audio_receptive_field_frames=13,
            options={"embedding": 256, "width": 32},
            weights=replace(FCN_WEIGHTS, part="audio_encoder."),
            small={"embedding": 16, "width": 4},
        ),
    ]
