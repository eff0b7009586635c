"""The video encoder ``graph`` and the model ``graph-cls``, given to synctool. Nothing heavy is imported
before one is chosen."""

from __future__ import annotations

from dataclasses import replace

from synctool import hookimpl
from synctool.plugins.specs import AudioInput, BackboneSpec, VideoInput, WeightsSpec

_WEIGHTS = WeightsSpec(
    name="graph-cls.v1",
    licence="MIT; trained on GRID (CC BY 4.0) and LRW-AR clips, see the README",
    bundled="graph-cls.v1.safetensors",
    package="synctool_plugin_graph",
)
_MOUTH = VideoInput(crop="mouth", size_px=72, colour="gray")


@hookimpl
def synctool_backbones() -> list[BackboneSpec]:
    """A video encoder, and a complete model with it."""
    return [
        BackboneSpec(
            name="graph",
            tag="72",
            default=True,
            role="video",
            factory="synctool_plugin_graph.encoder:GraphEncoder",
            summary="graph network over patches of grey crops and over time (ST-GCN)",
            video=_MOUTH,
            embedding_size=256,
            receptive_field_frames=13,
            options={"embedding": 256, "width": 32, "grid": 6, "dropout": 0.2},
            weights=replace(_WEIGHTS, part="video_encoder."),
            any_crop=True,
            small={"embedding": 16, "width": 4, "grid": 3},
        ),
        BackboneSpec(
            name="graph-cls",
            tag="mouth",
            default=True,
            role="joint",
            factory="synctool_plugin_graph.encoder:graph_cls",
            summary="offset classifier with the graph network: a fifth of fcn-cls's work, less exact",
            video=_MOUTH,
            audio=AudioInput(kind="logmel64"),
            embedding_size=256,
            receptive_field_frames=13,
            audio_receptive_field_frames=13,
            options={"max_offset": 15, "embedding": 256, "width": 32, "grid": 6},
            weights=_WEIGHTS,
            small={"embedding": 16, "width": 4, "grid": 3},
        ),
    ]
