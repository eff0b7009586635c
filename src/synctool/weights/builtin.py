"""The catalogue that comes with the package, registered through the plugin door."""

from __future__ import annotations

from pathlib import Path

from synctool.hookspecs import hookimpl
from synctool.types import CatalogueEntry
from synctool.weights.catalogue import read_catalogue


@hookimpl
def synctool_catalogue() -> list[CatalogueEntry]:
    """The entries of ``catalogue.toml``."""
    return read_catalogue(Path(__file__).with_name("catalogue.toml"))
