"""Reads a catalogue of downloads from a TOML file; plugins may use it for files of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from synctool.plugins.specs import CatalogueEntry, CatalogueFile, HubSource
from synctool.untrusted.documents import read_toml

_Row = TypeVar("_Row", CatalogueEntry, CatalogueFile, HubSource)


def read_catalogue(path: Path) -> list[CatalogueEntry]:
    """Read a catalogue: one table for each entry, its files as ``[[NAME.files]]``.

    Args:
        path: The TOML file; docs/download.md explains its keys.

    Returns:
        The entries, in the order of the file. What their values may be is checked where plugins are.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no TOML, or a key is unknown or missing.
    """
    return [_entry(name, table) for name, table in read_toml(path).items()]


def _entry(name: str, table: object) -> CatalogueEntry:
    given = _table(name, table)
    if "hub" in given:
        given["hub"] = _row(HubSource, f"{name}.hub", _table(f"{name}.hub", given["hub"]))
    listed = given.get("files", [])
    if not isinstance(listed, list):
        raise ValueError(f"{name}.files: it is written [[{name}.files]]")
    given["files"] = tuple(
        _row(CatalogueFile, f"{name}.files", _table(f"{name}.files", file)) for file in listed
    )
    return _row(CatalogueEntry, name, {**given, "name": name})


def _table(where: str, given: object) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise ValueError(f"{where}: {given!r} in place of a table")
    return dict(given)


def _row(kind: type[_Row], where: str, given: dict[str, Any]) -> _Row:
    unknown = sorted(given.keys() - {field.name for field in fields(kind)})
    if unknown:
        raise ValueError(f"{where}: unknown key {unknown[0]!r}")
    for key, value in given.items():
        if isinstance(value, list):
            given[key] = tuple(value)
    try:
        return kind(**given)
    except TypeError as error:  # names the keys that are missing
        raise ValueError(f"{where}: {error}") from error
