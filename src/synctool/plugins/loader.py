"""Loads plugins, each on its own, so that a broken one harms nothing else.

``SYNCTOOL_PLUGINS=a,b`` loads only these plugins (by plugin or distribution name; empty: none)
beside the built-in ones. ``SYNCTOOL_STRICT=1`` raises where a plugin would be left out as broken.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

import pluggy

from synctool.errors import PluginError, described
from synctool.plugins import checks as spec_checks
from synctool.plugins import hookspecs

ENV_ONLY = "SYNCTOOL_PLUGINS"
ENV_STRICT = "SYNCTOOL_STRICT"
HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("synctool_"))
"""Names of all hooks."""

_log = logging.getLogger(__name__)
_FAILURES = (Exception, SystemExit)  # a plugin that calls sys.exit() is broken, too


@dataclass(frozen=True)
class PluginRecord:
    """What is known about one plugin.

    Attributes:
        name: Name of its entry point.
        distribution: What ``pip`` knows it as, None if it was registered by hand.
        version: Version of the distribution.
        module: What the entry point names.
        status: ``ok``, ``broken`` or ``disabled`` (left out by ``SYNCTOOL_PLUGINS``).
        reason: Why it is not ok, else None.
        hooks: The hooks it implements.
        gives: Names of the specs that it gave for each hook that returns some, as far as it was asked
            (see ``Plugins.probe``).
        builtin: Whether it comes with synctool itself.
        load_ms: How long its import took.
    """

    name: str
    distribution: str | None
    version: str | None
    module: str
    status: Literal["ok", "broken", "disabled"] = "ok"
    reason: str | None = None
    hooks: tuple[str, ...] = ()
    gives: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    builtin: bool = False
    load_ms: float = 0.0

    @property
    def owner(self) -> str:
        """The distribution, or the plugin's own name if it was registered by hand."""
        return self.distribution or self.name

    @property
    def id(self) -> str:
        """A name that no other plugin has."""
        return f"{self.distribution or ''}:{self.name}"

    def __str__(self) -> str:
        whose = f" of {self.distribution} {self.version}" if self.distribution else ""
        return f"plugin {self.name!r}{whose}"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        gives = {hook: list(names) for hook, names in self.gives.items()}
        facts = {"hooks": list(self.hooks), "gives": gives, "load_ms": round(self.load_ms, 1)}
        return {**asdict(self), **facts}


@dataclass(frozen=True)
class Provided:
    """One spec and the plugin that it comes from."""

    spec: Any
    record: PluginRecord


class Plugins:
    """A set of plugins. The program uses one (``get_plugins``); tests make their own.

    Args:
        strict: Raise ``PluginError`` where a plugin would be left out as broken.
        only: Names of the plugins and distributions to load beside the built-in ones, None for all.
    """

    def __init__(self, *, strict: bool = False, only: Iterable[str] | None = None) -> None:
        self._strict = strict
        self._only = None if only is None else set(only)
        self._records: dict[str, PluginRecord] = {}
        self._changes = 0
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)

    @property
    def changes(self) -> int:
        """How often a plugin has come, gone or broken: what was collected before holds no longer."""
        return self._changes

    def records(self) -> list[PluginRecord]:
        """All plugins, the built-in ones first, then by name."""
        return sorted(self._records.values(), key=lambda r: (not r.builtin, r.name, r.owner))

    def load(self, entries: Iterable[EntryPoint]) -> None:
        """Load the plugins that entry points name.

        Raises:
            PluginError: If one of them is broken and the set is strict.
        """
        found = sorted(((_record(e), e) for e in entries), key=lambda f: not f[0].builtin)
        for record, entry in found:
            others = [r for r, _ in found if r.name == record.name and r.owner != record.owner]
            if record.builtin:
                self._load_one(record, entry)
            elif self._only is not None and self._only.isdisjoint({record.name, record.owner}):
                reason = f"left out by {ENV_ONLY}"
                self._records[record.id] = replace(record, status="disabled", reason=reason)
            elif others:
                both = f"{record.owner} and {others[0].owner}"
                self._break(record, f"two distributions have a plugin of this name: {both}")
            else:
                self._load_one(record, entry)
        known = {name for record, _ in found for name in (record.name, record.owner)}
        for name in sorted((self._only or set()) - known):
            absent = PluginRecord(name=name, distribution=None, version=None, module="")
            self._break(absent, f"not installed, but named by {ENV_ONLY}")

    def _load_one(self, record: PluginRecord, entry: EntryPoint) -> None:
        started = time.perf_counter()
        try:
            plugin = entry.load()
        except _FAILURES as error:
            self._break(record, f"cannot be imported: {described(error)}", error)
            return
        self._add(plugin, replace(record, load_ms=1000 * (time.perf_counter() - started)))

    def register(
        self, plugin: object, *, name: str, distribution: str | None = None, version: str = "0"
    ) -> PluginRecord:
        """Add a plugin object by hand, for tests and notebooks.

        Args:
            plugin: Anything that has functions decorated with ``hookimpl``.
            name: Name of the plugin.
            distribution: Name that stands for the package that it pretends to come from.
            version: Version of that package.

        Returns:
            The record of the plugin; its status is ``broken`` if it cannot be used.

        Raises:
            PluginError: If the name is taken, or the plugin is broken and the set is strict.
        """
        module = getattr(plugin, "__name__", type(plugin).__qualname__)
        record = PluginRecord(name, distribution, version if distribution else None, module)
        if record.id in self._records:
            raise PluginError(f"{record} is there already", remedy="Unregister it first.")
        self._add(plugin, record)
        return self._records[record.id]

    def unregister(self, record: PluginRecord) -> None:
        """Forget a plugin."""
        self._changes += 1
        self._records.pop(record.id, None)
        if self._manager.has_plugin(record.id):
            self._manager.unregister(name=record.id)

    def _add(self, plugin: object, record: PluginRecord) -> None:
        try:
            hash(plugin)  # pluggy keeps sets of plugins
            self._manager.register(plugin, name=record.id)
            callers = self._manager.get_hookcallers(plugin) or []
        except _FAILURES as error:
            self._break(record, f"cannot be registered: {described(error)}", error)
            return
        names = tuple(sorted(caller.name for caller in callers))
        record = replace(record, hooks=tuple(n for n in names if n in HOOKS))
        unknown = [n for n in names if n not in HOOKS]
        if unknown:
            near = get_close_matches(unknown[0], HOOKS, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            self._break(record, f"implements an unknown hook {unknown[0]}{hint}")
        elif not names:
            self._break(record, "implements no hook; decorate its functions with synctool.hookimpl")
        else:
            self._records[record.id] = record
            self._changes += 1

    def _break(self, record: PluginRecord, reason: str, error: BaseException | None = None) -> None:
        if self._manager.has_plugin(record.id):
            self._manager.unregister(name=record.id)
        self._records[record.id] = replace(record, status="broken", reason=reason)
        self._changes += 1
        if self._strict:
            raise PluginError(
                f"{record} is broken: {reason}",
                remedy=f"Fix or uninstall it, or unset {ENV_STRICT} to go on without it.",
            ) from error
        _log.warning("%s is left out: %s", record, reason)
        _log.debug("%s", record, exc_info=error)

    def implementing(self, hook: str) -> list[PluginRecord]:
        """The working plugins that implement a hook, in the order of ``records``."""
        return [r for r in self.records() if r.status == "ok" and hook in r.hooks]

    def call(
        self, record: PluginRecord, hook: str, *, check: Callable[[Any], Any], **given: object
    ) -> Any:
        """Call one hook of one plugin; one that fails or returns rubbish is broken from then on.

        Args:
            record: One of ``implementing(hook)``.
            hook: Name of the hook.
            check: Called with what the hook returned; its own result is returned, and any error it
                raises tells what is wrong.
            given: The arguments of the hook.

        Returns:
            What ``check`` returned, or None if the plugin is broken.
        """
        plugin = self._manager.get_plugin(record.id)
        others = [p for p in self._manager.get_plugins() if p is not plugin]
        try:
            results = self._manager.subset_hook_caller(hook, others)(**given)
        except _FAILURES as error:
            self._break(record, f"{hook} failed: {described(error)}", error)
            return None
        try:
            return check(results[0] if results else None)
        except _FAILURES as error:
            self._break(record, f"{hook} returned something wrong: {error}", error)
            return None

    def collect(self, hook: str) -> list[Provided]:
        """The specs that all working plugins give for a hook.

        Raises:
            PluginError: If a plugin fails or returns anything else than specs, and the set is strict.
        """
        provided = []
        for record in self.implementing(hook):
            specs = self.call(record, hook, check=lambda got: spec_checks.specs(hook, got))
            provided += [Provided(spec, record) for spec in specs or ()]
        return provided

    def probe(self) -> list[PluginRecord]:
        """Call every hook that returns specs, so that ``records`` shows who gives what and who fails."""
        for hook in HOOKS:
            if hook == "synctool_commands":
                continue
            names: dict[str, list[str]] = {r.id: [] for r in self.implementing(hook)}
            for provided in self.collect(hook):
                spec = provided.spec
                names[provided.record.id].append(getattr(spec, "full_name", spec.name))
            for record in self.implementing(hook):
                gives = {**record.gives, hook: tuple(names[record.id])}
                self._records[record.id] = replace(record, gives=gives)
        return self.records()


def _record(entry: EntryPoint) -> PluginRecord:
    dist = entry.dist
    name, version = (dist.metadata["Name"], dist.version) if dist else (None, None)
    builtin = name == hookspecs.PROJECT
    return PluginRecord(entry.name, name, version, entry.value, builtin=builtin)


_lock = threading.RLock()
_current: Plugins | None = None


def get_plugins() -> Plugins:
    """The plugins of this program, loaded on the first call.

    Raises:
        PluginError: If one of them is broken and ``SYNCTOOL_STRICT`` is set.
    """
    global _current
    with _lock:
        if _current is None:
            strict = os.environ.get(ENV_STRICT, "").lower() not in {"", "0", "false", "no", "off"}
            only = os.environ.get(ENV_ONLY)
            names = None if only is None else {n.strip() for n in only.split(",") if n.strip()}
            _current = Plugins(strict=strict, only=names)
            try:
                _current.load(entry_points(group=hookspecs.PROJECT))
            except PluginError:
                _current = None
                raise
        return _current


@contextmanager
def use(plugins: Plugins | None = None) -> Iterator[Plugins]:
    """Put another set of plugins (by default an empty one) in place of the program's, for tests."""
    global _current
    with _lock:
        before, _current = _current, plugins or Plugins()
    try:
        yield _current
    finally:
        with _lock:
            _current = before
