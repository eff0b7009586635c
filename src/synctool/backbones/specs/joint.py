"""Complete models: picture, sound and what compares them."""

from __future__ import annotations

from synctool.types import AudioInput, BackboneSpec, VideoInput, WeightsSpec

FCN_WEIGHTS = WeightsSpec(
    name="fcn-cls.v2",
    licence="MIT; trained on GRID (CC BY 4.0) and LRW-AR clips, see the model card",
    bundled="fcn-cls.v2.safetensors",
)
_SYNCNET_WEIGHTS = WeightsSpec(
    name="syncnet_v2",
    licence="none stated for the weights (VGG, Oxford); the authors' code is MIT",
    catalogue="syncnet",
    file_name="syncnet_v2.model",
)
_SMALL = {"embedding": 16, "width": 4}


def specs() -> list[BackboneSpec]:
    """``fcn-cls`` in three sizes, its default tag being the default network, and ``syncnet``."""
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
            audio_receptive_field_frames=13,
            options={"max_offset": 15, "embedding": 256, "width": 32},
            weights=FCN_WEIGHTS,
            small=_SMALL,
        ),
        _fcn_rgb(112, width=32),
        _fcn_rgb(224, width=16),
        BackboneSpec(
            name="syncnet",
            tag="2016",
            default=True,
            role="joint",
            factory="synctool.backbones.syncnet:syncnet",
            summary="SyncNet (Chung & Zisserman 2016) with its published weights",
            video=VideoInput(crop="face", size_px=224, colour="bgr", value_range=(0.0, 255.0)),
            audio=AudioInput(kind="mfcc13"),
            embedding_size=1024,
            receptive_field_frames=5,
            audio_receptive_field_frames=5,
            options={"max_offset": 15},
            weights=_SYNCNET_WEIGHTS,
        ),
    ]


def _fcn_rgb(size_px: int, width: int) -> BackboneSpec:
    """``fcn-cls`` on colour face crops of one size."""
    return BackboneSpec(
        name="fcn-cls",
        tag=f"rgb{size_px}",
        role="joint",
        factory=f"synctool.backbones.fcn_cls:rgb{size_px}",
        summary=f"offset classifier on colour face crops of {size_px} px and MFCCs",
        video=VideoInput(crop="face", size_px=size_px, colour="rgb"),
        audio=AudioInput(kind="mfcc13"),
        embedding_size=512,
        receptive_field_frames=13,
        audio_receptive_field_frames=13,
        options={"max_offset": 15, "embedding": 512, "width": width, "audio_bands": 13},
        small=_SMALL,
    )
