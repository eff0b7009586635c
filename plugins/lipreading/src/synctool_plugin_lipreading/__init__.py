"""The video encoder ``avhubert``, given to synctool. Nothing heavy is imported here."""

from __future__ import annotations

from synctool import hookimpl
from synctool.plugins.specs import BackboneSpec, VideoInput, WeightsSpec


@hookimpl
def synctool_backbones() -> list[BackboneSpec]:
    """The front end of lip reading networks, in AV-HuBERT's own form."""
    return [
        BackboneSpec(
            name="avhubert",
            tag="frontend",
            default=True,
            role="video",
            factory="synctool_plugin_lipreading.frontend:avhubert_frontend",
            summary="visual front end of AV-HuBERT (Shi et al. 2022): ResNet-18 with a 3-D stem",
            # As AV-HuBERT, Auto-AVSR and the networks of Ma et al. normalise their mouths.
            video=VideoInput(crop="mouth", size_px=88, colour="gray", mean=(0.421,), std=(0.165,)),
            embedding_size=512,
            receptive_field_frames=5,
            options={"width": 64, "activation": "prelu"},
            weights=WeightsSpec(
                name="avhubert-frontend",
                licence="AV-HuBERT licence (Meta): for research that is not commercial",
                file_name="avhubert-frontend.safetensors",
            ),
            any_crop=True,
            small={"width": 8},
        )
    ]
