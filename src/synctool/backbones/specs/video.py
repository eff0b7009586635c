"""Encoders of pictures."""

from __future__ import annotations

from dataclasses import replace

from synctool.backbones.specs.joint import FCN_WEIGHTS
from synctool.types import BackboneSpec, VideoInput


def specs() -> list[BackboneSpec]:
    """The picture half of ``fcn-cls``."""
    return [
        BackboneSpec(
            name="fcn-mouth",
            tag="72",
            default=True,
            role="video",
            factory="synctool.backbones.fcn_cls:mouth_encoder",
            summary="the picture half of fcn-cls: grey mouth crops",
            video=VideoInput(crop="mouth", size_px=72, colour="gray"),
            embedding_size=256,
            receptive_field_frames=13,
            options={"embedding": 256, "width": 32},
            weights=replace(FCN_WEIGHTS, part="video_encoder."),
            small={"embedding": 16, "width": 4},
        ),
    ]
