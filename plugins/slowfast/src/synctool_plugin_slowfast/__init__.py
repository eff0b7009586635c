"""The video encoders ``slowfast`` and ``x3d``, given to synctool. Nothing heavy is imported here."""

from __future__ import annotations

from typing import Any

from synctool import hookimpl
from synctool.plugins.specs import BackboneSpec, VideoInput, WeightsSpec


@hookimpl
def synctool_backbones() -> list[BackboneSpec]:
    """SlowFast in two depths, X3D in three sizes of crop."""
    return [
        _slowfast("r50", "SLOWFAST_8x8_R50.pyth", frames=97, default=True),
        _slowfast("r101", "SLOWFAST_8x8_R101.pyth", frames=231),
        _x3d("xs", "X3D_XS.pyth", size_px=160),
        _x3d("s", "X3D_S.pyth", size_px=160, default=True),
        _x3d("m", "X3D_M.pyth", size_px=224),
    ]


def _slowfast(tag: str, file_name: str, *, frames: int, default: bool = False) -> BackboneSpec:
    return _spec(
        name="slowfast",
        tag=tag,
        default=default,
        factory=f"synctool_plugin_slowfast.slowfast:slowfast_{tag}",
        summary=f"SlowFast {tag.upper()} (Feichtenhofer et al. 2019), of PyTorchVideo",
        video=_face(224),
        embedding_size=2304,
        receptive_field_frames=frames,
        options={"stages": 4, "width": 64},
        weights=_weights("slowfast", tag, file_name),
        small={"stages": 2, "width": 32},
    )


def _x3d(tag: str, file_name: str, *, size_px: int, default: bool = False) -> BackboneSpec:
    return _spec(
        name="x3d",
        tag=tag,
        default=default,
        factory=f"synctool_plugin_slowfast.x3d:x3d_{tag}",
        summary=f"X3D-{tag.upper()} (Feichtenhofer 2020), of PyTorchVideo",
        video=_face(size_px),
        embedding_size=432,
        receptive_field_frames=57,
        options={"stages": 4},
        weights=_weights("x3d", tag, file_name),
        bounded=False,  # squeeze and excitation take the mean over the whole clip
        small={"stages": 1},
    )


def _spec(**fields: Any) -> BackboneSpec:
    return BackboneSpec(role="video", any_crop=True, **fields)


def _face(size_px: int) -> VideoInput:
    return VideoInput(
        crop="face", size_px=size_px, colour="rgb", mean=(0.45,) * 3, std=(0.225,) * 3
    )


def _weights(name: str, tag: str, file_name: str) -> WeightsSpec:
    return WeightsSpec(
        name=f"{name}-{tag}.kinetics400",
        licence="none stated for the weights; PyTorchVideo is Apache-2.0",
        catalogue=f"{name}-{tag}",
        file_name=file_name,
    )
