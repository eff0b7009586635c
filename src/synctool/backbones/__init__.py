"""The networks that come with the package, registered through the plugin door."""

from __future__ import annotations

from synctool.hookspecs import hookimpl
from synctool.types import AudioInput, BackboneSpec, VideoInput, WeightsSpec

_FCN_WEIGHTS = WeightsSpec(
    name="fcn-cls.v1",
    licence="MIT; trained on GRID (CC BY 4.0) and LRW-AR clips, see the model card",
    bundled="fcn-cls.v1.safetensors",
)


@hookimpl
def synctool_backbones() -> list[BackboneSpec]:
    """``fcn-cls`` (the default) and ``syncnet``."""
    return [
        BackboneSpec(
            name="fcn-cls",
            tag="mouth",
            default=True,
            role="joint",
            factory="synctool.backbones.fcn_cls:mouth",
            summary="offset classifier on grey mouth crops and log-mel sound",
            video=VideoInput(crop="mouth", size_px=72, colour="gray"),
            audio=AudioInput(kind="logmel64"),
            embedding_size=256,
            receptive_field_frames=13,
            audio_receptive_field_frames=15,
            options={"max_offset": 15, "embedding": 256, "width": 32},
            weights=_FCN_WEIGHTS,
        ),
    ]
