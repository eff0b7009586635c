"""Where fetched things are: the cache folder, the current folder, and other places once chosen.

Weights belong into the cache folder, a data set into a folder of its own below the current one. What
was put elsewhere is remembered in ``places.json`` of the cache folder, so that it is found again.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import platformdirs

from synctool.errors import OutputError
from synctool.files import make_folder, write_text
from synctool.untrusted.documents import read_json, typed
from synctool.untrusted.origin import MalformedError

_PLACES = "places.json"
_log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Folder of fetched weights: ``SYNCTOOL_CACHE``, or the platform's own place for caches."""
    own = os.environ.get("SYNCTOOL_CACHE")
    return Path(own) if own else Path(platformdirs.user_cache_dir("synctool")) / "weights"


def default_folder(name: str, kind: str) -> Path:
    """Where ``weights`` or a ``dataset`` go when nobody says anything else."""
    return (cache_folder() if kind == "weights" else Path.cwd()) / name


def other_folders(name: str) -> list[Path]:
    """Folders that an entry was put into by choice; they may be gone by now."""
    return [Path(folder) for folder in _read().get(name, [])]


def remember(name: str, folder: Path) -> None:
    """Note where an entry was put. A cache folder that cannot be written is no reason to fail."""
    from filelock import FileLock

    place = str(folder.resolve())
    if place in _read().get(name, []) or folder.resolve() == (cache_folder() / name).resolve():
        return
    try:
        make_folder(cache_folder())
        with FileLock(cache_folder() / f".{_PLACES}.lock"):
            places = _read()
            places[name] = [place, *places.get(name, [])]
            write_text(cache_folder() / _PLACES, json.dumps(places, indent=1) + "\n")
    except (OSError, OutputError) as error:
        _log.debug("cannot remember that %s is in %s: %s", name, place, error)


def _read() -> dict[str, list[str]]:
    try:
        return typed(read_json(cache_folder() / _PLACES), dict[str, list[str]])
    except FileNotFoundError:
        return {}
    except (OSError, MalformedError) as error:
        _log.debug("%s cannot be read: %s", _PLACES, error)
        return {}
