"""The networks that come with the package, registered through the plugin door."""

from __future__ import annotations

from synctool.backbones.specs import audio, heads, joint, video
from synctool.plugins.hookspecs import hookimpl
from synctool.plugins.specs import BackboneSpec, HeadSpec


@hookimpl
def synctool_backbones() -> list[BackboneSpec]:
    """Complete models, then encoders of frames and of audio, of which any two make a pair."""
    return [*joint.specs(), *video.specs(), *audio.specs()]


@hookimpl
def synctool_heads() -> list[HeadSpec]:
    """What compares the embeddings of a pair."""
    return heads.specs()
