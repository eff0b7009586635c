"""The catalogue that comes with the package, registered through the plugin door."""

from __future__ import annotations

from pathlib import Path

from synctool.downloads.catalogue import read_catalogue
from synctool.plugins.hookspecs import hookimpl
from synctool.plugins.specs import CatalogueEntry


@hookimpl
def synctool_catalogue() -> list[CatalogueEntry]:
    """The entries of ``catalogue.toml``."""
    return read_catalogue(Path(__file__).with_name("catalogue.toml"))
