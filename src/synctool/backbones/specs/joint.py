"""Complete models: video, audio and what compares them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from synctool.plugins.specs import AudioInput, BackboneSpec, VideoInput, WeightsSpec
from synctool.types import DEFAULT_MAX_OFFSET

FCN_WEIGHTS = WeightsSpec(
    name="fcn-cls.v7",
    licence="MIT; trained on GRID (CC BY 4.0), LRW-AR and clips of published research, see the model card",
    bundled="fcn-cls.v7.safetensors",
    exported="fcn-cls.v7.onnx",
)
_SYNCNET_WEIGHTS = WeightsSpec(
    name="syncnet_v2",
    licence="none stated for the weights (VGG, Oxford); the authors' code is MIT",
    catalogue="syncnet",
    file_name="syncnet_v2.model",
)
_SMALL = {"embedding": 16, "width": 4}


def specs() -> list[BackboneSpec]:
    """``fcn-cls`` in three sizes, its default tag being the default network; its relatives with the same
    inputs and local stages; and ``syncnet``."""
    return [
        BackboneSpec(
            name="fcn-cls",
            tag="mouth",
            default=True,
            role="joint",
            factory="synctool.backbones.fcn_cls:mouth",
            summary="offset classifier on grey mouth crops and log-mel audio",
            video=VideoInput(crop="mouth", size_px=72, colour="gray"),
            audio=AudioInput(kind="logmel64"),
            embedding_size=256,
            receptive_field_frames=13,
            audio_receptive_field_frames=13,
            options={"max_offset": DEFAULT_MAX_OFFSET, "embedding": 256, "width": 32},
            weights=FCN_WEIGHTS,
            small=_SMALL,
        ),
        _fcn_rgb(112, width=32),
        _fcn_rgb(224, width=16),
        _mouth(
            "fcn-reg",
            "offset regressor: one number per frame, kept to be compared with fcn-cls",
            frames=13,
            options={"head_width": 64, "calibration": "fitted"},
            small={"head_width": 8},
        ),
        _mouth(
            "fcn-attn",
            "fcn-cls with attention: over channels, over time, of frames to audio",
            frames=25,
            options={
                "use_attention": True,
                "channel_attention": True,
                "temporal_attention": True,
                "cross_attention": True,
                "attention_reach": 6,
                "candidate_reach": 3,
                "heads": 4,
            },
        ),
        _mouth(
            "fcn-pyramid",
            "fcn-cls with a pyramid of time scales: dilated convolutions side by side",
            frames=29,
            options={"scales": 4},
        ),
        _mouth(
            "fcn-cls-causal",
            "fcn-cls for streams: padded to the left, it looks at no later frame",
            frames=25,
            options={"look_ahead": 0},
            factory="synctool.backbones.fcn_causal:mouth",
            look_ahead_frames=0,
        ),
        _mouth(
            "fcn-transformer",
            "fcn-cls with a small transformer along time, attending to nearby frames",
            frames=29,
            options={"layers": 3, "heads": 4, "attention_reach": 4},
        ),
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
            options={"max_offset": DEFAULT_MAX_OFFSET},
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
        options={
            "max_offset": DEFAULT_MAX_OFFSET,
            "embedding": 512,
            "width": width,
            "audio_bands": 13,
        },
        small=_SMALL,
    )


def _mouth(
    name: str,
    summary: str,
    *,
    frames: int,
    options: Mapping[str, Any],
    small: Mapping[str, Any] = MappingProxyType({}),
    factory: str = "",
    look_ahead_frames: int | None = None,
) -> BackboneSpec:
    """A model with the inputs, the local stages and the sizes of the default one."""
    return BackboneSpec(
        name=name,
        tag="mouth",
        default=True,
        role="joint",
        factory=factory or f"synctool.backbones.{name.replace('-', '_')}:mouth",
        summary=summary,
        video=VideoInput(crop="mouth", size_px=72, colour="gray"),
        audio=AudioInput(kind="logmel64"),
        embedding_size=256,
        receptive_field_frames=frames,
        audio_receptive_field_frames=frames,
        options={"max_offset": DEFAULT_MAX_OFFSET, "embedding": 256, "width": 32, **options},
        small={**_SMALL, **small},
        look_ahead_frames=look_ahead_frames,
    )
