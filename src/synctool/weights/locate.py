"""Where the file of published or bundled weights is, if it is here. Reads nothing and imports no torch."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from synctool.cache import cache_folder, other_folders
from synctool.plugins.specs import WeightsSpec


def located(spec: WeightsSpec) -> Path | None:
    """The file of weights on this machine, or the folder where the spec means a whole one.

    Args:
        spec: Weights that come with the package, or that ``synctool download`` fetches.

    Returns:
        Its path, None if it is not here.
    """
    if spec.bundled:
        path = _bundled(spec, spec.bundled)
        if path.is_file():
            return path
    if not spec.file_name:
        return None
    folders = [cache_folder()]
    if spec.catalogue:
        folders = [cache_folder() / spec.catalogue, *other_folders(spec.catalogue)]
    for folder in folders:
        found = folder / spec.file_name
        if found.is_dir() if spec.file_name == "." else found.is_file():
            return found
    return None


def located_export(spec: WeightsSpec) -> Path | None:
    """The folder of the exported model that comes with weights, None where there is none."""
    if not spec.exported:
        return None
    path = _bundled(spec, spec.exported)
    return path if path.is_dir() else None


def whereabouts(spec: WeightsSpec | None) -> str:
    """Where weights are: ``bundled``, ``here``, ``download`` (not here yet) or ``none``.

    Args:
        spec: The weights of a network, None if nobody published any.
    """
    if spec is None:
        return "none"
    if located(spec) is None:
        return "download" if spec.catalogue else "none"
    return "bundled" if spec.bundled else "here"


def _bundled(spec: WeightsSpec, name: str) -> Path:
    return Path(str(resources.files(spec.package) / "bundled" / name))
