"""The video encoders ``timesformer``, ``videomae``, ``vjepa2`` and ``pe-video``, given to synctool.

Nothing heavy is imported before one of them is chosen.
"""

from __future__ import annotations

from synctool import hookimpl
from synctool.plugins.specs import (
    BackboneSpec,
    CatalogueEntry,
    HubSource,
    VideoInput,
    WeightsSpec,
)

_VJEPA2 = "vjepa2-vitl"
_VJEPA2_TERMS = (
    "MIT (repository, but for three Apache-2.0 files); cards of larger ones say Apache-2.0"
)
_PE_TERMS = "Apache-2.0 by the cards of PE-AV; Meta's perception_models is Apache-2.0"
_BASE = {
    "layers": 12,
    "hidden_size": 768,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "image_size": 224,
    "patch_size": 16,
    "hop": 1,
    "stride": 1,
    "gradient_checkpointing": False,
}
_SMALL = {
    "layers": 1,
    "hidden_size": 16,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "image_size": 32,
}


@hookimpl
def synctool_backbones() -> list[BackboneSpec]:
    """The encoders, in the size that their authors call base, or L."""
    return [
        BackboneSpec(
            name="timesformer",
            tag="base",
            default=True,
            role="video",
            factory="synctool_plugin_videotransformers.timesformer:TimesformerEncoder",
            summary="TimeSformer: attention over time, then over space (Bertasius et al. 2021)",
            video=VideoInput(
                crop="face",
                size_px=224,
                colour="rgb",
                mean=(0.45, 0.45, 0.45),
                std=(0.225, 0.225, 0.225),
            ),
            embedding_size=768,
            receptive_field_frames=9,
            options={"num_frames": 8, **_BASE},
            weights=WeightsSpec(
                name="timesformer-base-finetuned-k400",
                licence="CC BY-NC 4.0",
                catalogue="timesformer",
                file_name=".",
            ),
            any_crop=True,
            small=_SMALL,
        ),
        BackboneSpec(
            name="videomae",
            tag="base",
            default=True,
            role="video",
            factory="synctool_plugin_videotransformers.videomae:VideoMAEEncoder",
            summary="VideoMAE: a masked autoencoder's attention over all of space and time "
            "(Tong et al. 2022)",
            video=VideoInput(
                crop="face",
                size_px=224,
                colour="rgb",
                mean=(0.485, 0.456, 0.406),
                std=(0.229, 0.224, 0.225),
            ),
            embedding_size=768,
            receptive_field_frames=17,
            options={"num_frames": 16, **_BASE, "use_mean_pooling": False},
            weights=WeightsSpec(
                name="videomae-base",
                licence="CC BY-NC 4.0",
                catalogue="videomae",
                file_name=".",
            ),
            any_crop=True,
            small=_SMALL,
        ),
        BackboneSpec(
            name="vjepa2",
            tag="vitl",
            default=True,
            role="video",
            factory="synctool_plugin_videotransformers.vjepa2:VJEPA2Encoder",
            summary="V-JEPA 2 ViT-L: trained to predict what it does not see (Assran et al. 2025)",
            video=VideoInput(
                crop="face",
                size_px=256,
                colour="rgb",
                mean=(0.485, 0.456, 0.406),
                std=(0.229, 0.224, 0.225),
            ),
            embedding_size=1024,
            receptive_field_frames=17,
            options={
                "num_frames": 16,
                "layers": 24,
                "hidden_size": 1024,
                "num_attention_heads": 16,
                "mlp_ratio": 4.0,
                "image_size": 256,
                "patch_size": 16,
                "hop": 1,
                "stride": 1,
                "gradient_checkpointing": False,
            },
            weights=WeightsSpec(
                name=_VJEPA2, licence=_VJEPA2_TERMS, catalogue=_VJEPA2, file_name="."
            ),
            any_crop=True,
            small={
                "layers": 1,
                "hidden_size": 16,
                "num_attention_heads": 2,
                "mlp_ratio": 1.0,
                "image_size": 32,
            },
        ),
        BackboneSpec(
            name="pe-video",
            tag="large",
            default=True,
            role="video",
            factory="synctool_plugin_videotransformers.pe_video:PEVideoEncoder",
            summary="video encoder of PE-AV (Vyas et al. 2025): Perception Encoder, then over time",
            video=VideoInput(
                crop="face", size_px=336, colour="rgb", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)
            ),
            embedding_size=1792,
            receptive_field_frames=51,
            bounded=False,
            options={
                "layers": 6,
                "size": 1792,
                "heads": 14,
                "head_size": 128,
                "hidden": 4800,
                "depth": 24,
                "width": 1024,
                "vision_heads": 16,
                "classes": 1024,
                "image_size": 336,
            },
            weights=WeightsSpec(
                name="pe-av-large", licence=_PE_TERMS, file_name="pe-av-large/config.json"
            ),
            any_crop=True,
            small={
                **{"layers": 1, "size": 16, "heads": 2, "head_size": 8, "hidden": 16, "depth": 1},
                **{"width": 16, "vision_heads": 2, "classes": 8, "image_size": 28},
            },
        ),
    ]


@hookimpl
def synctool_catalogue() -> list[CatalogueEntry]:
    """The published network here that synctool's own catalogue lacks."""
    return [
        CatalogueEntry(
            name=_VJEPA2,
            kind="weights",
            summary="V-JEPA 2 ViT-L, self-supervised on a million hours of video",
            homepage="https://huggingface.co/facebook/vjepa2-vitl-fpc64-256",
            licence=_VJEPA2_TERMS,
            licence_url="https://github.com/facebookresearch/vjepa2/blob/main/LICENSE",
            hub=HubSource(
                repo="facebook/vjepa2-vitl-fpc64-256",
                revision="b3c1679b7c34d3255ef3547f27c7b226aefab26f",
                patterns=("config.json", "model.safetensors"),
            ),
        )
    ]
