"""Names to the specs of complete models, without building any. Imports no PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synctool.plugins import registry
from synctool.types import BackboneSpec

PAIR_OPTIONS = {"projection": 256, "max_offset": 15, "head": "volume"}
"""Options of every pair: D that both encoders are brought to (0: none), K, and name of the head."""


def named(name: str) -> BackboneSpec:
    """The spec of a complete model; that of a pair is put together from those of its encoders.

    Options of a pair's encoders are called ``video.NAME`` and ``audio.NAME``, those of its head
    ``head.NAME``.

    Args:
        name: ``NAME[.TAG]`` or ``VIDEO[.TAG]+AUDIO[.TAG]``.

    Raises:
        UsageError: There is no such model.
        PluginError: Two plugins claim the name.
    """
    found = registry.backbone(name)
    if isinstance(found, BackboneSpec):
        return found
    video, audio = found.video, found.audio
    return BackboneSpec(
        name=found.full_name,
        tag="pair",
        default=True,
        role="joint",
        factory="synctool.models.two_stream:two_stream",
        summary=f"{video.summary}; {audio.summary}",
        video=video.video,
        audio=audio.audio,
        embedding_size=PAIR_OPTIONS["projection"],
        receptive_field_frames=video.receptive_field_frames,
        audio_receptive_field_frames=audio.audio_receptive_field_frames,
        options={
            **PAIR_OPTIONS,
            **_prefixed("head", _default_head_options()),
            **_prefixed("video", video.options),
            **_prefixed("audio", audio.options),
        },
        bounded=video.bounded and audio.bounded,
        any_crop=video.any_crop,
        small={
            "projection": 16,
            **_prefixed("video", video.small),
            **_prefixed("audio", audio.small),
        },
    )


def _default_head_options() -> Mapping[str, Any]:
    known = {head.name: head.options for head in registry.heads()}
    return known.get(PAIR_OPTIONS["head"], {})


def encoder_specs(spec: BackboneSpec) -> tuple[BackboneSpec, BackboneSpec] | None:
    """The specs of both encoders of a pair, None for any other model."""
    if "+" not in spec.name:
        return None
    found = registry.backbone(spec.name)
    return found.video, found.audio


def _prefixed(part: str, options: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{part}.{name}": value for name, value in options.items()}
