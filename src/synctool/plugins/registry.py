"""Names to specs: ``NAME[.TAG]``, or ``VIDEO[.TAG]+AUDIO[.TAG]`` for a two-stream model.

A name belongs to one distribution. Two that claim the same one are an error where that name is
asked for or all are listed; other names stay usable.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, ClassVar, Literal

from synctool.errors import PluginError, UsageError
from synctool.plugins.loader import PluginRecord, Provided, get_plugins
from synctool.types import (
    BackboneSpec,
    CatalogueEntry,
    DatasetSpec,
    ExporterSpec,
    FaceDetectorSpec,
    HeadSpec,
    LossSpec,
)

_BACKBONES = "synctool_backbones"
_HEADS = "synctool_heads"
_DETECTORS = "synctool_face_detectors"
_DATASETS = "synctool_datasets"
_CATALOGUE = "synctool_catalogue"
_LOSSES = "synctool_losses"
_EXPORTERS = "synctool_exporters"


@dataclass(frozen=True)
class PairSpec:
    """A two-stream model made of a video encoder and an audio encoder.

    Attributes:
        video: The encoder of the pictures, left of the plus sign.
        audio: The encoder of the sound, right of it.
    """

    video: BackboneSpec
    audio: BackboneSpec

    role: ClassVar[Literal["joint"]] = "joint"

    @property
    def full_name(self) -> str:
        """``VIDEO[.TAG]+AUDIO[.TAG]``, default tags left out."""
        return f"{self.video.full_name}+{self.audio.full_name}"


def backbones() -> list[BackboneSpec]:
    """All networks of all plugins, by name, default tags first.

    Raises:
        PluginError: If two plugins claim one name.
    """
    named = _by_name(_BACKBONES)
    found = [spec for name in named for spec in _owned("backbone", name, named[name])]
    return sorted(found, key=_default_first)


def backbone(name: str) -> BackboneSpec | PairSpec:
    """The complete model, picture and sound, of a name.

    Args:
        name: ``NAME[.TAG]`` of a joint model, or ``VIDEO[.TAG]+AUDIO[.TAG]``.

    Raises:
        UsageError: If there is no such name, or it is no complete model; the remedy names the
            nearest names, the partners, or the right order.
        PluginError: If two plugins claim the name.
    """
    if "+" in name:
        return _pair(name)
    spec = single(name)
    if spec.role == "joint":
        return spec
    other = "audio" if spec.role == "video" else "video"
    partners = [s.full_name for s in backbones() if s.role == other]
    pairs = [
        f"{spec.full_name}+{p}" if other == "audio" else f"{p}+{spec.full_name}" for p in partners
    ]
    raise UsageError(
        f"{spec.full_name!r} is only {_a(spec.role)} encoder and needs {_a(other)} encoder beside it",
        remedy=f"Choose a pair: {', '.join(pairs)}." if pairs else _none_installed(other),
    )


def single(name: str) -> BackboneSpec:
    """The one network of ``NAME[.TAG]``, whatever its role.

    Raises:
        UsageError: If there is no such name or tag.
        PluginError: If two plugins claim the name.
    """
    text = name.strip()
    base, dot, tag = text.partition(".")
    named = _by_name(_BACKBONES)
    if base not in named:
        raise _unknown("backbone", text, _spellings(named), "synctool backbones")
    specs = sorted(_owned("backbone", base, named[base]), key=_default_first)
    if dot:
        for spec in specs:
            if spec.tag == tag:
                return spec
        raise UsageError(
            f"the backbone {base!r} has no tag {tag!r}",
            remedy=f"It has {', '.join(s.tag for s in specs)}.",
        )
    defaults = [s for s in specs if s.default] or (specs if len(specs) == 1 else [])
    if not defaults:
        raise UsageError(
            f"the backbone {base!r} needs a tag",
            remedy=f"Choose one: {', '.join(f'{s.name}.{s.tag}' for s in specs)}.",
        )
    return defaults[0]


def backbones_of(name: str) -> list[BackboneSpec]:
    """The networks that the name of a plugin, a distribution or a network stands for.

    Raises:
        UsageError: There is no such name, or the plugin gives no network.
        PluginError: The plugin is broken or left out, or two plugins claim the network's name.
    """
    text = name.strip()
    found = [p.spec for p in get_plugins().collect(_BACKBONES) if text in _names(p.record)]
    if found:
        return sorted(found, key=_default_first)
    records = [record for record in get_plugins().records() if text in _names(record)]
    for record in records:
        if record.status != "ok":
            raise PluginError(
                f"{record} is {record.status}: {record.reason}",
                remedy="'synctool plugins list --debug' shows where."
                if record.status == "broken"
                else None,
            )
    if records:
        raise UsageError(f"{records[0]} gives no networks", remedy="Name another plugin.")
    return [single(text)]


def heads() -> list[HeadSpec]:
    """All heads of all plugins, by name.

    Raises:
        PluginError: If two plugins claim one name.
    """
    return _all(_HEADS, "head")


def head(name: str) -> HeadSpec:
    """The head of a name.

    Raises:
        UsageError: If there is no such name.
        PluginError: If two plugins claim the name.
    """
    return _one(_HEADS, "head", name)


def face_detectors() -> list[FaceDetectorSpec]:
    """All face detectors of all plugins, by name.

    Raises:
        PluginError: If two plugins claim one name.
    """
    return _all(_DETECTORS, "face detector")


def face_detector(name: str) -> FaceDetectorSpec:
    """The face detector of a name.

    Raises:
        UsageError: If there is no such name.
        PluginError: If two plugins claim the name.
    """
    return _one(_DETECTORS, "face detector", name)


def face_detector_source(name: str) -> str:
    """The plugin that a face detector comes from, in words for an error.

    Raises:
        UsageError: If there is no such name.
        PluginError: If two plugins claim the name.
    """
    spec = face_detector(name)
    return str(_by_name(_DETECTORS)[spec.name][0].record)


def datasets() -> list[DatasetSpec]:
    """All folder layouts of all plugins, by name.

    Raises:
        PluginError: If two plugins claim one name.
    """
    return _all(_DATASETS, "folder layout")


def dataset(name: str) -> DatasetSpec:
    """The folder layout of a name.

    Raises:
        UsageError: If there is no such name.
        PluginError: If two plugins claim the name.
    """
    return _one(_DATASETS, "folder layout", name)


def catalogue() -> list[CatalogueEntry]:
    """All that ``synctool download`` can fetch, by name.

    Raises:
        PluginError: If two plugins claim one name.
    """
    return _all(_CATALOGUE, "download")


def catalogue_entry(name: str) -> CatalogueEntry:
    """The weights or the data set of a name.

    Raises:
        UsageError: If there is no such name.
        PluginError: If two plugins claim the name.
    """
    return _one(_CATALOGUE, "download", name, listing="synctool download list")


def losses() -> list[LossSpec]:
    """All training losses of all plugins, by name.

    Raises:
        PluginError: If two plugins claim one name.
    """
    return _all(_LOSSES, "loss")


def loss(name: str) -> LossSpec:
    """The training loss of a name.

    Raises:
        UsageError: If there is no such name.
        PluginError: If two plugins claim the name.
    """
    return _one(_LOSSES, "loss", name)


def exporters() -> list[ExporterSpec]:
    """All export formats of all plugins, by name.

    Raises:
        PluginError: If two plugins claim one name.
    """
    return _all(_EXPORTERS, "export format")


def exporter(name: str) -> ExporterSpec:
    """The export format of a name.

    Raises:
        UsageError: If there is no such name.
        PluginError: If two plugins claim the name.
    """
    return _one(_EXPORTERS, "export format", name)


def imported(factory: str) -> Any:
    """What the ``package.module:callable`` of a spec names; its module is imported only now."""
    module, _, attribute = factory.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _all(hook: str, kind: str) -> list[Any]:
    """All specs of a hook whose names have no tags."""
    named = _by_name(hook)
    return [spec for name in sorted(named) for spec in _owned(kind, name, named[name])]


def _one(hook: str, kind: str, name: str, *, listing: str | None = None) -> Any:
    """The spec of a name; ``listing`` is the command that lists what there is."""
    named = _by_name(hook)
    text = name.strip()
    if text not in named:
        raise _unknown(kind, text, sorted(named), listing)
    return _owned(kind, text, named[text])[0]


def _pair(name: str) -> PairSpec:
    parts = [part.strip() for part in name.split("+")]
    if len(parts) != 2 or not all(parts):
        raise UsageError(
            f"{name!r} is not the name of a pair",
            remedy="Write VIDEO+AUDIO, one encoder each side.",
        )
    left, right = (single(part) for part in parts)
    if (left.role, right.role) == ("video", "audio"):
        return PairSpec(left, right)
    if (left.role, right.role) == ("audio", "video"):
        raise UsageError(
            f"{name!r} has its encoders the wrong way round",
            remedy=f"The video encoder comes first: {right.full_name}+{left.full_name}.",
        )
    for spec in (left, right):
        if spec.role == "joint":
            raise UsageError(
                f"{spec.full_name!r} is a complete model and takes no partner",
                remedy=f"Use {spec.full_name} alone.",
            )
    missing = "audio" if left.role == "video" else "video"
    partners = [s.full_name for s in backbones() if s.role == missing]
    raise UsageError(
        f"{name!r} pairs two {left.role} encoders; one of them must be {_a(missing)} encoder",
        remedy=f"Partners are {', '.join(partners)}." if partners else _none_installed(missing),
    )


def _by_name(hook: str) -> dict[str, list[Provided]]:
    named: dict[str, list[Provided]] = {}
    for provided in get_plugins().collect(hook):
        named.setdefault(provided.spec.name, []).append(provided)
    return named


def _owned(kind: str, name: str, provided: list[Provided]) -> list[Any]:
    """The specs of one name, after making sure that one distribution gives them and no two clash."""
    specs = [p.spec for p in provided]
    keys = [getattr(s, "tag", "") for s in specs]
    many_owners = len({p.record.owner for p in provided}) > 1
    many_defaults = sum(getattr(s, "default", False) for s in specs) > 1
    if many_owners or many_defaults or len(set(keys)) < len(keys):
        holders = list(dict.fromkeys(str(p.record) for p in provided))
        cause = f"the {kind} {name!r} is given more than once, by {' and '.join(holders)}"
        if many_defaults and len(holders) == 1:
            cause = f"the {kind} {name!r} of {holders[0]} has more than one default tag"
        raise PluginError(
            cause, remedy="Uninstall one of them, or name the plugins to load in SYNCTOOL_PLUGINS."
        )
    return specs


def _names(record: PluginRecord) -> tuple[str, str]:
    return record.name, record.owner


def _default_first(spec: BackboneSpec) -> tuple[str, bool, str]:
    return spec.name, not spec.default, spec.tag


def _spellings(named: dict[str, list[Provided]]) -> list[str]:
    tagged = [f"{name}.{p.spec.tag}" for name in named for p in named[name]]
    return sorted({*named, *tagged})


def _a(role: str) -> str:
    return f"an {role}" if role == "audio" else f"a {role}"


def _none_installed(role: str) -> str:
    return f"No {role} encoder is installed; install a plugin that has one."


def _unknown(kind: str, name: str, known: list[str], listing: str | None) -> UsageError:
    near = get_close_matches(name.lower(), known, n=3)
    if near:
        remedy = f"Did you mean {' or '.join(near)}?"
    elif listing:
        remedy = f"'{listing}' lists them."
    else:
        remedy = f"There are {', '.join(known)}." if known else "None is installed."
    broken = [r.name for r in get_plugins().records() if r.status == "broken"]
    if broken:
        remedy += f" Broken plugins: {', '.join(broken)}; see 'synctool plugins list'."
    return UsageError(f"there is no {kind} {name!r}", remedy=remedy)
