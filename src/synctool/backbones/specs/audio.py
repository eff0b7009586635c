"""Audio encoders."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from synctool.backbones.specs.joint import FCN_WEIGHTS
from synctool.plugins.specs import AudioInput, BackboneSpec, WeightsSpec

_APACHE = "Apache-2.0"
_SPEECH_CONTEXT = 65
"""Frames around the middle one that the positional convolution of wav2vec 2.0 reaches: 64 steps of 20 ms
on either side. Attention reaches further; a piece of a long video gets this much on either side."""


def specs() -> list[BackboneSpec]:
    """The audio half of ``fcn-cls``, VGGish, wav2vec 2.0 and HuBERT."""
    return [
        BackboneSpec(
            name="fcn-mel",
            tag="64",
            default=True,
            role="audio",
            factory="synctool.backbones.fcn_cls:mel_encoder",
            summary="the audio half of fcn-cls: log-mel bands",
            audio=AudioInput(kind="logmel64"),
            embedding_size=256,
            audio_receptive_field_frames=13,
            options={"embedding": 256, "width": 32},
            weights=replace(FCN_WEIGHTS, part="audio_encoder."),
            small={"embedding": 16, "width": 4},
        ),
        BackboneSpec(
            name="vggish",
            tag="audioset",
            default=True,
            role="audio",
            factory="synctool.backbones.vggish:vggish",
            summary="VGGish (Hershey et al. 2017), 0.96 s around every frame",
            audio=AudioInput(kind="waveform16k"),
            embedding_size=128,
            audio_receptive_field_frames=25,
            options={"width": 64},
            weights=WeightsSpec(
                name="vggish-10086976",
                licence="Apache-2.0 (torchvggish); none stated for the weights themselves",
                catalogue="vggish",
                file_name="vggish-10086976.pth",
            ),
            small={"width": 4},
        ),
        _speech("wav2vec2", "base", summary="wav2vec 2.0 base (Baevski et al. 2020)", norm="group"),
        _speech(
            "wav2vec2", "large", summary="wav2vec 2.0 large (Baevski et al. 2020)", norm="group"
        ),
        _speech("hubert", "base", summary="HuBERT base (Hsu et al. 2021)", norm="group"),
        _speech("hubert", "large", summary="HuBERT large (Hsu et al. 2021)", norm="layer"),
    ]


def _speech(name: str, tag: str, *, summary: str, norm: str) -> BackboneSpec:
    """A speech transformer in one of the two sizes that all of them have."""
    base = tag == "base"
    size = 768 if base else 1024
    options: dict[str, Any] = {
        "layers": 12 if base else 24,
        "size": size,
        "channels": 512,
        "norm": norm,
        "layer": -1,
        "mix": False,
        "normalise": True,
    }
    return BackboneSpec(
        name=name,
        tag=tag,
        default=base,
        role="audio",
        factory=f"synctool.backbones.speech_transformers:{name}_{tag}",
        summary=summary,
        audio=AudioInput(kind="waveform16k"),
        embedding_size=size,
        audio_receptive_field_frames=_SPEECH_CONTEXT,
        options=options,
        weights=WeightsSpec(
            name=f"{name}-{tag}", licence=_APACHE, catalogue=f"{name}-{tag}", file_name="."
        ),
        bounded=False,
        small={"layers": 2, "size": 64, "channels": 32},
    )
