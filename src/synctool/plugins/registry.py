"""What plugins give, by name: one registry for each hook that returns specs.

A name belongs to one distribution. Two that claim the same one are an error where that name is
asked for or all are listed; other names stay usable.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, Generic, Protocol, TypeVar

from synctool.errors import PluginError, UsageError
from synctool.plugins.loader import PluginRecord, Plugins, Provided, get_plugins
from synctool.plugins.specs import (
    BackboneSpec,
    CatalogueEntry,
    DatasetSpec,
    ExporterSpec,
    FaceDetectorSpec,
    HeadSpec,
    LossSpec,
)


class Named(Protocol):
    """Any spec."""

    @property
    def name(self) -> str:
        """What it is chosen by."""
        ...


S = TypeVar("S", bound=Named)


class Registry(Generic[S]):
    """The specs of one hook. They are kept until a plugin comes, goes or breaks.

    Args:
        hook: Name of the hook.
        kind: What a spec of it is called in errors.
        listing: The command that lists them; empty where errors list them themselves.
    """

    def __init__(self, hook: str, kind: str, *, listing: str = "") -> None:
        self._hook = hook
        self._kind = kind
        self._listing = listing
        self._kept: tuple[Plugins, int, dict[str, list[Provided]]] | None = None

    def all(self) -> list[S]:
        """All specs, by name.

        Raises:
            PluginError: Two plugins claim one name.
        """
        named = self._by_name()
        return [spec for name in sorted(named) for spec in self._owned(name)]

    def get(self, name: str) -> S:
        """The spec of a name.

        Raises:
            UsageError: There is no such name; the remedy has the nearest ones.
            PluginError: Two plugins claim the name.
        """
        return self._of_name(name.strip())[0]

    def source(self, name: str) -> PluginRecord:
        """The plugin that gives the spec of a name.

        Raises:
            UsageError: There is no such name.
            PluginError: Two plugins claim the name.
        """
        return self._by_name()[self.get(name).name][0].record

    def _of_name(self, name: str) -> list[S]:
        """The specs that share a name; several only where there are tags."""
        named = self._by_name()
        if name not in named:
            raise self._unknown(name)
        return self._owned(name)

    def _by_name(self) -> dict[str, list[Provided]]:
        plugins = get_plugins()
        if self._kept is not None and self._kept[:2] == (plugins, plugins.changes):
            return self._kept[2]
        named: dict[str, list[Provided]] = {}
        for provided in plugins.collect(self._hook):
            named.setdefault(provided.spec.name, []).append(provided)
        self._kept = (plugins, plugins.changes, named)
        return named

    def _owned(self, name: str) -> list[S]:
        """The specs of one name, after making sure that one distribution gives them and none clash."""
        provided = self._by_name()[name]
        specs: list[S] = [p.spec for p in provided]
        several = len({p.record.owner for p in provided}) > 1
        fault = "is given more than once" if several else self._fault(specs)
        if fault:
            givers = " and ".join(dict.fromkeys(str(p.record) for p in provided))
            raise PluginError(
                f"the {self._kind} {name!r} {fault}, by {givers}",
                remedy="Uninstall one of them, or name the plugins to load in SYNCTOOL_PLUGINS.",
            )
        return specs

    def _fault(self, specs: list[S]) -> str:
        """What is wrong with the specs of one name that one distribution gives; "" if nothing."""
        return "is given more than once" if len(specs) > 1 else ""

    def _spellings(self) -> Iterable[str]:
        """All names that ``get`` takes."""
        return self._by_name()

    def _unknown(self, name: str) -> UsageError:
        known = sorted(self._spellings())
        near = get_close_matches(name.lower(), known, n=3)
        if near:
            remedy = f"Did you mean {' or '.join(near)}?"
        elif self._listing:
            remedy = f"'{self._listing}' lists them."
        else:
            remedy = f"There are {', '.join(known)}." if known else "None is installed."
        broken = [r.name for r in get_plugins().records() if r.status == "broken"]
        if broken:
            remedy += f" Broken plugins: {', '.join(broken)}; see 'synctool plugins list'."
        return UsageError(f"there is no {self._kind} {name!r}", remedy=remedy)


class BackboneRegistry(Registry[BackboneSpec]):
    """Encoders and complete models by ``NAME[.TAG]``; pairs of encoders are in ``networks.names``."""

    def all(self) -> list[BackboneSpec]:
        """All backbones, by name, default tags first.

        Raises:
            PluginError: Two plugins claim one name.
        """
        return sorted(super().all(), key=_default_first)

    def get(self, name: str) -> BackboneSpec:
        """The backbone of ``NAME[.TAG]``, whatever its role.

        Raises:
            UsageError: There is no such name or tag; the remedy has the nearest ones.
            PluginError: Two plugins claim the name.
        """
        text = name.strip()
        base, dot, tag = text.partition(".")
        if base not in self._by_name():
            raise self._unknown(text)
        specs = sorted(self._owned(base), key=_default_first)
        if dot:
            for spec in specs:
                if spec.tag == tag:
                    return spec
            raise UsageError(
                f"the backbone {base!r} has no tag {tag!r}",
                remedy=f"It has {', '.join(s.tag for s in specs)}.",
            )
        if not specs[0].default and len(specs) > 1:
            raise UsageError(
                f"the backbone {base!r} needs a tag",
                remedy=f"Choose one: {', '.join(f'{s.name}.{s.tag}' for s in specs)}.",
            )
        return specs[0]

    def of(self, name: str) -> list[BackboneSpec]:
        """The backbones that the name of a plugin, a distribution or a backbone stands for.

        Raises:
            UsageError: There is no such name, or the plugin gives no backbone.
            PluginError: The plugin is broken or left out, or two plugins claim the backbone's name.
        """
        text = name.strip()
        given = [p for named in self._by_name().values() for p in named]
        found = [p.spec for p in given if text in (p.record.name, p.record.owner)]
        if found:
            return sorted(found, key=_default_first)
        records = [r for r in get_plugins().records() if text in (r.name, r.owner)]
        for record in records:
            if record.status != "ok":
                broken = record.status == "broken"
                raise PluginError(
                    f"{record} is {record.status}: {record.reason}",
                    remedy="'synctool plugins list --debug' shows where." if broken else None,
                )
        if records:
            raise UsageError(f"{records[0]} gives no networks", remedy="Name another plugin.")
        return [self.get(text)]

    def _fault(self, specs: list[BackboneSpec]) -> str:
        if len({spec.tag for spec in specs}) < len(specs):
            return "is given more than once"
        return "has more than one default tag" if sum(spec.default for spec in specs) > 1 else ""

    def _spellings(self) -> Iterable[str]:
        named = self._by_name()
        return {*named, *(f"{name}.{p.spec.tag}" for name in named for p in named[name])}


def _default_first(spec: BackboneSpec) -> tuple[str, bool, str]:
    return spec.name, not spec.default, spec.tag


backbones = BackboneRegistry("synctool_backbones", "backbone", listing="synctool backbones")
catalogue = Registry[CatalogueEntry](
    "synctool_catalogue", "download", listing="synctool download list"
)
exporters = Registry[ExporterSpec]("synctool_exporters", "export format")
face_detectors = Registry[FaceDetectorSpec]("synctool_face_detectors", "face detector")
heads = Registry[HeadSpec]("synctool_heads", "head")
layouts = Registry[DatasetSpec]("synctool_datasets", "folder layout")
losses = Registry[LossSpec]("synctool_losses", "loss")

single = backbones.get
"""As the tests of plugins ask for a backbone."""


def imported(factory: str) -> Any:
    """What the ``package.module:callable`` of a spec names; its module is imported only now."""
    module, _, attribute = factory.partition(":")
    return getattr(importlib.import_module(module), attribute)
