"""``synctool backbones``: the networks that can be chosen."""

from __future__ import annotations

from dataclasses import asdict
from importlib.resources import files
from typing import Any

from synctool import registry
from synctool.cli.common import JsonFlag, print_json, print_table
from synctool.types import BackboneSpec


def backbones(json: JsonFlag = False) -> None:
    """List the networks that --backbone takes."""
    specs = registry.backbones()
    if json:
        print_json([_data(spec) for spec in specs])
    else:
        columns = ["name", "role", "input", "weights", "licence", "summary"]
        print_table(columns, [_row(spec) for spec in specs])


def _row(spec: BackboneSpec) -> list[str]:
    licence = spec.weights.licence if spec.weights else "-"
    return [spec.full_name, spec.role, _input(spec), _weights(spec), licence, spec.summary]


def _input(spec: BackboneSpec) -> str:
    parts = []
    if spec.video:
        parts.append(f"{spec.video.crop} {spec.video.size_px} {spec.video.colour}")
    if spec.audio:
        parts.append(spec.audio.kind)
    return ", ".join(parts)


def _weights(spec: BackboneSpec) -> str:
    """Where trained weights come from: ``bundled``, ``download`` or ``none`` (train it)."""
    if spec.weights is None:
        return "none"
    if spec.weights.bundled:
        path = files("synctool") / "weights" / "bundled" / spec.weights.bundled
        if path.is_file():
            return "bundled"
    return "download" if spec.weights.catalogue else "none"


def _data(spec: BackboneSpec) -> dict[str, Any]:
    weights = None
    if spec.weights:
        weights = {
            "name": spec.weights.name,
            "licence": spec.weights.licence,
            "available": _weights(spec),
        }
    return {
        "name": spec.full_name,
        "tag": spec.tag,
        "default": spec.default,
        "role": spec.role,
        "video": asdict(spec.video) if spec.video else None,
        "audio": spec.audio.kind if spec.audio else None,
        "embedding_size": spec.embedding_size,
        "receptive_field_frames": spec.receptive_field_frames,
        "audio_receptive_field_frames": spec.audio_receptive_field_frames,
        "options": dict(spec.options),
        "weights": weights,
        "summary": spec.summary,
    }
