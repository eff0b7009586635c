"""What plugins return is checked here, before anything else sees it."""

from __future__ import annotations

import re
from typing import Any

from synctool.types import BackboneSpec, FaceDetectorSpec

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_TAG = re.compile(r"[a-z0-9]+([-_][a-z0-9]+)*")
_FACTORY = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_TYPES = {"synctool_backbones": BackboneSpec, "synctool_face_detectors": FaceDetectorSpec}


def specs(hook: str, got: object) -> list[Any]:
    """Check what a plugin returned for a hook.

    Args:
        hook: Name of the hook.
        got: Whatever came back.

    Returns:
        A new list of the same specs.

    Raises:
        ValueError: If it is not a list of sound specs of the right type, each with its own name.
    """
    if not isinstance(got, list):
        raise ValueError(f"{type(got).__name__} in place of a list")
    seen: set[str] = set()
    for spec in got:
        wanted = _TYPES.get(hook)
        if wanted is not None and not isinstance(spec, wanted):
            raise ValueError(f"{type(spec).__name__} in place of {wanted.__name__}")
        name = getattr(spec, "name", None)
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(f"the name {name!r}; lower case, digits and dashes are allowed")
        if isinstance(spec, BackboneSpec):
            _check_backbone(spec)
            name = f"{name}.{spec.tag}"
        if isinstance(spec, (BackboneSpec, FaceDetectorSpec)):
            _check_factory(name, spec.factory)
        if name in seen:
            raise ValueError(f"{name!r} twice")
        seen.add(name)
    return list(got)


def _check_backbone(spec: BackboneSpec) -> None:
    if not isinstance(spec.tag, str) or not _TAG.fullmatch(spec.tag):
        raise ValueError(f"{spec.name}: the tag {spec.tag!r}; lower case and digits are allowed")
    wanted = {"video": (True, False), "audio": (False, True), "joint": (True, True)}
    if spec.role not in wanted:
        raise ValueError(f"{spec.name}: the role {spec.role!r}; it is {', '.join(wanted)}")
    if (spec.video is not None, spec.audio is not None) != wanted[spec.role]:
        raise ValueError(f"{spec.name}: inputs that do not go with the role {spec.role!r}")


def _check_factory(name: str, factory: object) -> None:
    if not isinstance(factory, str) or not _FACTORY.fullmatch(factory):
        raise ValueError(f"{name}: the factory {factory!r}; it is written package.module:callable")
