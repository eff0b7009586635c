"""The video encoders ``timesformer`` and ``videomae``, given to synctool. Nothing heavy is imported
before one of them is chosen."""

from __future__ import annotations

from synctool import hookimpl
from synctool.plugins.specs import BackboneSpec, VideoInput, WeightsSpec

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
    """Both encoders, in the size that their authors call base."""
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
    ]
