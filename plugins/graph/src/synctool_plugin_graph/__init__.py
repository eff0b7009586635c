"""The picture encoder ``graph``, given to synctool. Nothing heavy is imported before it is chosen."""

from __future__ import annotations

from synctool import hookimpl
from synctool.types import BackboneSpec, VideoInput


@hookimpl
def synctool_backbones() -> list[BackboneSpec]:
    """The one network of this plugin."""
    return [
        BackboneSpec(
            name="graph",
            tag="72",
            default=True,
            role="video",
            factory="synctool_plugin_graph.encoder:GraphEncoder",
            summary="graph network over patches of grey crops and over time (ST-GCN)",
            video=VideoInput(crop="mouth", size_px=72, colour="gray"),
            embedding_size=256,
            receptive_field_frames=13,
            options={"embedding": 256, "width": 32, "grid": 6, "dropout": 0.2},
            any_crop=True,
            small={"embedding": 16, "width": 4, "grid": 3},
        )
    ]
