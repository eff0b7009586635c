"""What plugins return is checked here, before anything else sees it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_args
from urllib.parse import urlsplit

from synctool.plugins.specs import (
    BackboneSpec,
    CatalogueEntry,
    CatalogueFile,
    DatasetSpec,
    ExporterSpec,
    FaceDetectorSpec,
    HeadSpec,
    HubSource,
    LossSpec,
    Precision,
    WeightsSpec,
)

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_TAG = re.compile(r"[a-z0-9]+([-_][a-z0-9]+)*")
_FACTORY = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_SUFFIX = re.compile(r"\.[a-z0-9]+")
_REPO = re.compile(r"[\w.-]+/[\w.-]+")
_DIGITS = {
    "sha256": re.compile(r"[0-9a-f]{64}"),
    "sha256_prefix": re.compile(r"[0-9a-f]{8,63}"),
    "md5": re.compile(r"[0-9a-f]{32}"),
}
_PATH = re.compile(r"[^\x00-\x1f\\:*?\"<>|]+")
_TYPES = {
    "synctool_backbones": BackboneSpec,
    "synctool_face_detectors": FaceDetectorSpec,
    "synctool_heads": HeadSpec,
    "synctool_datasets": DatasetSpec,
    "synctool_catalogue": CatalogueEntry,
    "synctool_losses": LossSpec,
    "synctool_exporters": ExporterSpec,
}


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
        if isinstance(spec, (BackboneSpec, HeadSpec, FaceDetectorSpec, DatasetSpec, LossSpec)):
            _check_factory(name, spec.factory)
        if isinstance(spec, (BackboneSpec, HeadSpec, LossSpec)):
            _check_options(name, spec.options)
        if isinstance(spec, FaceDetectorSpec) and not isinstance(
            spec.weights, (WeightsSpec, type(None))
        ):
            raise ValueError(f"{name}: the weights {spec.weights!r}; they are a WeightsSpec")
        if isinstance(spec, ExporterSpec):
            _check_exporter(spec)
        if isinstance(spec, CatalogueEntry):
            _check_entry(spec)
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
    if not isinstance(spec.embedding_size, int) or spec.embedding_size < 1:
        raise ValueError(
            f"{spec.name}: the embedding size {spec.embedding_size!r}; it is 1 or more"
        )
    for field in ("receptive_field_frames", "audio_receptive_field_frames"):
        frames = getattr(spec, field)
        if not isinstance(frames, int) or frames < 1 or frames % 2 == 0:
            raise ValueError(f"{spec.name}: {field} {frames!r}; it is odd, as it has a middle")
    ahead, fields = spec.look_ahead_frames, []
    fields += [spec.receptive_field_frames] if spec.video else []
    fields += [spec.audio_receptive_field_frames] if spec.audio else []
    if ahead is not None and not (isinstance(ahead, int) and 0 <= ahead <= min(fields) // 2):
        raise ValueError(f"{spec.name}: look_ahead_frames {ahead!r}; it looks no further than back")
    strange = sorted(set(spec.small) - set(spec.options))
    if strange:
        raise ValueError(f"{spec.name}: small names {strange[0]!r}, which is none of its options")


def _check_exporter(spec: ExporterSpec) -> None:
    _check_factory(spec.name, spec.writer)
    if spec.reader:
        _check_factory(spec.name, spec.reader)
    if not isinstance(spec.suffix, str) or not _SUFFIX.fullmatch(spec.suffix):
        raise ValueError(f"{spec.name}: the suffix {spec.suffix!r}; it is a dot and letters")
    strange = sorted(set(spec.precisions) - set(get_args(Precision)))
    if strange or not spec.precisions:
        raise ValueError(f"{spec.name}: the precisions {spec.precisions!r}")


def _check_factory(name: str, factory: object) -> None:
    if not isinstance(factory, str) or not _FACTORY.fullmatch(factory):
        raise ValueError(f"{name}: the factory {factory!r}; it is written package.module:callable")


def _check_options(name: str, options: object) -> None:
    words = isinstance(options, Mapping) and all(
        isinstance(key, str) and key.isidentifier() for key in options
    )
    if not words:
        raise ValueError(f"{name}: the options {options!r}; they are default values by name")


def _check_entry(entry: CatalogueEntry) -> None:
    """Check one entry of the catalogue: what is fetched, and above all where it would be written."""
    for field, allowed in (("kind", ("weights", "dataset")), ("access", ("open", "credentials"))):
        if getattr(entry, field) not in allowed:
            found = getattr(entry, field)
            raise ValueError(f"{entry.name}: {field} {found!r}; it is {' or '.join(allowed)}")
    for field in ("summary", "licence"):
        text = getattr(entry, field)
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"{entry.name}: no {field}")
    if entry.access == "credentials" and not entry.access_note:
        raise ValueError(f"{entry.name}: no access_note, which says how access is granted")
    for url in (entry.homepage, *filter(None, [entry.licence_url])):
        _check_url(entry.name, url)
    if bool(entry.files) == (entry.hub is not None):
        raise ValueError(f"{entry.name}: it has either files or a hub")
    if entry.hub is not None:
        _check_hub(entry.name, entry.hub)
    taken: set[str] = set()
    for file in entry.files:
        _check_file(entry.name, file)
        if file.path.casefold() in taken:
            raise ValueError(f"{entry.name}: the file {file.path!r} twice")
        taken.add(file.path.casefold())
    if entry.unpack and not entry.archives:
        raise ValueError(f"{entry.name}: nothing to unpack among its files")


def _check_hub(name: str, hub: HubSource) -> None:
    if not isinstance(hub.repo, str) or not _REPO.fullmatch(hub.repo):
        raise ValueError(f"{name}: the repository {hub.repo!r}; it is written owner/name")
    if not hub.patterns or not all(isinstance(p, str) and p for p in hub.patterns):
        raise ValueError(f"{name}: no patterns, which say which files of {hub.repo} are wanted")


def _check_file(name: str, file: CatalogueFile) -> None:
    for path in (file.path, *filter(None, [file.parts_of])):
        _check_path(name, path)
    if not file.urls:
        raise ValueError(f"{name}: {file.path} has no urls")
    for url in file.urls:
        _check_url(name, url)
    if file.size is not None and (isinstance(file.size, bool) or not file.size >= 0):
        raise ValueError(f"{name}: {file.path} has the size {file.size!r}")
    for field, pattern in _DIGITS.items():
        digits = getattr(file, field)
        if digits is not None and not pattern.fullmatch(digits):
            raise ValueError(f"{name}: {file.path} has the {field} {digits!r}")


def _check_path(name: str, path: str) -> None:
    """A path must stay below the entry's folder, on any system, and out of synctool's own files."""
    parts = path.split("/")
    if not _PATH.fullmatch(path) or any(not p or p.startswith(".") for p in parts):
        words = "it is relative, with forward slashes, and no part begins with a dot"
        raise ValueError(f"{name}: the path {path!r}; {words}")


def _check_url(name: str, url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{name}: the address {url!r}; it begins with http:// or https://")
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"{name}: an address with a user name in it; that belongs to the user")
